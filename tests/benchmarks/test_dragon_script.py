"""The benchmark of one object's rotations runs at tiny size on drawn photos, and its folds share no photo."""

import json
from importlib import import_module
from pathlib import Path

import torch


def test_dragon(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    flags = ["--quick", "--threads", "1", "--folds", "3"]
    flags += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "dragon.json")]
    rows, again = (import_module("dragon").main(flags) for _ in range(2))
    torch.set_num_threads(before)
    kinds = [(r["photos_are"], r["method"]) for r in rows]
    assert kinds == [(k, m) for k in ("upright", "rolled") for m in ("image2sphere", "nearest")]
    assert [r["photos"] for r in rows] == [2] * 4
    assert [r["errors_deg"] for r in rows] == [r["errors_deg"] for r in again]
    written = json.loads((tmp_path / "dragon.json").read_text())
    assert len(written["training"]) == 1
    assert {"revision", "machine"} <= set(written)


def test_folds_test_each_photo_once_and_never_learn_from_it() -> None:
    parts = import_module("dragon").parts
    folds = [parts(229, k, inner=False) for k in range(5)]
    assert sorted(i for _, ask in folds for i in ask) == list(range(229))
    assert all(not set(learn) & set(ask) and len(learn) + len(ask) == 229 for learn, ask in folds)
    learn, ask = parts(229, 0, inner=True)
    assert not set(learn) & set(ask)
    assert set(learn) | set(ask) == set(folds[0][0])
