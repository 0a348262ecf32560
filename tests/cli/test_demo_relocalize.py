"""The demo of relocalisation, at a size that takes seconds: four rows, a page, and nothing learned twice."""

from pathlib import Path

import pytest
from tests.cli.shell import resect

from resect.cli import demo_relocalize


def test_the_demo_goes_four_ways_and_keeps_what_it_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = demo_relocalize.Sizes(
        photos=9, width=64, field_steps=(20, 40), rendered=4, side=32, steps=2, decoder_steps=2
    )
    monkeypatch.setattr(demo_relocalize, "QUICK", tiny)
    flags = ("demo", "relocalize", "--quick", "--out", tmp_path / "demo", "--threads", 1, "--json")
    found = resect(*flags)
    assert found.code in (0, 3), found.err
    assert list(found.json["rows"]) == ["retrieval", "regressor", "latents", "field"]
    assert all(row["photos"] == 2 for row in found.json["rows"].values())
    page = Path(found.json["report"]).read_text()
    assert "latents" in page
    assert (tmp_path / "demo" / "report" / "report.html").is_file()
    weights = tmp_path / "demo" / "regressor" / "weights.safetensors"
    made = weights.stat().st_mtime_ns
    again = resect(*flags)
    assert again.code == found.code
    assert weights.stat().st_mtime_ns == made
    assert resect("demo", "relocalize", "--out", tmp_path / "demo", "--threads", 1).code == 2
