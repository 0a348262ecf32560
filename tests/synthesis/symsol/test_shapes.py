"""The solids: groups, silhouettes against projected hulls, pictures that symmetry leaves alone, equivalents."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.synthesis.symsol import shapes
from resect.synthesis.symsol.equivalents import equivalents, haar, ideal, marker_pixels, pick, shows
from resect.synthesis.symsol.make import SolidSettings, make_solids
from resect.synthesis.symsol.render import AWAY, camera, render
from resect.synthesis.symsol.shapes import MARKED, PLAIN, shape

ORDERS = {"tet": 12, "cube": 24, "ico": 60, "cone": 360, "cyl": 720}


def surface(name: str) -> Tensor:
    """Points whose hull is the shape."""
    found = shape(name)
    if found.kind == "polyhedron":
        a, b, c = torch.combinations(torch.arange(len(found.normals)), 3).T
        planes = torch.stack([found.normals[a], found.normals[b], found.normals[c]], 1)
        planes = planes[torch.linalg.det(planes).abs() > 1e-6]
        corners = torch.linalg.solve(planes, torch.full((len(planes), 3), found.inradius, dtype=torch.float64))
        return corners[(corners @ found.normals.mT <= found.inradius + 1e-9).all(-1)]
    angle = torch.arange(720, dtype=torch.float64) * (2 * math.pi / 720)
    ring = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], -1)
    up = torch.tensor([0.0, 0.0, 1.0]).double()
    if found.kind == "cylinder":
        return torch.cat([shapes.CYLINDER * (ring + up), shapes.CYLINDER * (ring - up)])
    return torch.cat([shapes.CONE_RADIUS * ring + shapes.CONE_BASE * up, shapes.CONE_TIP * up[None]])


def hull_area(points: Tensor, rotation: Tensor, side: int) -> float:
    seen = points @ rotation.mT + torch.tensor([0.0, 0.0, AWAY]).double()
    flat = seen[:, :2] / seen[:, 2:] * camera(side).fx
    return float(ConvexHull(flat.numpy()).volume)  # in the plane its "volume" is the area


@pytest.mark.parametrize("name", PLAIN)
def test_silhouettes_have_the_area_of_the_hull_of_projected_points(name: str) -> None:
    r = haar(4, 9)
    for rotation, image in zip(r, render(shape(name), r, 112), strict=True):
        found = float((image[..., 0] > 0.05).double().mean() * 112**2)
        assert found == pytest.approx(hull_area(surface(name), rotation, 112), rel=0.05)


def test_a_sphere_is_a_disc_of_the_right_size() -> None:
    image = render(shape("sphereX"), haar(1, 0), 112)[0]
    radius = camera(112).fx * math.tan(math.asin(shapes.RADIUS / AWAY))
    assert float((image[..., 0] > 0).double().sum()) == pytest.approx(math.pi * radius**2, rel=0.04)


def test_all_shapes_touch_the_bounding_sphere_and_stay_inside() -> None:
    for name in PLAIN:
        assert float(surface(name).norm(dim=-1).max()) == pytest.approx(shapes.RADIUS)


@pytest.mark.parametrize("name", PLAIN)
def test_the_group_is_closed_and_leaves_the_picture_alone(name: str) -> None:
    group = shape(name).group
    assert group is not None
    assert len(group) == ORDERS[name]
    torch.testing.assert_close(group[0], torch.eye(3, dtype=torch.float64), atol=1e-12, rtol=0)
    some = group[torch.arange(1, len(group), max(1, len(group) // 7))]
    nearest = torch.einsum("aij,bjk,cik->abc", some, some, group).amax(-1)
    torch.testing.assert_close(nearest, torch.full_like(nearest, 3.0), atol=1e-9, rtol=0)
    r = haar(1, 4)
    images = render(shape(name), torch.cat([r, r[0] @ some]), 48)
    differ = (images[1:] - images[:1]).abs().amax(-1) > 1 / 255
    assert float(differ.double().mean()) < 2e-3  # rounding at edges


@pytest.mark.parametrize("name", PLAIN)
def test_other_rotations_do_change_the_picture(name: str) -> None:
    r = haar(1, 4)
    turned = r @ so3.exp(torch.tensor([[0.2, 0.1, 0.0]], dtype=torch.float64))
    one, other = render(shape(name), torch.cat([r, turned]), 48)
    assert float((one - other).abs().mean()) > 3e-3


@pytest.mark.parametrize("name", MARKED)
def test_marker_pixels_are_those_of_the_picture(name: str) -> None:
    r = haar(6, 5)
    area = marker_pixels(shape(name), r)
    image = render(shape(name), r.float(), 224)
    # A pixel that the marker covers in part is red in part: (1 − g / r) / (1 − 0.1 / 0.85).
    share = (1 - image[..., 1] / image[..., 0].clamp_min(1e-6)) / (1 - 0.1 / 0.85)
    found = (share * (image[..., 0] > 0.05)).sum((1, 2))
    torch.testing.assert_close(found.double(), area, rtol=0.08, atol=6.0)
    assert bool((area == 0).any())
    assert bool((area > 100).any())


@pytest.mark.parametrize("name", MARKED)
def test_equivalents_of_marked_shapes_look_the_same(name: str) -> None:
    found, r = shape(name), haar(12, 5)
    seen = shows(found, r)
    for rotation in (r[seen][0], r[~seen][0]):
        same = equivalents(name, rotation)
        torch.testing.assert_close(same[0], rotation)
        some = same[:: max(1, len(same) // 5)]
        images = render(found, some, 56)
        assert float(((images - images[:1]).abs().amax(-1) > 1 / 255).double().mean()) < 4e-3
    assert len(equivalents(name, r[seen][0])) == (3 if name == "tetX" else 1)
    assert len(equivalents(name, r[~seen][0])) > 3
    assert not shows(found, equivalents(name, r[~seen][0])).any()


@pytest.mark.parametrize("name", PLAIN + MARKED)
def test_picks_are_equivalents_and_reach_all_of_them(name: str) -> None:
    r = haar(12, 5)
    marked = name in MARKED
    for rotation in (r[0],) if not marked else (r[shows(shape(name), r)][0], r[~shows(shape(name), r)][0]):
        picked = pick(name, rotation.expand(400, 3, 3), (torch.arange(400).double() + 0.5) / 400)
        same = equivalents(name, rotation)
        if name == "sphereX" and not bool(shows(shape(name), rotation)):
            assert not bool(shows(shape(name), picked).any())
            continue
        nearest = (picked.flatten(1) @ same.flatten(1).mT).max(1)
        torch.testing.assert_close(nearest.values, torch.full_like(nearest.values, 3.0), atol=1e-9, rtol=0)
        times = nearest.indices.bincount(minlength=len(same))
        assert int((times == 0).sum()) <= (0 if len(same) <= 60 else len(same) // 2)
        assert len(same) > 60 or int(times.max()) <= 3 * 400 / len(same)


def test_a_set_draws_and_picks_in_the_order_asked_for() -> None:
    data = make_solids(SolidSettings(("tet", "cylO", "cube"), images=4, side=24))
    rows = [5, 1, 9, 0, 5]
    assert data.render is not None
    assert data.pick is not None
    torch.testing.assert_close(data.render(rows), torch.stack([data.photo(i).image for i in rows]))
    torch.testing.assert_close(data.pick(rows, [0.0] * 5)[[0, 2, 3, 4]], data.rotation[rows][[0, 2, 3, 4]].double())
    last = data.subset([9, 0])
    assert last.pick is not None
    torch.testing.assert_close(last.pick([1], [0.5])[0], data.pick([0], [0.5])[0])


def test_ideals_are_those_the_field_knows() -> None:
    """Reference: ceilings at level 5 with true nearest cells; the point's is exact."""
    known = {"tet": 9.90, "cube": 9.21, "ico": 8.29, "cone": 7.07, "cyl": 6.38}
    for name, value in known.items():
        mean = sum(ideal(name, r, 5) for r in haar(3, 2)) / 3
        assert mean == pytest.approx(value, abs=0.12)
    visible = next(r for r in haar(9, 2) if bool(shows(shape("sphereX"), r)))
    assert ideal("sphereX", visible, 5) == pytest.approx(12.38, abs=0.01)
    hidden = next(r for r in haar(9, 2) if not bool(shows(shape("sphereX"), r)))
    # The cross is hidden where it lies behind the horizon, 70.5° from the viewing direction, roughly 40 % of all.
    assert ideal("sphereX", hidden, 5) == pytest.approx(-math.log(0.4) - 2.2895, abs=0.3)


