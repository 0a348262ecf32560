"""What a lock keeps: against SciPy's rotations and finite differences in float64."""

import numpy as np
import pytest
import torch
from ball import pose
from scipy.spatial.transform import Rotation

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.refine.lock import Lock, locked_of

ANCHOR = SE3.stack([pose(1), pose(2)]).double()
FREE = torch.zeros(6, dtype=torch.bool)


def moves(seed: int, size: float = 0.6) -> torch.Tensor:
    return size * torch.randn(2, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_motion_is_a_shift_of_the_centre_and_a_turn_along_the_anchors_axes() -> None:
    u = moves(0)
    there = Lock(ANCHOR, FREE).moved(u)
    for k in range(2):
        turn = Rotation.from_rotvec(u[k, 3:].numpy()) * Rotation.from_matrix(ANCHOR.R[k].numpy())
        np.testing.assert_allclose(there.R[k].numpy(), turn.as_matrix(), atol=1e-12)
        shift = ANCHOR.R[k].T @ u[k, :3]
        torch.testing.assert_close(there.center[k], ANCHOR.center[k] + shift, rtol=0, atol=1e-12)
    torch.testing.assert_close(Lock(ANCHOR, FREE).motion(there), u, rtol=0, atol=1e-10)


def test_the_derivative_is_that_of_finite_differences() -> None:
    lock, u, h = Lock(ANCHOR, FREE), moves(1), 1e-6
    here = lock.moved(u)
    for k in range(6):
        step = h * torch.eye(6, dtype=torch.float64)[k]
        ahead, behind = ((lock.moved(u + s) @ here.inverse()).log() for s in (step, -step))
        torch.testing.assert_close(lock.derivative(u)[..., k], (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("names", [["rotation"], ["translation"], ["vz", "wx"], ["rotation", "vy"]])
def test_holding_sets_back_what_is_locked_and_nothing_else(names: list[str]) -> None:
    lock, u = Lock(ANCHOR, locked_of(names)), moves(2)
    held = lock.hold(Lock(ANCHOR, FREE).moved(u))
    expected = torch.where(lock.locked, torch.zeros_like(u), u)
    torch.testing.assert_close(Lock(ANCHOR, FREE).motion(held), expected, rtol=0, atol=1e-10)
    again = lock.hold(held)
    torch.testing.assert_close(again.t, held.t, rtol=0, atol=1e-12)


def test_a_locked_rotation_is_bit_for_bit_the_anchors_in_single_precision_too() -> None:
    anchor = ANCHOR.float()
    lock = Lock(anchor, locked_of(["rotation"]))
    assert torch.equal(lock.hold(Lock(anchor, FREE).moved(moves(3)).float()).R, anchor.R)


def test_locked_directions_have_a_thousandth_of_the_spread_of_the_others() -> None:
    lock = Lock(ANCHOR, locked_of(["wy"]))
    here = Lock(ANCHOR, FREE).moved(torch.where(lock.locked, 0.0, moves(4)))
    a = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    information = a @ a.mT + torch.eye(6, dtype=torch.float64)
    back = torch.linalg.inv(lock.derivative(lock.motion(here)))
    loose, firm = (back @ torch.linalg.inv(i) @ back.mT for i in (information, lock.firm(here, information)))
    assert (firm[:, 4, 4] < 1e-5 * loose[:, 4, 4]).all()
    # what is left is the covariance given that direction: the Schur complement
    rest = [0, 1, 2, 3, 5]
    cross = loose[:, rest, 4]
    given = loose[:, rest][:, :, rest] - cross[:, :, None] * cross[:, None] / loose[:, 4, 4, None, None]
    torch.testing.assert_close(firm[:, rest][:, :, rest], given, rtol=1e-3, atol=1e-5)


def test_names() -> None:
    assert locked_of(["rotation"]).tolist() == [False] * 3 + [True] * 3
    assert locked_of(["vx", "wz"]).tolist() == [True, False, False, False, False, True]
    with pytest.raises(ResectError, match="rotation"):
        locked_of(["rotations"])
    with pytest.raises(ResectError, match="left to find"):
        locked_of(["translation", "rotation"])
