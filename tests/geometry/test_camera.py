"""Cameras against OpenCV, COLMAP, finite differences, and their own inverse."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera

PINHOLE = Camera(310.0, 305.0, 161.3, 118.2, 320, 240)
BARREL = replace(PINHOLE, model="opencv", distortion=(-0.28, 0.11, 0.001, -0.0007, -0.02))
PINCUSHION = replace(PINHOLE, model="opencv", distortion=(0.12, 0.03))
RATIONAL = replace(PINHOLE, model="opencv", distortion=(0.6, -0.3, 0.0005, 0.0008, 0.05, 0.9, -0.1, 0.02))
FISHEYE = Camera(110.0, 112.0, 161.0, 121.0, 320, 240, "fisheye", (0.02, -0.006, 0.001, -0.0002))
CAMERAS = {"pinhole": PINHOLE, "barrel": BARREL, "pincushion": PINCUSHION, "rational": RATIONAL, "fisheye": FISHEYE}
each_camera = pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())


def points_in_view(camera: Camera, count: int = 400) -> Tensor:
    """Points ahead of the camera, some beyond the image's edge; within 70° for a fisheye."""
    generator = torch.Generator().manual_seed(0)
    reach = 2.5 if camera.model == "fisheye" else 0.6
    xy = (torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.5) * 2 * reach
    depth = 0.2 + 5 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    return torch.cat([xy, torch.ones(count, 1, dtype=torch.float64)], -1) * depth


def opencv_pixels(camera: Camera, points: Tensor) -> Tensor:
    """OpenCV puts the origin at the first pixel's centre; its K is ours less half a pixel."""
    cv2 = pytest.importorskip("cv2")
    k = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
    d = np.zeros(4 if camera.model == "fisheye" else 8)
    d[: len(camera.distortion)] = camera.distortion
    zero = np.zeros(3)
    if camera.model == "fisheye":
        pixels, _ = cv2.fisheye.projectPoints(points.numpy()[:, None], zero, zero, k, d)
    else:
        pixels, _ = cv2.projectPoints(points.numpy()[:, None], zero, zero, k, d)
    return torch.from_numpy(pixels[:, 0]) + 0.5


@each_camera
def test_project_equals_opencv(camera: Camera) -> None:
    points = points_in_view(camera)
    pixels, valid = camera.project(points)
    assert 0.15 < valid.double().mean() < 0.95  # both kinds occur
    torch.testing.assert_close(pixels, opencv_pixels(camera, points), atol=1e-8, rtol=0)
    inside = (pixels >= 0).all(-1) & (pixels < torch.tensor([320, 240])).all(-1)
    assert torch.equal(valid, inside)


@each_camera
def test_project_equals_colmap(camera: Camera) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    k = [camera.fx, camera.fy, camera.cx, camera.cy]  # COLMAP's origin is the corner, as ours
    name = {"pinhole": "PINHOLE", "opencv": "FULL_OPENCV", "fisheye": "OPENCV_FISHEYE"}[camera.model]
    length = {"pinhole": 0, "opencv": 8, "fisheye": 4}[camera.model]
    params = k + list(camera.distortion) + [0.0] * (length - len(camera.distortion))
    theirs = pycolmap.Camera(model=name, width=320, height=240, params=params)
    points = points_in_view(camera)
    pixels, _ = camera.project(points)
    expected = torch.from_numpy(np.stack([theirs.img_from_cam(p) for p in points.numpy()]))
    torch.testing.assert_close(pixels, expected, atol=1e-8, rtol=0)


@each_camera
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rays_invert_project(camera: Camera, dtype: torch.dtype) -> None:
    pixels = camera.pixels(7, dtype)
    rays = camera.rays(pixels)
    assert rays.dtype == dtype
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones_like(rays[:, 0]))
    back, valid = camera.project(3.7 * rays)
    assert valid.all()
    torch.testing.assert_close(back, pixels, atol=1e-8 if dtype == torch.float64 else 2e-3, rtol=0)