def test_rotations_do_not_depend_on_how_many_are_drawn() -> None:
    assert torch.equal(haar(100, 1)[:7], haar(7, 1))
    assert not torch.equal(haar(7, 0), haar(7, 1))


def test_a_set_draws_what_its_rotations_say() -> None:
    solids = make_solids(SolidSettings(("cube", "cylO"), images=3, side=32, seed=1))
    assert len(solids) == 6
    assert solids.known == ("cube", "cylO")
    assert solids.render is not None
    assert solids.equivalents is not None
    images = solids.render([4, 1, 5])
    assert images.shape == (3, 32, 32, 3)
    photo = solids.photo(1)
    torch.testing.assert_close(images[1], photo.image, atol=1e-6, rtol=0)
    assert photo.target is not None
    assert photo.target.category == "cylO"
    expected = render(shape("cube"), solids.rotation[4:5], 32)[0]
    torch.testing.assert_close(images[0], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(solids.equivalents(2)[0], solids.rotation[2])
    assert len(solids.equivalents(2)) == 24
    some = solids.subset([2, 0])
    assert some.ideal is not None
    assert some.ideal(0, 3) == pytest.approx(5.05, abs=0.1)


def test_symmetries_for_poses_stand_for_the_same_group() -> None:
    for name in PLAIN:
        group = shape(name).group
        assert group is not None
        sampled = shapes.symmetries(name).rotations(math.pi / 360)
        assert len(sampled) == len(group)
        trace = torch.einsum("aij,bij->ab", sampled, group).amax(-1)
        assert float(np.asarray(trace).min()) > 3 - 1e-3


def test_unknown_shapes_and_sizes_are_refused() -> None:
    with pytest.raises(ResectError, match="cube"):
        SolidSettings(("cub",))
    with pytest.raises(ResectError, match="side"):
        SolidSettings(side=4)
