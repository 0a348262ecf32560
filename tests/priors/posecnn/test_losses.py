"""Losses of rotations against closed forms."""

import math

import torch

from resect.geometry import so3
from resect.priors.posecnn.frames import turn_to
from resect.priors.posecnn.losses import pose_loss, shape_match_loss

RING = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
EYE = torch.eye(3)[None]


def about_z(angle: float) -> torch.Tensor:
    return so3.exp(torch.tensor([[0.0, 0.0, angle]]))


def test_points_move_along_chords() -> None:
    found = pose_loss(about_z(0.7), EYE[:, None], RING[None])
    torch.testing.assert_close(found, torch.tensor([2 * math.sin(0.35)]))


def test_equivalent_rotations_cost_nothing() -> None:
    quarter = torch.cat([about_z(k * math.pi / 2) for k in range(4)])[None]
    assert float(pose_loss(about_z(math.pi / 2), quarter, RING[None])) < 1e-5
    assert float(shape_match_loss(about_z(math.pi / 2), EYE, RING[None])) < 1e-3
    torch.testing.assert_close(
        shape_match_loss(about_z(math.pi / 4), EYE, RING[None]), torch.tensor([2 * math.sin(math.pi / 8)])
    )


def test_losses_have_gradients_off_the_truth() -> None:
    omega = torch.tensor([[0.1, -0.2, 0.3]], requires_grad=True)
    for loss in (
        pose_loss(so3.exp(omega), EYE[:, None], RING[None]),
        shape_match_loss(so3.exp(omega), EYE, RING[None]),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), omega)
        assert bool(gradient.isfinite().all())
        assert float(gradient.norm()) > 0.01


def test_the_turn_to_a_ray_is_the_shortest() -> None:
    middle = torch.tensor([[0.3, -0.2, 1.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    turn = turn_to(middle)
    ray = torch.nn.functional.normalize(middle, dim=-1)
    torch.testing.assert_close(turn[:, :, 2], ray)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).double().expand(2, 3, 3))
    angle = torch.atan2(middle[:, :2].norm(dim=-1), middle[:, 2])
    torch.testing.assert_close(so3.angle(turn, torch.eye(3).double().expand(2, 3, 3)), angle)
