"""Rotations from surfaces against those that surfaces were made of, and losses against closed forms."""

import math

import torch
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.priors.posecnn.cuts import Cuts, cuts_of
from resect.priors.posecnn.surface import Surface, rotations_of, surface_loss

CAMERA = Camera.from_fov(0.9, 96, 72)
SIDE, DISTANCE = 12, 4.0


def ball(patches: int = 400) -> tuple[Tensor, Tensor, Cuts, Tensor, Tensor]:
    """Rotations, patches, cuts, and what each part shows of a ball whose diameter is 1: where, and whether."""
    g = torch.Generator().manual_seed(0)
    turn = so3.random(5, generator=g)
    own = torch.nn.functional.normalize(torch.randn(patches, 3, generator=g), dim=-1) / 2
    cuts = cuts_of(torch.tensor([[30.0, 20.0, 50.0, 40.0]]).expand(5, 4), CAMERA)
    cuts = Cuts(cuts.turn, torch.full((5,), 0.6 / DISTANCE))
    ray = torch.nn.functional.normalize(cuts.rays(SIDE), dim=-1)
    along = DISTANCE * ray[..., 2]
    inner = along.square() - DISTANCE**2 + 0.25
    place = ray * (along - inner.clamp_min(0).sqrt())[..., None] - torch.tensor([0.0, 0.0, DISTANCE])
    return turn, own.expand(5, -1, -1), cuts, torch.einsum("nijc,ncd->nijd", place, turn), inner > 0


def told(place: Tensor, shown: Tensor, turn: Tensor, own: Tensor, sure: float = 30.0) -> Surface:
    """A network's word of it."""
    near = torch.cdist(place.flatten(1, 2), own).argmin(-1).view(shown.shape)
    patch = sure * torch.nn.functional.one_hot(near, own.shape[1]).movedim(-1, 1).float()
    return Surface(torch.where(shown, sure, -sure), torch.einsum("nijc,nc->nij", place, turn[:, 2]), patch)


def test_a_true_surface_gives_the_true_rotation() -> None:
    turn, own, cuts, place, shown = ball()
    found = rotations_of(told(place, shown, turn, own), cuts, torch.full((5,), DISTANCE), own)
    assert float(so3.angle(found, turn).max()) < 0.05  # a patch is 0.1 of the diameter wide
    nearer = rotations_of(told(place, shown, turn, own), cuts, torch.full((5,), 0.9 * DISTANCE), own)
    assert float(so3.angle(nearer, turn).max()) < 0.1


def test_a_third_of_the_parts_may_be_wrong() -> None:
    turn, own, cuts, place, shown = ball()
    true = told(place, shown, turn, own)
    lies = true.patch.roll(7, 1).flatten(2)
    lies[:, :, ::3] = true.patch.flatten(2)[:, :, 1::3].roll(3, 2)
    mixed = true.patch.flatten(2).clone()
    mixed[:, :, ::3] = lies[:, :, ::3]
    found = rotations_of(
        Surface(true.shown, true.relief, mixed.view_as(true.patch)), cuts, torch.full((5,), DISTANCE), own
    )
    assert float(so3.angle(found, turn).max()) < 0.1


def test_the_truth_costs_nothing_and_errors_cost_as_they_should() -> None:
    turn, own, _, place, shown = ball()
    eye = torch.eye(3).expand(5, 1, 3, 3)
    true = told(place, shown, turn, own)
    assert float(surface_loss(true, place, shown, turn, own, eye).max()) < 1e-4
    deeper = Surface(true.shown, true.relief + 0.25, true.patch)
    torch.testing.assert_close(surface_loss(deeper, place, shown, turn, own, eye), torch.full((5,), 0.5))
    unsure = Surface(torch.zeros_like(true.shown), true.relief, torch.zeros_like(true.patch))
    expected = math.log(own.shape[1]) + math.log(2)
    torch.testing.assert_close(surface_loss(unsure, place, shown, turn, own, eye), torch.full((5,), expected))


def test_equivalent_poses_cost_nothing() -> None:
    turn, own, _, place, shown = ball()
    half = so3.exp(torch.tensor([0.0, 0.0, math.pi]))
    own = torch.cat([own, own @ half], 1)  # as symmetric as the object
    seen = told(place @ half, shown, turn @ half, own)  # R S shows at Sᵀ x what R shows at x
    both = torch.stack([torch.eye(3), half]).expand(5, -1, -1, -1)
    assert float(surface_loss(seen, place, shown, turn, own, both[:, :1]).min()) > 1
    assert float(surface_loss(seen, place, shown, turn, own, both).max()) < 1e-3


def test_nothing_is_no_error() -> None:
    turn, own, cuts, place, shown = ball()
    none = torch.zeros(0, dtype=torch.long)
    found = told(place, shown, turn, own)
    empty = Surface(found.shown[none], found.relief[none], found.patch[none])
    eye = torch.eye(3).expand(0, 1, 3, 3)
    assert len(surface_loss(empty, place[none], shown[none], turn[none], own[none], eye)) == 0
    unseen = surface_loss(found, place, torch.zeros_like(shown), turn, own, torch.eye(3).expand(5, 1, 3, 3))
    assert bool(unseen.isfinite().all())
    hidden = Surface(torch.full_like(found.shown, -200.0), found.relief, found.patch)
    assert bool(rotations_of(hidden, cuts, torch.full((5,), DISTANCE), own).isfinite().all())
