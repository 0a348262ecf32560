"""The PROPS-Pose layout: photos, poses, masks, models; what is damaged is refused."""

import json
from pathlib import Path

import pytest
import torch

from resect.artifact import write_atomic
from resect.data.image import png_bytes
from resect.data.objects import fits_objects, read_objects, read_training_objects
from resect.data.props import read_props
from resect.errors import ResectError

OBJ = "v 0 0 0\nv 0.1 0 0\nv 0 0.2 0\nv 0 0 0.1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n"
EYE = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]


def props(root: Path, t: tuple[float, float, float] = (0.1, 0.0, 0.8)) -> Path:
    """Two splits of one photo with objects 2 and 14, of which 14 has a model and a mask."""
    for split, image in (("train", 3), ("val", 7)):
        folder = root / split
        write_atomic(folder / "rgb" / f"{image:06d}.png", png_bytes(torch.full((48, 64, 3), 99, dtype=torch.uint8)))
        mask = torch.zeros(48, 64, dtype=torch.uint8)
        mask[10:20, 30:50] = 255
        write_atomic(folder / "mask_visib" / f"{image:06d}_000001.png", png_bytes(mask))
        entries = [{"cam_R_m2c": EYE, "cam_t_m2c": list(t), "obj_id": kind} for kind in (2, 14)]
        (folder / f"{split}_gt.json").write_text(json.dumps({str(image): entries}))
    (root / "model" / "14_cup").mkdir(parents=True)
    (root / "model" / "14_cup" / "textured_simple.obj").write_text(OBJ)
    return root


def test_both_splits_are_read(tmp_path: Path) -> None:
    root = props(tmp_path)
    assert fits_objects(root)
    assert {o.photos.names for o in read_objects(root).values()} == {("val/rgb/000007.png",)}
    found = read_training_objects(root)
    assert list(found) == ["2", "14"]
    cup = found["14"].photos[0]
    assert cup.target is not None
    assert cup.target.box == (30.0, 10.0, 50.0, 20.0)
    assert cup.camera is not None
    assert cup.camera.fx == pytest.approx(902.19 / 10)
    assert cup.camera.cx == pytest.approx((342.35 + 0.5) / 10)
    assert found["2"].load_mesh is None
    assert found["14"].load_mesh is not None
    torch.testing.assert_close(found["14"].load_mesh().bounds[1], torch.tensor([0.1, 0.2, 0.1]))
    torch.testing.assert_close(found["14"].photos.truth.cam_from_world.t[0], torch.tensor([0.1, 0.0, 0.8]).double())


def test_millimetres_are_known_by_their_size(tmp_path: Path) -> None:
    found = read_props(props(tmp_path, (100.0, 0.0, 800.0)))
    torch.testing.assert_close(found["2"].photos.truth.cam_from_world.t[0], torch.tensor([0.1, 0.0, 0.8]).double())


@pytest.mark.parametrize(
    "change", [{"cam_R_m2c": [2.0] * 9}, {"obj_id": "cup"}, {"cam_t_m2c": [0.0, "x", 1.0]}, {"cam_t_m2c": [1.0]}]
)
def test_damaged_truth_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    file = props(tmp_path) / "val" / "val_gt.json"
    facts = json.loads(file.read_text())
    facts["7"][0] |= change
    file.write_text(json.dumps(facts))
    with pytest.raises(ResectError, match="image 7"):
        read_props(tmp_path)


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="split"):
        read_props(props(tmp_path), "test")
