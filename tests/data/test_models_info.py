import json
import os
from pathlib import Path

import pytest
import torch

from resect.data.models_info import (
    ModelInfo,
    read_models_info,
    symmetries_from_bop,
    symmetries_to_bop,
    write_models_info,
)
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries, about

BOX = {"diameter": 3.0, "min_x": -1, "min_y": -1, "min_z": -0.5, "size_x": 2, "size_y": 2, "size_z": 1}
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
POINT = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def test_symmetries_survive_the_file(tmp_path: Path) -> None:
    both = SE3.cat([SE3.identity(1, dtype=torch.float64), about(POINT, FLIP[None])])
    known = ModelInfo.of(solids.cube(2.0), Symmetries(both, (Axis(UP, POINT),)))
    write_models_info(tmp_path / "models_info.json", {"7": known})
    (found,) = read_models_info(tmp_path / "models_info.json").values()
    assert found.diameter == pytest.approx(2 * 3**0.5)
    torch.testing.assert_close(found.bounds, known.bounds)
    torch.testing.assert_close(found.symmetries.discrete.matrix(), both.matrix())
    torch.testing.assert_close(found.symmetries.axes[0].offset, POINT)


def test_fields_are_bops() -> None:
    entry = symmetries_to_bop(Symmetries(SE3.stack([SE3.identity(dtype=torch.float64), about(POINT, FLIP)])))
    assert entry == {"symmetries_discrete": [[1, 0, 0, 0, 0, -1, 0, -4, 0, 0, -1, 6, 0, 0, 0, 1]]}
    assert symmetries_to_bop(Symmetries()) == {}
    assert symmetries_to_bop(Symmetries(axes=(Axis(UP),))) == {
        "symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]
    }


def test_a_file_is_merged_into_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "models_info.json"
    old = {**BOX, "symmetries_continuous": [{"axis": [0, 0, 2], "offset": [0, 0, 0]}], "label": "cup"}
    path.write_text(json.dumps({"1": old, "2": BOX}))
    new = {"1": ModelInfo.of(solids.cube())}
    with pytest.raises(ResectError, match="--overwrite"):
        write_models_info(path, new)
    write_models_info(path, new, overwrite=True)
    found = json.loads(path.read_text())
    assert found["2"] == BOX
    assert found["1"]["label"] == "cup"
    assert "symmetries_continuous" not in found["1"]


def test_an_axis_is_made_a_unit_vector_and_the_identity_is_not_repeated() -> None:
    one = torch.eye(4).flatten().tolist()
    entry = {"symmetries_discrete": [one], "symmetries_continuous": [{"axis": [0, 0, 2]}]}
    found = symmetries_from_bop(entry, "model 1")
    assert len(found.discrete) == 1
    torch.testing.assert_close(found.axes[0].direction, UP)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"diameter": None}, "diameter"),
        ({"diameter": float("nan")}, "diameter"),
        ({"size_x": -1}, "model 5"),
        ({"symmetries_discrete": [[1, 2]]}, "16 numbers"),
        ({"symmetries_discrete": [torch.diag(torch.tensor([-1.0, 1, 1, 1])).flatten().tolist()]}, "mirror"),
        ({"symmetries_discrete": {"a": 1}}, "list"),
        ({"symmetries_continuous": [{"axis": [0, 0, 0]}]}, "direction"),
        ({"symmetries_continuous": [{"axis": "z"}]}, "3 numbers"),
        ({"symmetries_continuous": [3]}, "axis and offset"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, object], where: str) -> None:
    path = tmp_path / "models_info.json"
    path.write_text(json.dumps({"5": {**BOX, **change}}))
    with pytest.raises(ResectError, match=where):
        read_models_info(path)


def test_a_published_file_is_read() -> None:
    data = os.environ.get("RESECT_TEST_DATA")
    path = Path(data or "") / "lmo" / "models" / "models_info.json"
    if not data or not path.is_file():
        pytest.skip("RESECT_TEST_DATA holds no lmo/models/models_info.json")
    found = read_models_info(path)
    assert [key for key, info in found.items() if not info.symmetries.trivial] == ["10", "11"]
    turn = found["10"].symmetries.discrete.R[1]
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3, dtype=torch.float64), atol=1e-12, rtol=0)
