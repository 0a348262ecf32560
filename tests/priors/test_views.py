import math

import torch

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.priors.views import Views, hull_points
from resect.types import Photo, Target

CAMERA = Camera(570.0, 570.0, 320.0, 240.0, 640, 480)


def boxed(points: torch.Tensor, pose: SE3, *, as_mask: bool = False) -> Photo:
    pixels, _ = CAMERA.project(pose.apply(points))
    (left, top), (right, bottom) = pixels.amin(0).tolist(), pixels.amax(0).tolist()
    target = Target("1", box=(left, top, right, bottom))
    if as_mask:
        mask = torch.zeros(480, 640, dtype=torch.bool)
        mask[round(top) : round(bottom), round(left) : round(right)] = True
        target = Target("1", mask=mask)
    return Photo("p", torch.zeros(480, 640, 3), CAMERA, target=target)


def test_some_view_is_near_any_truth() -> None:
    solid = box((40.0, 60.0, 100.0))
    points = solid.vertices.double()
    views, generator = Views.of(solid), torch.Generator().manual_seed(0)
    for seed in range(6):
        turn = so3.exp(2 * torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
        truth = SE3(turn, torch.tensor([60.0, -30.0, 800.0], dtype=torch.float64))
        found = views.propose(boxed(points, truth, as_mask=seed % 2 == 1), 4000, generator)
        angle = so3.angle(found.cam_from_world.R, truth.R.expand(len(found), 3, 3))
        best = int(angle.argmin())
        assert math.degrees(float(angle[best])) < 14
        assert float((found.cam_from_world.t[best] - truth.t).norm()) < 0.1 * 800


def test_without_box_and_mask_nothing_is_proposed() -> None:
    views = Views.of(box((1.0, 1.0, 1.0)))
    photo = Photo("p", torch.zeros(4, 4, 3), CAMERA)
    assert len(views.propose(photo, 100, torch.Generator())) == 0


def test_hull_points_bound_all_others() -> None:
    points = torch.randn(5000, 3, generator=torch.Generator().manual_seed(1))
    few = hull_points(points)
    assert len(few) <= 512
    toward = torch.nn.functional.normalize(torch.randn(100, 3, generator=torch.Generator().manual_seed(2)), dim=-1)
    assert float(((points @ toward.T).amax(0) - (few @ toward.T).amax(0)).max()) < 0.15
