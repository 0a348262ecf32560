from pathlib import Path

import torch

from resect.data.model_files import meters_of_models, symmetries_of_models
from resect.data.models_info import ModelInfo, write_models_info
from resect.geometry.rotation_group import turn
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.geometry.symmetry import Symmetries


def test_what_lies_beside_a_mesh_says_its_unit_and_its_symmetries(tmp_path: Path) -> None:
    file = tmp_path / "obj_000003.ply"
    assert symmetries_of_models(file).trivial
    assert meters_of_models(file) is None
    half = torch.stack([torch.eye(3, dtype=torch.float64), turn(torch.tensor([0.0, 0.0, 1.0]).double(), 2)])
    same = Symmetries(SE3(half, torch.zeros(2, 3, dtype=torch.float64)))
    write_models_info(tmp_path / "models_info.json", {"3": ModelInfo.of(box((1.0, 2.0, 3.0)), same)})
    assert len(symmetries_of_models(file).discrete) == 2
    assert symmetries_of_models(tmp_path / "obj_000004.ply").trivial, "without an entry"
    assert meters_of_models(file) == 0.001
