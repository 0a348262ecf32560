"""The benchmark of rotations runs at tiny size, and takes its network from the cache the second time."""

import json
from importlib import import_module
from pathlib import Path

import torch


def test_rotations(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    flags = [
        "--quick",
        "--threads",
        "1",
        "--methods",
        "image2sphere",
        "--labels",
        "single",
        "--seeds",
        "0",
        "--level",
        "3",
    ]
    flags += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "rotations.json")]
    rows, again = (import_module("rotations").main(flags) for _ in range(2))
    torch.set_num_threads(before)
    assert [(r["method"], r["labels"]) for r in rows] == [("image2sphere", "single")]
    assert rows[0]["log_likelihood"] < rows[0]["ceiling"]
    assert rows[0]["cpu_seconds"] == again[0]["cpu_seconds"]
    assert {"revision", "machine"} <= set(json.loads((tmp_path / "rotations.json").read_text()))
