"""The SPEED+ score, by hand."""

import math

import pytest
import torch

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.metrics.spacecraft import spacecraft_scores


def test_errors_add_up_and_small_ones_are_forgiven() -> None:
    truth = SE3(torch.eye(3).double().expand(4, 3, 3), torch.tensor([[0.0, 0.0, 10.0]] * 4).double())
    turn = torch.tensor([0.0, math.radians(0.168), math.radians(0.17), 0.2]).double()
    moved = torch.tensor([0.0, 0.0217, 0.0218, 1.0]).double()
    zero = torch.zeros_like(turn)
    estimate = SE3(so3.exp(torch.stack([turn, zero, zero], -1)), truth.t + torch.stack([moved, zero, zero], -1))
    found = spacecraft_scores(estimate, truth)
    torch.testing.assert_close(found.position, torch.tensor([0.0, 0.0, 0.00218, 0.1]).double())
    torch.testing.assert_close(found.orientation, torch.tensor([0.0, 0.0, math.radians(0.17), 0.2]).double())
    assert found.total == pytest.approx((0.00218 + 0.1 + math.radians(0.17) + 0.2) / 4)
