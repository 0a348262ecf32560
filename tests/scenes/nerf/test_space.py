"""Normalised device coordinates against the projection that they are, and the frame of captures that look ahead."""

import torch

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.scenes.nerf.space import Space, ahead, place


def device_coordinates(points: torch.Tensor, sx: float, sy: float) -> torch.Tensor:
    """The perspective matrix with near plane 1 and the far one at infinity, in OpenGL's axes."""
    x, y, z = points.unbind(-1)
    return torch.stack([-sx * x / z, -sy * y / z, 1 + 2 / z], -1)


def test_a_warped_ray_is_the_projection_of_the_ray() -> None:
    g = torch.Generator().manual_seed(0)
    space = Space(Sim3.identity(torch.float64), 0.0, 1.0, (1.7, 2.2))
    origin = 0.3 * torch.randn(50, 3, generator=g, dtype=torch.float64)
    direction = torch.randn(50, 3, generator=g, dtype=torch.float64) * 0.3 - torch.tensor([0.0, 0.0, 1.0]).double()
    direction = torch.nn.functional.normalize(direction, dim=-1)
    o, d = space.warped(origin, direction)
    at = torch.rand(50, generator=g, dtype=torch.float64) * 0.98
    distance = space.distance(at, origin, direction)
    expected = device_coordinates(origin + distance[:, None] * direction, 1.7, 2.2)
    torch.testing.assert_close(o + at[:, None] * d, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(place(space, distance, origin, direction), at, atol=1e-9, rtol=1e-9)


def test_the_frame_of_a_capture_that_looks_ahead() -> None:
    g = torch.Generator().manual_seed(1)
    base = so3.exp(torch.tensor([0.4, -0.8, 0.3], dtype=torch.float64))
    turn = so3.exp(0.05 * torch.randn(9, 3, generator=g, dtype=torch.float64)) @ base
    center = torch.tensor([3.0, -2.0, 5.0]) + torch.randn(9, 3, generator=g, dtype=torch.float64)
    poses = SE3(turn, -(turn @ center[..., None])[..., 0])
    space = ahead(poses, Camera(300.0, 310.0, 160.0, 120.0, 320, 240), 8.0)
    origin, direction = space.local(poses.center, poses.axis)
    torch.testing.assert_close(origin.mean(0), torch.zeros(3).double(), atol=1e-9, rtol=0)
    assert float(direction[:, 2].max()) < -0.95
    mean = torch.nn.functional.normalize(direction.mean(0), dim=0)
    torch.testing.assert_close(mean, torch.tensor([0.0, 0.0, -1.0]).double(), atol=1e-9, rtol=0)
    _, up = space.local(poses.center, -poses.R[:, 1])
    assert float(up[:, 1].min()) > 0.95
    nearest, _ = space.local((poses.center.mean(0) + 8.0 * turn.mean(0)[2])[None], direction[:1])
    assert float(nearest[0, 2]) < -1.2  # content lies behind the plane where the warp begins
    assert space.warp == (600 / 320, 620 / 240)


def test_rays_are_sampled_inside_the_box_alone() -> None:
    box = torch.tensor([[-0.5, -0.4, -0.3], [0.5, 0.4, 0.3]], dtype=torch.float64)
    space = Space(Sim3.identity(torch.float64), 0.2, 9.0, box=box)
    g = torch.Generator().manual_seed(2)
    origin = 2 * torch.randn(200, 3, generator=g, dtype=torch.float64)
    direction = torch.nn.functional.normalize(torch.randn(200, 3, generator=g).double() - origin, dim=-1)
    near, far = space.span(origin, direction)
    steps = torch.linspace(0.2, 9.0, 8801, dtype=torch.float64)
    points = origin[:, None] + steps[:, None] * direction[:, None]
    inside = ((points > box[0]) & (points < box[1])).all(-1)
    met = near < far
    assert 20 < int(met.sum()) < 180
    assert torch.equal(met | (far - near > -1e-3), inside.any(-1) | (far - near > -1e-3))
    for i in met.nonzero()[:, 0].tolist():
        if bool(inside[i].any()):
            assert abs(float(steps[inside[i]][0] - near[i])) < 2e-3
            assert abs(float(steps[inside[i]][-1] - far[i])) < 2e-3
