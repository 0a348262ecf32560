"""Pictures of models at rotations: they agree with the solids in closed form, boxes hold the silhouette."""

import math

import pytest
import torch

from resect.data.rotations.read import read_rotations
from resect.data.rotations.table import write_rotation_table
from resect.errors import ResectError
from resect.geometry import solids
from resect.scenes.mesh.scene import MeshScene
from resect.synthesis.model_rotation_settings import ModelRotationSettings
from resect.synthesis.model_rotations import draw, make_model_rotations
from resect.synthesis.symsol.equivalents import haar
from resect.synthesis.symsol.render import AWAY, camera, render
from resect.synthesis.symsol.shapes import shape


def scene(shift: float = 0.0) -> MeshScene:
    mesh = solids.cube(1 / math.sqrt(3))
    moved = type(mesh)(mesh.vertices + shift, mesh.faces, name="cube")
    return MeshScene(moved, antialias=False)


def test_a_cube_looks_like_the_one_in_closed_form() -> None:
    """Two renderers that share nothing; the other camera stands nearer, so only the middle and the shades compare."""
    r = haar(1, 6)[0]
    wide = camera(64)
    away = 1.1 * 0.5 * 2 * wide.fx / wide.width
    assert away != AWAY
    near = type(wide)(wide.fx, wide.fy, wide.cx, wide.cy, 64, 64)
    image, _ = draw(scene(), r, near)
    exact = render(shape("cube"), r[None], 64)[0]
    inside = image[..., 0] < 0.99
    shades = {round(float(v), 2) for v in image[..., 0][inside].flatten()}
    known = {round(float(v), 2) for v in exact[..., 0].flatten() if v > 0.1}
    assert len(shades & known) >= 2
    common = sum(int((image[..., 0][inside] - v).abs().lt(0.006).sum()) for v in shades & known)
    assert common > 0.8 * int(inside.sum())


def test_the_box_holds_the_silhouette_and_models_need_not_be_centred() -> None:
    for shift in (0.0, 3.0):
        image, box = draw(scene(shift), haar(1, 1)[0], camera(64))
        rows, columns = (image[..., 0] < 0.9).nonzero(as_tuple=True)
        assert box == pytest.approx(
            (float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1), abs=1
        )
        assert min(box[0], box[1], 64 - box[2], 64 - box[3]) > 0


def test_a_set_takes_turns_over_models_and_is_written_and_read(tmp_path: object) -> None:
    settings = ModelRotationSettings(views=2, side=32, seed=1)
    group = shape("cube").group
    assert group is not None
    made = make_model_rotations(("box/a", "box/b"), lambda i: scene(), settings, {"box/a": group, "box/b": group})
    assert made.names == ("box/a/0000", "box/b/0000", "box/a/0001", "box/b/0001")
    assert made.known == ("box",)
    assert made.equivalents is not None
    torch.testing.assert_close(made.equivalents(3)[0], haar(4, 1)[3])
    photo = made.photo(2)
    assert photo.image.shape == (32, 32, 3)
    assert float(photo.image[0, 0].min()) == 1.0  # white
    write_rotation_table(made, tmp_path / "out")  # type: ignore[operator]
    back = read_rotations(tmp_path / "out")  # type: ignore[operator]
    torch.testing.assert_close(back.rotation, made.rotation)
    torch.testing.assert_close(back.photo(2).image, photo.image, atol=0.003, rtol=0)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ResectError, match="side"):
        ModelRotationSettings(side=4)
    with pytest.raises(ResectError, match="at least one"):
        make_model_rotations((), lambda i: scene(), ModelRotationSettings())
