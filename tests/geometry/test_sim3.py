"""Similarities against 4×4 matrices, and cameras carried between worlds of another scale."""

import torch

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3


def random_similarities(count: int, seed: int = 0) -> Sim3:
    generator = torch.Generator().manual_seed(seed)
    rotations = so3.random(count, generator=generator, dtype=torch.float64)
    scale = torch.rand(count, generator=generator, dtype=torch.float64) * 3 + 0.2
    return Sim3(scale, rotations, torch.randn(count, 3, generator=generator, dtype=torch.float64))


def matrix(x: Sim3) -> torch.Tensor:
    out = torch.eye(4, dtype=torch.float64).repeat(len(x.s), 1, 1)
    out[:, :3, :3], out[:, :3, 3] = x.s[:, None, None] * x.R, x.t
    return out


def test_products_and_inverses_are_those_of_the_matrices() -> None:
    x, y = random_similarities(6, 0), random_similarities(6, 1)
    torch.testing.assert_close(matrix(x @ y), matrix(x) @ matrix(y))
    torch.testing.assert_close(matrix(x.inverse()), torch.linalg.inv(matrix(x)))
    points = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = (matrix(x)[:, None, :3, :3] @ points[..., None])[..., 0] + x.t[:, None]
    torch.testing.assert_close(x.apply(points), expected)
    one = Sim3.identity(torch.float64)
    torch.testing.assert_close((one @ Sim3(x.s[0], x.R[0], x.t[0])).t, x.t[0])


def test_a_moved_camera_sees_the_moved_points_at_the_same_pixels() -> None:
    a_from_b = random_similarities(1)
    a_from_b = Sim3(a_from_b.s[0], a_from_b.R[0], a_from_b.t[0])
    generator = torch.Generator().manual_seed(3)
    cam_from_b = SE3(so3.random(5, generator=generator, dtype=torch.float64), torch.zeros(5, 3, dtype=torch.float64))
    cam_from_b = SE3(cam_from_b.R, torch.tensor([0.1, -0.2, 4.0], dtype=torch.float64).expand(5, 3))
    points_b = 0.5 * torch.randn(5, 20, 3, generator=generator, dtype=torch.float64)
    camera = Camera.from_fov(1.2, 320, 240)
    cam_from_a = a_from_b.move_camera(cam_from_b)
    in_b = cam_from_b.apply(points_b)
    in_a = cam_from_a.apply(a_from_b.apply(points_b))
    torch.testing.assert_close(in_a, a_from_b.s * in_b)  # lengths in the camera scale with the world
    torch.testing.assert_close(camera.project(in_a)[0], camera.project(in_b)[0])
    back = a_from_b.inverse().move_camera(cam_from_a)
    torch.testing.assert_close(back.matrix(), cam_from_b.matrix())
