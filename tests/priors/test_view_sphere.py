import torch

from resect.geometry.look_at import look_at, view_sphere
from resect.geometry.se3 import SE3
from resect.priors.view_sphere import ViewSphere, ViewSphereSettings
from resect.types import Photo

PHOTO = Photo("x", torch.zeros(4, 4, 3))
BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def one_sided(count: int) -> SE3:
    """Cameras before a wall, moved sideways."""
    g = seeded()
    centers = torch.rand(count, 3, generator=g, dtype=torch.float64) * torch.tensor([2.0, 0.3, 1.0]) + torch.tensor(
        [-1.0, -4.0, 0.0]
    )
    targets = centers + torch.tensor([0.0, 4.0, 0.0])
    return look_at(centers, targets)


def test_without_cameras_all_look_at_the_middle_from_outside_the_box() -> None:
    found = ViewSphere.around(BOX + 3).propose(PHOTO, 64, seeded()).cam_from_world
    middle = torch.full((3,), 3.0).double()
    inward = torch.nn.functional.normalize(middle - found.center, dim=-1)
    assert torch.allclose((inward * found.axis).sum(-1), torch.ones(64).double(), atol=1e-9)
    assert float((found.center - middle).norm(dim=-1).min()) > 3**0.5


def test_directions_cover_the_sphere() -> None:
    found = ViewSphere.around(BOX, settings=ViewSphereSettings(jitter=0.1)).propose(PHOTO, 200, seeded())
    directions = torch.nn.functional.normalize(found.cam_from_world.center, dim=-1)
    anywhere = torch.nn.functional.normalize(torch.randn(500, 3, generator=seeded(), dtype=torch.float64), dim=-1)
    gap = torch.rad2deg((anywhere @ directions.mT).max(1).values.clamp(-1, 1).acos())
    assert float(gap.max()) < 25


def test_rolls_are_turns_about_the_axis() -> None:
    found = ViewSphere.around(BOX, settings=ViewSphereSettings(rolls=4)).propose(PHOTO, 8, seeded()).cam_from_world
    assert torch.allclose(found.center[:4], found.center[:1].expand(4, 3), atol=1e-9)
    relative = found.R[1] @ found.R[0].mT
    assert torch.allclose(relative[2], torch.tensor([0.0, 0.0, 1.0]).double(), atol=1e-9)


def test_cameras_around_an_object_give_an_orbit_at_their_distance() -> None:
    cameras = view_sphere(50, 3.0, dtype=torch.float64)
    sphere = ViewSphere.around(BOX, cameras)
    assert sphere.cameras is None
    assert abs(sphere.radius - 3.0) < 1e-6


def test_cameras_of_a_place_are_stood_at_and_kept_upright() -> None:
    cameras = one_sided(12)
    sphere = ViewSphere.around(BOX, cameras, settings=ViewSphereSettings(reach=0.02))
    found = sphere.propose(PHOTO, 30, seeded()).cam_from_world
    assert float(torch.cdist(found.center, cameras.center).min(1).values.max()) < 0.2 * sphere.radius
    assert float((found.axis @ torch.tensor([0.0, 1.0, 0.0]).double()).min()) > 0.9
    assert float((-found.R[:, 1] @ torch.tensor([0.0, 0.0, 1.0]).double()).min()) > 0.9


def test_every_camera_is_used_before_one_comes_twice() -> None:
    cameras = one_sided(10)
    sphere = ViewSphere.around(BOX, cameras, settings=ViewSphereSettings(reach=1e-6))
    found = sphere.propose(PHOTO, 10, seeded()).cam_from_world
    nearest = torch.cdist(found.center, cameras.center).argmin(1)
    assert len(nearest.unique()) == 10
