"""Where the grid is put: each case of the rule, and that the world's own frame does not matter."""

import math

import pytest
import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.scenes.field.frame import ROOM_RADII, find_frame


def ring(radius: float = 4.0, count: int = 12) -> SE3:
    """Cameras on a circle that look at (1, 2, 3)."""
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    target = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    center = target + radius * torch.stack([angle.cos(), angle.sin(), 0.3 + 0 * angle], -1) / math.hypot(1, 0.3)
    return look_at(center, target.expand_as(center))


def wall(count: int = 15) -> SE3:
    """Cameras beside one another, all looking along z."""
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    ahead = center + torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return look_at(center, ahead, torch.tensor([0.0, -1.0, 0.0]))


def outward(count: int = 20) -> SE3:
    """Cameras near one another that look in all directions."""
    generator = torch.Generator().manual_seed(1)
    center = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    away = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)
    return look_at(center, center + away)


def test_cameras_around_a_place_put_it_at_the_origin() -> None:
    frame = find_frame(ring())
    assert frame.case == "common"
    local = frame.local_from_world.apply(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
    torch.testing.assert_close(local, torch.zeros(1, 3, dtype=torch.float64), atol=1e-5, rtol=0)
    assert float(frame.local_from_world.s) == pytest.approx(1 / 4.0, rel=1e-5)
    assert (frame.near, frame.far, frame.typical) == pytest.approx((0.3, 40.0, 1.0), rel=1e-5)


def test_known_depths_bring_near_nearer() -> None:
    assert find_frame(ring(), depth_range=(0.5, 9.0)).near == pytest.approx(0.8 * 0.5 / 4.0, rel=1e-5)


def test_parallel_cameras_put_the_nearest_content_at_one() -> None:
    frame = find_frame(wall(), depth_range=(3.0, 50.0))
    assert frame.case == "ahead"
    assert float(frame.local_from_world.s) == pytest.approx(1 / 3.0)
    middle = frame.local_from_world.apply(wall().center).mean(0)
    torch.testing.assert_close(middle, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)


def test_cameras_that_look_about_are_the_middle_of_the_ball() -> None:
    poses = outward()
    frame = find_frame(poses)
    assert frame.case == "around"
    spread = (poses.center - poses.center.mean(0)).norm(dim=-1).mean()
    assert float(frame.local_from_world.s) == pytest.approx(1 / (ROOM_RADII * float(spread)))


def test_an_object_fills_the_ball() -> None:
    """The silhouette of a sphere of radius 1.3 about the point looked at."""
    poses = ring()
    target = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    silhouettes = []
    for center in poses.center:
        axis = torch.nn.functional.normalize(target - center, dim=0)
        side = torch.linalg.cross(axis, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
        side = side / side.norm()
        edge = math.asin(1.3 / 4.0)
        rays = torch.stack([math.cos(a) * axis + math.sin(a) * side for a in (-edge, 0.0, edge)])
        silhouettes.append((center.expand_as(rays), rays))
    frame = find_frame(poses, silhouettes)
    assert frame.case == "object"
    assert float(frame.local_from_world.s) == pytest.approx(1 / 1.3, rel=1e-4)
    assert frame.near == pytest.approx(4.0 / 1.3 - 1.1, rel=1e-4)
    assert frame.far == pytest.approx(4.0 / 1.3 + 1.1, rel=1e-4)


@pytest.mark.parametrize("poses", [ring(), outward(), wall()], ids=["ring", "outward", "wall"])
def test_the_frame_follows_the_world(poses: SE3) -> None:
    """Turning, scaling and moving the world changes no local camera but by the turn."""
    turn = so3.exp(torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64))
    moved = Sim3(torch.tensor(7.0, dtype=torch.float64), turn, torch.tensor([5.0, -2.0, 9.0], dtype=torch.float64))
    before, after = find_frame(poses), find_frame(moved.move_camera(poses))
    assert (before.case, before.near, before.far) == (after.case, pytest.approx(after.near), pytest.approx(after.far))
    a = before.local_from_world.apply(poses.center)
    b = after.local_from_world.apply(moved.move_camera(poses).center)
    torch.testing.assert_close(a @ turn.T, b, atol=1e-6, rtol=1e-6)


def test_parallel_cameras_without_known_depths_are_the_middle() -> None:
    assert find_frame(wall()).case == "around"


def test_bad_poses_are_refused() -> None:
    nan = SE3(torch.eye(3, dtype=torch.float64).expand(3, 3, 3), torch.full((3, 3), math.nan, dtype=torch.float64))
    with pytest.raises(ResectError, match="finite"):
        find_frame(nan)
