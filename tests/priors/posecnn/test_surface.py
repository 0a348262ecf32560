"""Losses of surfaces against closed forms."""

import math

import torch
from torch import Tensor

from resect.geometry import so3
from resect.priors.posecnn.cuts import Cuts
from resect.priors.posecnn.surface import Surface, surface_loss

SIDE, DISTANCE = 12, 4.0


def ball(patches: int = 400) -> tuple[Tensor, Tensor, Tensor]:
    """Patches, and what each part of five cuts shows of a ball whose diameter is 1: where, and whether."""
    g = torch.Generator().manual_seed(0)
    turn = so3.random(5, generator=g)
    own = torch.nn.functional.normalize(torch.randn(patches, 3, generator=g), dim=-1) / 2
    cuts = Cuts(torch.eye(3).expand(5, 3, 3), torch.full((5,), 0.6 / DISTANCE))
    ray = torch.nn.functional.normalize(cuts.rays(SIDE), dim=-1)
    along = DISTANCE * ray[..., 2]
    inner = along.square() - DISTANCE**2 + 0.25
    place = ray * (along - inner.clamp_min(0).sqrt())[..., None] - torch.tensor([0.0, 0.0, DISTANCE])
    return own.expand(5, -1, -1), torch.einsum("nijc,ncd->nijd", place, turn), inner > 0


def told(place: Tensor, shown: Tensor, own: Tensor, sure: float = 30.0) -> Surface:
    """A network's word of it."""
    near = torch.cdist(place.flatten(1, 2), own).argmin(-1).view(shown.shape)
    patch = sure * torch.nn.functional.one_hot(near, own.shape[1]).movedim(-1, 1).float()
    return Surface(torch.where(shown, sure, -sure), patch)


def test_the_truth_costs_nothing_and_errors_cost_as_they_should() -> None:
    own, place, shown = ball()
    eye = torch.eye(3).expand(5, 1, 3, 3)
    true = told(place, shown, own)
    assert float(surface_loss(true, place, shown, own, eye).max()) < 1e-4
    unsure = Surface(torch.zeros_like(true.shown), torch.zeros_like(true.patch))
    expected = math.log(own.shape[1]) + math.log(2)
    torch.testing.assert_close(surface_loss(unsure, place, shown, own, eye), torch.full((5,), expected))


def test_equivalent_poses_cost_nothing() -> None:
    own, place, shown = ball()
    half = so3.exp(torch.tensor([0.0, 0.0, math.pi]))
    own = torch.cat([own, own @ half], 1)  # as symmetric as the object
    seen = told(place @ half, shown, own)  # R S shows at Sᵀ x what R shows at x
    both = torch.stack([torch.eye(3), half]).expand(5, -1, -1, -1)
    assert float(surface_loss(seen, place, shown, own, both[:, :1]).min()) > 1
    assert float(surface_loss(seen, place, shown, own, both).max()) < 1e-3


def test_nothing_is_no_error() -> None:
    own, place, shown = ball()
    none = torch.zeros(0, dtype=torch.long)
    found = told(place, shown, own)
    empty = Surface(found.shown[none], found.patch[none])
    eye = torch.eye(3).expand(0, 1, 3, 3)
    assert len(surface_loss(empty, place[none], shown[none], own[none], eye)) == 0
    unseen = surface_loss(found, place, torch.zeros_like(shown), own, torch.eye(3).expand(5, 1, 3, 3))
    assert bool(unseen.isfinite().all())
