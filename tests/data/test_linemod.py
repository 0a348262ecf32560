from pathlib import Path

import numpy as np
import pytest
from bop_folder import box_points, write_ply
from captures import write_noise
from PIL import Image

from resect.data.flow_yaml import read_flow_yaml
from resect.data.objects import read_objects
from resect.errors import ResectError

GT = """0:
- cam_R_m2c: [0.0, -1.0, 0.0, 1.0, 0.0, 0.0,
    0.0, 0.0, 1.0]
  cam_t_m2c: [-105.5, 20.0, 1.0e+03]
  obj_bb: [5, 6, 19, 9]
  obj_id: 2
- cam_R_m2c: [1, 0, 0, 0, 1, 0, 0, 0, 1]
  cam_t_m2c: [0, 0, 900]
  obj_bb: [1, 2, 3, 4]
  obj_id: 1
1:
- cam_R_m2c: [1, 0, 0, 0, 1, 0, 0, 0, 1]
  cam_t_m2c: [0, 0, 800]
  obj_bb: [1, 2, 3, 4]
  obj_id: 2
"""
K = "[60.0, 0.0, 32.0, 0.0, 60.0, 24.0, 0.0, 0.0, 1.0]"
INFO = "".join(f"{i}:\n  cam_K: {K}\n  depth_scale: 1.0\n" for i in (0, 1))
BOX = "diameter: 60.0, min_x: -10, min_y: -10, min_z: -20, size_x: 20, size_y: 20, size_z: 40"


def _write(root: Path) -> Path:
    scene = root / "data" / "02"
    for i in (0, 1):
        write_noise(scene / "rgb" / f"{i:04d}.png", 64, 48, seed=i)
    (scene / "mask").mkdir()
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(scene / "mask" / "0000.png")
    (scene / "gt.yml").write_text(GT)
    (scene / "info.yml").write_text(INFO)
    write_ply(root / "models" / "obj_02.ply", box_points((20, 20, 40)), [[0, 1, 2]])
    (root / "models" / "models_info.yml").write_text(f"1: {{{BOX}}}\n2: {{{BOX}}}\n")
    return root


@pytest.mark.parametrize("inner", ["", "data", "data/02"])
def test_linemod_as_it_was_before_bop(tmp_path: Path, inner: str) -> None:
    objects = read_objects(_write(tmp_path) / inner)
    assert {k: len(v) for k, v in objects.items()} == {"1": 1, "2": 2}
    two = objects["2"]
    assert two.photos.truth.cam_from_world.t.tolist() == [[-105.5, 20, 1000], [0, 0, 800]]
    assert two.photos.truth.cam_from_world.R[0].tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    first, second = (photo.target for photo in two.photos)
    assert first is not None
    assert second is not None
    assert first.box == (5, 6, 25, 16)
    assert first.mask is not None
    assert second.mask is None
    other = objects["1"].photos[0].target
    assert other is not None
    assert other.mask is None  # the mask is of the object that the scene is named after
    assert two.diameter == 60
    assert two.load_mesh is not None
    assert len(two.load_mesh().vertices) == 8
    assert "whole objects" in two.photos.notes[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0:\n- cam_R_m2c: [1, 2\n", "a number"),
        ("- cam_R_m2c: [1]\n", "beginning of the line"),
        ("0: 5\n  a: 3\n", "both"),
        ("0: !!python/object:os.system\n", "a number"),
        ("just words\n", "key: value"),
        ("0: &a [1]\n1: *a\n", "a number"),
    ],
)
def test_other_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "gt.yml"
    path.write_text(text)
    with pytest.raises(ResectError, match=said):
        read_flow_yaml(path)


def test_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text("# note\n\n1: {a: 1.5, b: [1, 2]}\n2:\n  c: -3\n3:\n- d: 4\n  e: [5]\n- d: 6\n4: []\n")
    found = read_flow_yaml(path)
    assert found == {"1": {"a": 1.5, "b": [1, 2]}, "2": {"c": -3}, "3": [{"d": 4, "e": [5]}, {"d": 6}], "4": []}
    with pytest.raises(ResectError, match="no file"):
        read_flow_yaml(tmp_path / "none.yml")
