"""The demo of a category: a chair that its packaged network has not learned is posed, and shown."""

from pathlib import Path

import pytest
from shell import resect

from resect.cli.demo_category import NETWORK
from resect.scenes.sigma_srn.scene import SigmaSrn


def test_the_packaged_network_is_small_and_of_200_chairs() -> None:
    assert sum(p.stat().st_size for p in NETWORK.rglob("*") if p.is_file()) <= 1_900_000
    assert len(SigmaSrn.load(NETWORK).instances) == 200


@pytest.mark.timeout(200)
def test_one_chair(tmp_path: Path) -> None:
    said = resect("demo", "category", "--quick", "--out", tmp_path / "demo", "--threads", 1, "--json")
    assert said.code in (0, 3), said.err
    assert said.json["photos"] == 1
    assert said.json["median_rotation_deg"] < 15
    assert Path(said.json["report"]).is_file()
