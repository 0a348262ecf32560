"""Rotations and places by likelihood, against those that surfaces were made of."""

import math
from dataclasses import replace
from functools import cache

import torch
from tests.priors.posecnn.table import table
from torch import Tensor

from resect.geometry import so3
from resect.priors.posecnn.cuts import Cuts, shown_surface
from resect.priors.posecnn.objects import KnownObject, known_objects
from resect.priors.posecnn.patterns import Patterns, Turned, patterns_of, turned
from resect.priors.posecnn.surface import Surface

SIDE, PATCHES, DISTANCE = 32, 64, 5.0
ONE, NEAR = torch.eye(3)[None], 21.0  # degrees; neighbouring rotations are 15 apart


@cache
def brick() -> tuple[KnownObject, Patterns]:
    (known, _) = known_objects(table(), 8192, PATCHES, torch.Generator().manual_seed(0))
    return known, patterns_of(known)


def seen(rotation: Tensor, reach: float, middle: tuple[float, float] = (0.0, 0.0)) -> tuple[Surface, Cuts]:
    """What a good network makes of a brick, unsure between neighbouring patches; its cut, of half width `reach` at unit
    depth.
    """
    known, _ = brick()
    cuts, place = Cuts(ONE, torch.tensor([reach])), DISTANCE * torch.tensor([[*middle, 1.0]])
    shown, hit = shown_surface(cuts, known.seen_from_middle(known.points)[None], rotation[None], place, SIDE)
    off = torch.cdist(shown.flatten(1, 2), known.seen_from_middle(known.patches)[None])
    patch = -0.5 * (off / 0.1).square().mT.view(1, PATCHES, SIDE, SIDE)
    return Surface(torch.where(hit, 20.0, -20.0), patch), cuts


def apart(found: Turned, rotation: Tensor) -> Tensor:
    """Degrees from each to a rotation."""
    return torch.rad2deg(so3.angle(found.rotation, rotation.expand_as(found.rotation)))


def test_the_likeliest_rotation_is_the_true_one() -> None:
    _, patterns = brick()
    for true in so3.random(6, generator=torch.Generator().manual_seed(1)):
        surface, cuts = seen(true, 0.13)
        found = turned(surface, cuts, patterns, 50)
        assert len(found.rotation) == 50
        assert float(apart(found, true)[0]) < NEAR
        assert abs(float(found.middle[0, 2]) / DISTANCE - 1) < 0.06
        assert float(found.middle[0, :2].norm()) < 0.06
        assert bool((found.log_weight.diff() <= 0).all())
        near = found.log_weight.softmax(0) * (apart(found, true) < 2 * NEAR)
        assert float(near.sum()) > 0.9


def test_a_box_may_be_off() -> None:
    """A fifth larger or smaller than its object, and a tenth of it to the side."""
    _, patterns = brick()
    true = so3.random(1, generator=torch.Generator().manual_seed(2))[0]
    for reach in (0.11, 0.16):
        surface, cuts = seen(true, reach, (0.1 * reach, -0.05 * reach))
        found = turned(surface, cuts, patterns, 1)
        assert float(apart(found, true)[0]) < NEAR
        assert abs(float(found.middle[0, 2]) / DISTANCE - 1) < 0.15
        there = found.middle[0, :2] / found.middle[0, 2]
        assert float((there - reach * torch.tensor([0.1, -0.05])).norm()) < 0.1 * reach


def test_a_third_may_be_hidden_and_a_third_of_the_rest_wrong() -> None:
    _, patterns = brick()
    true = so3.random(1, generator=torch.Generator().manual_seed(3))[0]
    surface, cuts = seen(true, 0.13)
    shown, patch = surface.shown.clone(), surface.patch.clone()
    shown[:, :, :12] = -20.0
    patch[:, :, :, ::3] = patch[:, :, :, ::3].roll(9, 1)
    found = turned(Surface(shown, patch), cuts, patterns, 1)
    assert float(apart(found, true)[0]) < NEAR


def test_what_looks_alike_is_as_likely() -> None:
    """Patches that do not tell the ends of the brick apart leave its half turns."""
    known, patterns = brick()
    true = so3.random(1, generator=torch.Generator().manual_seed(4))[0]
    surface, cuts = seen(true, 0.13)
    half = so3.exp(torch.tensor([0.0, 0.0, math.pi]))
    own = known.seen_from_middle(known.patches)
    other = torch.cdist(own @ half, own).argmin(1)
    likely = surface.patch.softmax(1)
    both = Surface(surface.shown, (likely + likely[:, other] + 1e-6).log())
    found = turned(both, cuts, patterns, 200)
    weight = found.log_weight.softmax(0)
    first, second = (float((weight * (apart(found, r) < 2 * NEAR)).sum()) for r in (true, true @ half))
    assert first + second > 0.9
    assert min(first, second) > 0.02


def test_nothing_shown_is_finite_and_undecided() -> None:
    known, patterns = brick()
    nothing = Surface(torch.full((1, SIDE, SIDE), -200.0), torch.zeros(1, PATCHES, SIDE, SIDE))
    found = turned(nothing, Cuts(ONE, torch.tensor([0.1])), patterns, 4000)
    assert bool(found.log_weight.isfinite().all())
    assert bool((found.middle[:, 2] > 0).all())
    few = patterns_of(replace(known, points=known.points[:20]), 30)
    assert len(few.rotation) <= 30
    assert int(few.patch.max()) == PATCHES


def test_objects_of_any_units_have_the_same_patterns() -> None:
    known, _ = brick()
    mm = replace(
        known, points=1000 * known.points, patches=1000 * known.patches, middle=1000 * known.middle,
        diameter=1000 * known.diameter,
    )  # fmt: skip
    found = patterns_of(mm, 60)
    ours = patterns_of(known, 60)
    assert float((found.patch != ours.patch).float().mean()) < 0.01
    torch.testing.assert_close(found.reach, ours.reach)