@each_camera
def test_project_inverts_rays(camera: Camera) -> None:
    points = points_in_view(camera)
    pixels, valid = camera.project(points)
    directions = torch.nn.functional.normalize(points, dim=-1)
    torch.testing.assert_close(camera.rays(pixels[valid]), directions[valid], atol=1e-10, rtol=0)


@each_camera
def test_gradients_of_project(camera: Camera) -> None:
    points = points_in_view(camera, 30)
    on_axis = torch.tensor([[0.0, 0.0, 2.0], [1e-9, 0.0, 1.0]], dtype=torch.float64)
    points = torch.cat([points[camera.project(points)[1]], on_axis])
    derivative = torch.stack([torch.autograd.functional.jacobian(lambda p: camera.project(p)[0], p) for p in points])
    assert derivative.isfinite().all()
    step = 1e-6
    columns = [
        (camera.project(points + step * e)[0] - camera.project(points - step * e)[0]) / (2 * step)
        for e in torch.eye(3, dtype=torch.float64)
    ]
    torch.testing.assert_close(derivative, torch.stack(columns, -1), atol=1e-4, rtol=1e-6)


@each_camera
def test_points_that_cannot_be_seen_are_flagged_and_stay_finite(camera: Camera) -> None:
    beyond = 2.0 if camera.model == "fisheye" else -1.0
    behind = torch.tensor([[0.1, 0.2, -1.0], [0.0, 0.0, -2.0], [0.0, 0.0, 0.0], [50.0, 0.0, beyond]])
    behind = behind.double().requires_grad_()
    pixels, valid = camera.project(behind)
    assert not valid.any()
    assert pixels.isfinite().all()
    (gradient,) = torch.autograd.grad(pixels.sum(), behind)
    assert gradient.isfinite().all()


def test_points_beyond_the_fold_are_not_seen() -> None:
    # With k1 = -0.28 alone r(1 − 0.28 r²) grows up to r = 1.091; farther points come back into the image.
    folding = replace(PINHOLE, model="opencv", distortion=(-0.28,))
    edge = 1 / math.sqrt(3 * 0.28)
    x = torch.tensor([[edge * 0.99, 0.0, 1.0], [edge * 1.01, 0.0, 1.0], [1.8, 0.0, 1.0]], dtype=torch.float64)
    wide = replace(folding, width=2000, cx=1000.0)
    assert wide.project(x)[1].tolist() == [True, False, False]
    back = 1.8 * (1 - 0.28 * 1.8**2) * 310 + 161.3
    assert 0 < back < 320  # the trap: without the check this point would seem to be in the image
    assert not folding.project(x[2:])[1].any()


def test_fisheye_sees_behind_the_image_plane() -> None:
    wide = Camera(60.0, 60.0, 200.0, 200.0, 400, 400, "fisheye")
    angle = math.radians(110)
    point = torch.tensor([[math.sin(angle), 0.0, math.cos(angle)]], dtype=torch.float64)
    pixels, valid = wide.project(point)
    assert valid.all()
    assert abs(float(pixels[0, 0]) - (200 + 60 * angle)) < 1e-9
    torch.testing.assert_close(wide.rays(pixels), point)
    assert wide.project(torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64))[1].all()


def test_first_pixel_is_centred_at_a_half_and_the_axis_at_the_principal_point() -> None:
    camera = Camera(100.0, 100.0, 2.0, 1.5, 4, 3)
    assert camera.pixels()[0].tolist() == [0.5, 0.5]
    assert camera.pixels()[1].tolist() == [1.5, 0.5]
    assert camera.pixels()[-1].tolist() == [3.5, 2.5]
    assert len(camera.pixels()) == 12
    assert camera.pixels(2).tolist() == [[0.5, 0.5], [2.5, 0.5], [0.5, 2.5], [2.5, 2.5]]
    torch.testing.assert_close(camera.rays(torch.tensor([[2.0, 1.5]])), torch.tensor([[0.0, 0.0, 1.0]]))
    assert camera.matrix.tolist() == [[100.0, 0.0, 2.0], [0.0, 100.0, 1.5], [0.0, 0.0, 1.0]]


