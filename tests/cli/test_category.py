"""Networks of a category from the command line."""

from pathlib import Path

import torch
from shell import resect

from resect.data.image import png_bytes
from resect.data.instances import write_instance
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.scenes.sigma_srn.scene import SigmaSrn

SIZES = {"code": 4, "width": 8, "state": 4, "marches": 2, "sides": 8, "steps": 3, "batch": 2}
SMALL = [x for name, value in SIZES.items() for x in (f"--sigma-srn.{name}", value)]


def test_fit_learns_from_a_folder_of_instances(tmp_path: Path) -> None:
    camera = Camera.from_fov(0.8, 8, 8)
    poses = look_at(torch.tensor([[2.0, 0.1, 0.5], [0.3, 2.0, 0.4]]), torch.zeros(2, 3))
    grey = png_bytes(torch.full((8, 8, 3), 90, dtype=torch.uint8))
    for name in ("a", "b"):
        write_instance(tmp_path / "cars" / name, [grey, grey], camera, poses)
    command = ("fit", "sigma-srn", tmp_path / "cars", "--out", tmp_path / "made", "--threads", 1, "--json")
    said = resect(*command, *SMALL, "--sigma-srn.views", 2)
    assert said.code == 0, said.err
    assert said.json["instances"] == 2
    assert SigmaSrn.load(tmp_path / "made").instances == ("a", "b")
    again = resect(*command, *SMALL, "--sigma-srn.views", 2)
    assert again.code == 2  # what is finished is not written over unasked
    many = resect(*command, *SMALL, "--sigma-srn.views", 5, "--overwrite")
    assert many.code == 2
    assert "2 views or fewer" in many.err
