import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.metrics.trajectory import (
    Statistics,
    absolute_errors,
    alignment,
    all_pairs,
    pairs_apart,
    relative_errors,
    travelled,
)


def wander(count: int = 40, seed: int = 0) -> SE3:
    g = torch.Generator().manual_seed(seed)
    steps = SE3.exp(0.2 * torch.randn(count, 6, generator=g, dtype=torch.float64))
    poses = [steps[0]]
    for k in range(1, count):
        poses.append(poses[-1] @ steps[k])
    return SE3.stack(poses)


def test_statistics_against_numpy() -> None:
    e = torch.tensor([0.5, 3.0, 1.0, 2.0], dtype=torch.float64)
    s, n = Statistics.of(e), e.numpy()
    assert (s.mean, s.median, s.std, s.min, s.max, s.count) == (n.mean(), np.median(n), n.std(), 0.5, 3.0, 4)
    assert s.rmse == pytest.approx(math.sqrt((n**2).mean()))


@pytest.mark.parametrize("how", ["se3", "sim3"])
def test_alignment_is_the_least_squares_one(how: str) -> None:
    """No nearby motion is better, and a known motion is found again."""
    truth = wander().t
    true = Sim3(
        torch.tensor(1.0 if how == "se3" else 0.4).double(),
        torch.from_numpy(Rotation.from_rotvec([0.5, 1.0, -2.0]).as_matrix()),
        torch.tensor([3.0, -1.0, 2.0]).double(),
    )
    exact = true.inverse().apply(truth)
    found = alignment(exact, truth, how)  # type: ignore[arg-type]
    torch.testing.assert_close(found.apply(exact), truth)
    torch.testing.assert_close(found.s, true.s)
    noisy = exact + 0.1 * torch.randn(exact.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = alignment(noisy, truth, how)  # type: ignore[arg-type]
    best = (found.apply(noisy) - truth).square().sum()
    for k in range(6 if how == "se3" else 7):
        for sign in (1e-3, -1e-3):
            step = torch.zeros(6, dtype=torch.float64)
            factor = 1 + sign if k == 6 else 1.0
            if k < 6:
                step[k] = sign
            moved = SE3.exp(step).apply(factor * found.apply(noisy))
            assert (moved - truth).square().sum() > best


def test_alignment_refuses_what_it_cannot_do() -> None:
    truth = wander(5).t
    assert float(alignment(truth[:1], truth[:1], "none").s) == 1
    with pytest.raises(ResectError, match="at least 3 pairs"):
        alignment(truth[:2], truth[:2], "se3")
    with pytest.raises(ResectError, match="an estimate that moves"):
        alignment(torch.zeros_like(truth), truth, "sim3")


def test_errors_against_scipy() -> None:
    a, b = wander(seed=1), wander(seed=2)
    position, angle = absolute_errors(a, b)
    ra, rb = (Rotation.from_matrix(x.R.numpy()) for x in (a, b))
    np.testing.assert_allclose(position, np.linalg.norm(a.t.numpy() - b.t.numpy(), axis=1))
    np.testing.assert_allclose(angle, np.rad2deg((ra.inv() * rb).magnitude()), atol=1e-9)
    i, j = torch.arange(30), torch.arange(30) + 7
    shift, turn = relative_errors(a, b, i, j)
    p, q = (x.matrix().numpy() for x in (a, b))
    for k in range(30):
        motion = np.linalg.inv(p[i[k]]) @ p[j[k]]
        e = np.linalg.inv(np.linalg.inv(q[i[k]]) @ q[j[k]]) @ motion
        assert float(shift[k]) == pytest.approx(np.linalg.norm(e[:3, 3]))
        assert float(turn[k]) == pytest.approx(np.rad2deg(Rotation.from_matrix(e[:3, :3]).magnitude()), abs=1e-6)


def test_relative_errors_do_not_see_where_the_world_is() -> None:
    a, b = wander(seed=1), wander(seed=2)
    i, j = all_pairs(40, 0)
    there = SE3.exp(torch.tensor([1.0, 2, 3, 0.4, 0.5, 0.6], dtype=torch.float64))
    torch.testing.assert_close(relative_errors(there @ a, b, i, j), relative_errors(a, b, i, j), atol=1e-6, rtol=1e-6)
    assert float(relative_errors(there @ b, b, i, j)[0].max()) < 1e-12


def test_travelled_in_every_unit() -> None:
    """A quarter circle of radius 2, walked in 9 steps of 10°, looking ahead, a step every half second."""
    angle = torch.arange(10, dtype=torch.float64) * math.radians(10)
    turn = torch.from_numpy(Rotation.from_rotvec(np.outer(angle.numpy(), [0, 0, 1])).as_matrix())
    poses = SE3(turn, 2 * torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], -1))
    seconds = 0.5 * torch.arange(10, dtype=torch.float64)
    ends = {unit: float(travelled(seconds, poses, unit)[-1]) for unit in ("s", "f", "m", "rad", "deg")}  # type: ignore[arg-type]
    chord = 2 * 2 * math.sin(math.radians(5))
    assert ends == pytest.approx({"s": 4.5, "f": 9, "m": 9 * chord, "rad": math.pi / 2, "deg": 90})


def test_pairs_apart() -> None:
    way = torch.tensor([0.0, 1.0, 1.9, 3.0, 5.0, 5.1], dtype=torch.float64)
    assert [x.tolist() for x in pairs_apart(way, 2.0)] == [[0, 1, 2, 3], [2, 3, 3, 4]]
    assert [x.tolist() for x in pairs_apart(way, 2.0, tolerance=0.1)] == [[0, 1, 3], [2, 3, 4]]
    assert [x.tolist() for x in pairs_apart(way, 6.0)] == [[], []]
    assert [x.tolist() for x in pairs_apart(torch.arange(4.0), 1.0)] == [[0, 1, 2], [1, 2, 3]]
    still = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert [x.tolist() for x in pairs_apart(still, 1.0)] == [[0, 1, 2], [3, 3, 3]]
    for delta in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ResectError, match="--delta"):
            pairs_apart(way, delta)


def test_pairs_are_drawn_by_the_seed() -> None:
    def drawn(seed: int) -> list[list[int]]:
        return [x.tolist() for x in all_pairs(100, 50, torch.Generator().manual_seed(seed))]

    assert drawn(1) == drawn(1) != drawn(2)
    assert all(i < j for i, j in zip(*drawn(1), strict=True))
    assert len(all_pairs(100, 0)[0]) == len(all_pairs(100, 5000)[0]) == 4950
    way = torch.arange(100.0)
    first, second = pairs_apart(way, 3.0, max_pairs=10, generator=torch.Generator().manual_seed(0))
    assert len(first) == 10
    assert bool((second - first == 3).all())
