"""The demo of rotations, at a size that takes seconds."""

from pathlib import Path

import pytest
from tests.cli.shell import resect

from resect.cli import demo_rotations


def test_the_demo_goes_the_whole_way_and_keeps_what_it_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_rotations, "QUICK", demo_rotations.Sizes(shapes=("cube",), steps=2, images=2))
    flags = ("demo", "rotations", "--quick", "--out", tmp_path / "demo", "--threads", 1, "--json")
    found = resect(*flags)
    assert found.code == 0, found.err
    assert found.json["images"] == 2
    assert Path(found.json["report"]).is_file()
    weights = tmp_path / "demo" / "network" / "weights.safetensors"
    made = weights.stat().st_mtime_ns
    again = resect(*flags)
    assert again.code == 0
    assert weights.stat().st_mtime_ns == made
    assert again.json["log_likelihood"] == found.json["log_likelihood"]
    assert resect("demo", "rotations", "--out", tmp_path / "demo", "--threads", 1).code == 2