def test_from_fov() -> None:
    camera = Camera.from_fov(math.radians(90), 200, 100)
    assert abs(camera.fx - 100) < 1e-12
    edge = camera.rays(torch.tensor([[200.0, 50.0]], dtype=torch.float64))
    torch.testing.assert_close(edge, torch.tensor([[0.5**0.5, 0.0, 0.5**0.5]], dtype=torch.float64))
    assert camera.pixel_rad == pytest.approx(0.01)


@each_camera
def test_resized_and_cut_pictures_show_the_same_points(camera: Camera) -> None:
    points = points_in_view(camera)
    pixels, valid = camera.project(points)
    small = camera.rescale(160, 60)
    torch.testing.assert_close(small.project(points)[0][valid], pixels[valid] * torch.tensor([0.5, 0.25]))
    cut = camera.crop(40, 30, 200, 150)
    moved, inside = cut.project(points)
    torch.testing.assert_close(moved[valid], pixels[valid] - torch.tensor([40.0, 30.0]))
    box = (pixels[:, 0] >= 40) & (pixels[:, 0] < 240) & (pixels[:, 1] >= 30) & (pixels[:, 1] < 180)
    assert torch.equal(inside, box)
    order = camera.crop(40, 30, 200, 150).rescale(100, 75), camera.rescale(160, 120).crop(20, 15, 100, 75)
    assert order[0] == order[1]


def test_fit_within_never_enlarges() -> None:
    assert PINHOLE.fit_within(640) == PINHOLE
    assert (PINHOLE.fit_within(100).width, PINHOLE.fit_within(100).height) == (100, 75)
    assert Camera(1.0, 1.0, 0.0, 0.0, 1000, 1).fit_within(10).height == 1
    assert PINHOLE.with_focal_scale(1.1).fy == pytest.approx(335.5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fx": 0.0}, "positive"),
        ({"fy": -1.0}, "positive"),
        ({"width": 0}, "positive"),
        ({"cx": math.nan}, "finite"),
        ({"fx": math.inf}, "finite"),
        ({"distortion": (0.1,)}, "at most 0"),
        ({"model": "fisheye", "distortion": (0.1,) * 5}, "at most 4"),
    ],
)
def test_impossible_cameras_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ResectError, match=says):
        replace(PINHOLE, **change)


@pytest.mark.parametrize("fov", [0.0, math.pi, -1.0, math.nan])
def test_impossible_fields_of_view_are_refused(fov: float) -> None:
    with pytest.raises(ResectError, match="between 0 and 180"):
        Camera.from_fov(fov, 10, 10)


@each_camera
def test_no_pixels_and_no_points(camera: Camera) -> None:
    assert camera.rays(torch.zeros(0, 2)).shape == (0, 3)
    pixels, valid = camera.project(torch.zeros(0, 3))
    assert pixels.shape == (0, 2)
    assert valid.shape == (0,)


@pytest.mark.parametrize("camera", [replace(PINHOLE, model="opencv", distortion=(-0.28,)), FISHEYE])
def test_pixels_beyond_the_lens_get_the_direction_at_its_edge(camera: Camera) -> None:
    far = torch.tensor([[5000.0, 118.2], [161.3, -9000.0], [1e6, 1e6]], dtype=torch.float64)
    rays = camera.rays(far)
    assert rays.isfinite().all()
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(3, dtype=torch.float64))
    angle = torch.atan2(rays[:, :2].norm(dim=-1), rays[:, 2])
    assert (angle - angle[0]).abs().max() < 1e-3
    assert 0.5 < angle[0] < math.pi


def test_cameras_outside_the_batch_of_points() -> None:
    points = points_in_view(BARREL, 24).view(2, 3, 4, 3)
    pixels, valid = BARREL.project(points)
    assert pixels.shape == (2, 3, 4, 2)
    assert valid.shape == (2, 3, 4)
    torch.testing.assert_close(BARREL.rays(pixels).view(-1, 3), BARREL.rays(pixels.view(-1, 2)))
