import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.shape.scale import from_depth, from_size, standing

CAMERA = Camera(245.0, 245.0, 112.0, 112.0, 224, 224)


def test_level_camera_by_the_formula_worked_by_hand() -> None:
    """h = 0.75, box from v = 100 to v = 171 at the middle: depth 0.75 · 245 / 59, height depth · 71 / 245."""
    found = standing(CAMERA, (90, 100, 134, 171), 0.75)
    depth = 0.75 * 245 / (171 - 112)
    assert found.foot == pytest.approx((0.0, 0.75, depth))
    assert found.distance == pytest.approx(math.hypot(0.75, depth))
    assert found.height == pytest.approx(depth * 71 / 245)
    assert found.meters_per_unit(2.0) == pytest.approx(found.height / 2)
    published = standing(CAMERA, (90, 100, 134, 171), 0.75, as_published=True)
    assert published.height == pytest.approx(found.distance * 71 / 245)


@pytest.mark.parametrize("model", ["pinhole", "opencv"])
@pytest.mark.parametrize("pitch", [0.0, 20.0, -5.0, 35.0])
def test_a_post_before_a_tilted_camera(model: str, pitch: float) -> None:
    """A post of 1.2 m is projected and measured again."""
    distortion = (0.1, -0.05, 0.0, 0.0) if model == "opencv" else ()
    camera = Camera(400.0, 410.0, 320.0, 240.0, 640, 480, model, distortion)  # type: ignore[arg-type]
    tilt = torch.from_numpy(Rotation.from_rotvec([math.radians(pitch), 0, 0]).as_matrix())
    up = tilt @ torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    foot_ray = torch.nn.functional.normalize(torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64), dim=0)
    foot = -1.5 * foot_ray / (up @ foot_ray)
    pixels, seen = camera.project(torch.stack([foot, foot + 1.2 * up]))
    assert bool(seen.all())
    (x, bottom), (_, top) = pixels.tolist()
    found = standing(camera, (x - 5, top, x + 5, bottom), 1.5, up)
    assert found.foot == pytest.approx(foot.tolist(), abs=1e-6)
    assert found.height == pytest.approx(1.2, abs=1e-6)


def test_what_cannot_be() -> None:
    with pytest.raises(ResectError, match="below the horizon"):
        standing(CAMERA, (90, 20, 134, 100), 0.75)
    with pytest.raises(ResectError, match="top < bottom"):
        standing(CAMERA, (90, 171, 134, 100), 0.75)
    for height in (0.0, -1.0, math.nan):
        with pytest.raises(ResectError, match="camera height"):
            standing(CAMERA, (90, 100, 134, 171), height)
    with pytest.raises(ResectError, match="size of the mesh"):
        from_size(0.0, 1.0)


def test_known_size() -> None:
    assert from_size(102.0, 0.102) == pytest.approx(0.001)


def test_depth_forgives_what_is_in_front() -> None:
    g = torch.Generator().manual_seed(0)
    rendered = 500 + 100 * torch.rand(40, 30, generator=g)
    measured = 0.001 * rendered * (1 + 0.01 * torch.randn(40, 30, generator=g))
    measured[:12] = 0.2
    measured[12:15] = 0.0
    measured[15] = math.nan
    rendered[:, :3] = 0
    scale, spread = from_depth(rendered, measured)
    assert scale == pytest.approx(0.001, rel=0.01)
    assert spread < 0.05
    with pytest.raises(ResectError, match="both depths"):
        from_depth(rendered, torch.zeros_like(measured))
    with pytest.raises(ResectError, match="both depths"):
        from_depth(rendered, measured, torch.zeros_like(measured, dtype=torch.bool))
