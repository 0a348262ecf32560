"""Artefacts: what is saved is loaded, whatever was tampered with is refused, and nothing is left half written."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from resect import artifact
from resect.errors import ResectError


@dataclass(frozen=True)
class Inner:
    depth: int = 3
    name: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Settings:
    rate: float = 0.1
    steps: int = 10
    on: bool = True
    size: tuple[int, int] = (4, 3)
    many: tuple[float, ...] = ()
    limit: float | None = None
    inner: Inner = field(default_factory=Inner)


TENSORS = {"grid": torch.arange(12.0).view(3, 4), "index": torch.arange(3)}


def made(folder: Path) -> Path:
    artifact.save(folder, "field", Settings(), TENSORS, extra={"psnr": 28.4}, parents={"teacher": "abc"})
    return folder


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    found = artifact.load(made(tmp_path / "run"), "field")
    assert found.kind == artifact.kind_in(tmp_path / "run") == "field"
    assert artifact.kind_in(tmp_path) == ""
    assert found.extra == {"psnr": 28.4}
    assert found.parents == {"teacher": "abc"}
    assert artifact.settings_from_json(Settings, found.settings, "x") == Settings()
    for name, value in TENSORS.items():
        assert torch.equal(found.tensors[name], value)
    assert len(artifact.digest(tmp_path / "run")) == 64


def test_views_and_gradients_are_saved_as_plain_tensors(tmp_path: Path) -> None:
    weight = torch.arange(12.0).view(3, 4).requires_grad_()
    artifact.save(tmp_path, "field", {}, {"a": weight.mT, "b": weight[:, ::2]})
    found = artifact.load(tmp_path)
    assert torch.equal(found.tensors["a"], weight.detach().mT)
    assert torch.equal(found.tensors["b"], weight.detach()[:, ::2])


def test_saving_again_replaces_and_leaves_other_files(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "split.json").write_text("{}")
    artifact.save(tmp_path, "field", Settings(), {"grid": torch.zeros(2)})
    assert artifact.load(tmp_path).tensors["grid"].shape == (2,)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["artifact.json", "split.json", "weights.safetensors"]


def change(folder: Path, **facts: Any) -> None:
    path = folder / "artifact.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"resect_artifact": 99}, "format 1"),
        ({"kind": 3}, "not made by resect"),
        ({"settings": None}, "not made by resect"),
        ({"weights_sha256": "0" * 64}, "changed or cut short"),
        ({"kind": "landmarks"}, "kind 'field'"),
    ],
)
def test_tampered_facts_are_refused(tmp_path: Path, facts: dict[str, Any], says: str) -> None:
    change(made(tmp_path), **facts)
    with pytest.raises(ResectError, match=says):
        artifact.load(tmp_path, "field")


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    weights = made(tmp_path) / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ResectError, match="changed or cut short"):
        artifact.load(tmp_path)
    weights.unlink()
    with pytest.raises(ResectError, match="weights file"):
        artifact.load(tmp_path)


def test_weights_that_are_no_safetensors_are_refused_even_with_the_right_digest(tmp_path: Path) -> None:
    import hashlib
    import pickle

    made(tmp_path)
    data = pickle.dumps({"a": 1})
    (tmp_path / "weights.safetensors").write_bytes(data)
    change(tmp_path, weights_sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(ResectError, match="safetensors"):
        artifact.load(tmp_path)


def test_a_folder_without_artifact_says_what_to_give(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ResectError, match="resect fit"):
            artifact.load(folder)


def test_tensors_are_checked_by_name_shape_and_dtype(tmp_path: Path) -> None:
    found = artifact.load(made(tmp_path))
    assert found.tensor("grid", (3, None), torch.float32).shape == (3, 4)
    for name, shape, dtype in [
        ("other", (1,), None),
        ("grid", (3,), None),
        ("grid", (4, 4), None),
        ("grid", (3, 4), torch.int64),
    ]:
        with pytest.raises(ResectError, match="damaged"):
            found.tensor(name, shape, dtype)


@pytest.mark.parametrize("text", ["{", '{"a": 1', "", "\xff\xfe", "[" * 100_000])
def test_broken_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(ResectError, match=r"facts\.json"):
        artifact.read_json(path)


def test_large_and_missing_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text("[" + "1," * 1000 + "1]")
    with pytest.raises(ResectError, match="at most"):
        artifact.read_json(path, limit=100)
    with pytest.raises(ResectError, match="no file"):
        artifact.read_json(tmp_path / "none.json")


def test_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifact.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "x.bin"
    artifact.write_atomic(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        artifact.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["x.bin"]


def test_a_process_killed_while_writing_leaves_the_old_artefact(tmp_path: Path) -> None:
    made(tmp_path)
    script = (
        "import os, pathlib, sys\n"
        "from resect import artifact\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "artifact.write_atomic(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    for name in ("artifact.json", "weights.safetensors"):
        assert subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=False).returncode == -9
    found = artifact.load(tmp_path)
    assert torch.equal(found.tensors["grid"], TENSORS["grid"])


def test_settings_read_back_from_json() -> None:
    settings = Settings(0.5, 3, False, (8, 6), (1.0, 2.0), 7.0, Inner(1, "b"))
    assert artifact.settings_from_json(Settings, artifact.as_json(settings), "x") == settings
    assert artifact.settings_from_json(Settings, {"rate": 1}, "x").rate == 1.0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"stepz": 1}, "Did you mean 'steps'"),
        ({"steps": 1.5}, "settings.steps"),
        ({"steps": True}, "settings.steps"),
        ({"rate": "fast"}, "settings.rate"),
        ({"rate": True}, "settings.rate"),
        ({"on": 1}, "settings.on"),
        ({"size": [1, 2, 3]}, "settings.size"),
        ({"size": [1, "2"]}, "settings.size"),
        ({"limit": "none"}, "settings.limit"),
        ({"inner": {"name": "c"}}, "settings.name"),
        ({"inner": {"deep": 1}}, "Did you mean 'depth'"),
        ({"inner": 3}, "settings.inner"),
    ],
)
def test_wrong_settings_are_refused_by_key(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ResectError, match=says):
        artifact.settings_from_json(Settings, values, "run")


def test_differences_between_settings_are_named() -> None:
    made_with, asked = artifact.as_json(Settings()), artifact.as_json(Settings(rate=0.2))
    assert artifact.difference(made_with, asked) == "rate = 0.2 (made with 0.1)"
    assert artifact.difference(asked, asked) == "the same"


def test_how_the_work_is_done_decides_nothing() -> None:
    assert artifact.deciding({"threads": 2, "rate": 0.1, "tensorboard": True}) == {"rate": 0.1}
