import math

import numpy as np
import pytest
import torch

from resect.data.procedural_shapes.families import FAMILIES, bar, box, cylinder, draw
from resect.data.procedural_shapes.solid import Solid, join
from resect.data.procedural_shapes.views import draw_view, render
from resect.errors import ResectError

GREY = (0.5, 0.5, 0.5)


def cube_points(count: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, generator=g, dtype=torch.float64) * 1.1 - 0.55


@pytest.mark.parametrize(
    ("solid", "volume"),
    [
        (box((0.1, 0.0, -0.1), (0.4, 0.2, 0.6), GREY), 0.4 * 0.2 * 0.6),
        (cylinder((0.0, 0.1, 0.0), (0.5, 0.3, 0.2), GREY), math.pi * 0.25 * 0.1 * 0.3),
        (bar((-0.2, -0.3, 0.1), (0.3, 0.2, -0.1), 0.1, GREY, True), math.pi * 0.05**2 * math.sqrt(0.54)),
    ],
)
def test_volumes_are_those_of_the_textbook(solid: Solid, volume: float) -> None:
    points = cube_points(150_000)
    share = solid.contains(points).double().mean()
    assert float(solid.volumes().sum()) == pytest.approx(volume)
    assert float(share) * 1.1**3 == pytest.approx(volume, rel=0.05)
    low, high = solid.bounds()
    inside = points[solid.contains(points)]
    assert bool((inside >= low).all())
    assert bool((inside <= high).all())
    assert bool((inside.amax(0) > high - 0.03).all())  # and the box is tight


def test_rays_enter_where_inside_begins() -> None:
    solid = join([box((0, 0, 0), (0.3, 0.2, 0.4), GREY), bar((-0.3, -0.2, 0), (0.3, 0.3, 0.2), 0.12, GREY, True)])
    g = torch.Generator().manual_seed(1)
    origin = torch.tensor([1.3, 0.4, -0.9], dtype=torch.float64)
    target = (torch.rand(4000, 3, generator=g, dtype=torch.float64) - 0.5) * 0.5
    direction = target - origin
    both = [solid.meet(part, origin, direction) for part in range(2)]
    distance = torch.minimum(both[0][0], both[1][0])
    hit = distance.isfinite()
    assert 0.2 < float(hit.double().mean()) < 0.95
    at = origin + direction[hit] * distance[hit, None]
    step = 1e-6 * direction[hit]
    assert bool(solid.contains(at + step).all())
    assert not bool(solid.contains(at - step).any())
    normal = torch.where((both[0][0] < both[1][0])[:, None], both[0][1], both[1][1])[hit]
    assert torch.allclose(normal.norm(dim=-1), torch.ones(len(at), dtype=torch.float64))
    assert bool(((normal * direction[hit]).sum(-1) < 0).all())
    along = torch.linspace(0, 1.6, 400, dtype=torch.float64)  # rays that miss meet nothing anywhere
    missed = (origin + direction[~hit][:, None] * along[:, None]).reshape(-1, 3)
    assert not bool(solid.contains(missed).any())


def test_surface_points_lie_on_the_outside_with_their_normals() -> None:
    solid = draw("chair", "train", 3)
    points, normals = solid.surface(2000, torch.Generator().manual_seed(0))
    assert not bool(solid.contains(points + 2e-4 * normals).any())
    assert float(solid.contains(points - 2e-3 * normals).double().mean()) > 0.99  # prisms lie a little inside cylinders
    assert torch.allclose(normals.norm(dim=-1), torch.ones(2000, dtype=torch.float64))


@pytest.mark.parametrize("category", sorted(FAMILIES))
def test_shapes_are_as_specified(category: str) -> None:
    shapes = [draw(category, "test", i) for i in range(40)]
    for solid in shapes:
        low, high = solid.bounds()
        assert torch.allclose(low + high, torch.zeros(3, dtype=torch.float64), atol=1e-9)
        assert float((high - low).max()) == pytest.approx(1.0)
    assert len({len(s.half) for s in shapes}) > 1  # they differ in their parts
    again, other, trained = draw(category, "test", 0), draw(category, "test", 0, seed=1), draw(category, "train", 0)
    assert torch.equal(again.center, shapes[0].center)
    assert not torch.equal(other.bounds(), again.bounds())
    assert not torch.equal(trained.bounds(), again.bounds())


def test_every_leg_of_a_chair_has_its_share_of_the_volume() -> None:
    for i in range(60):
        volumes = draw("chair", "val", i).volumes()
        assert bool((volumes[:4] >= 0.02 * volumes.sum() - 1e-9).all())


def test_chairs_look_to_plus_x() -> None:
    for i in range(20):
        solid = draw("chair", "val", i)
        top = solid.mesh().vertices
        top = top[top[:, 1] > 0.4]
        assert float(top[:, 0].mean()) < 0


def test_pictures_show_where_the_solid_is() -> None:
    solid = draw("chair", "train", 0)
    view = draw_view(np.random.default_rng(0), 64)
    image = render(solid, view)
    assert image.shape == (64, 64, 4)
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    points, _ = solid.surface(4000, torch.Generator().manual_seed(0))
    pixels, valid = view.camera.project(view.cam_from_obj.apply(points))
    assert bool(valid.all())
    rows, columns = pixels[:, 1].long(), pixels[:, 0].long()
    assert float((image[rows, columns, 3] > 0).double().mean()) > 0.98  # a sliver may miss all four rays
    covered = torch.zeros(64, 64, dtype=torch.bool)
    covered[rows, columns] = True
    opaque = image[..., 3] == 1
    assert float((opaque & ~covered).double().mean()) < 0.02  # nothing is drawn where the surface is not
    assert torch.equal(image[image[..., 3] == 0][:, :3], torch.ones(int((image[..., 3] == 0).sum()), 3))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ResectError, match="chair"):
        draw("chairs", "train", 0)
    with pytest.raises(ResectError, match="test"):
        draw("chair", "tests", 0)
