"""Alignment against planted transforms and SciPy."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.geometry import so3
from resect.geometry.align import mean_rotation, umeyama
from resect.geometry.sim3 import Sim3


def cloud(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64) * torch.tensor([3.0, 1.0, 0.3]) + 5


def planted(seed: int, scale: float = 2.7) -> Sim3:
    generator = torch.Generator().manual_seed(seed)
    rotation = so3.random(1, generator=generator, dtype=torch.float64)[0]
    shift = torch.randn(3, generator=generator, dtype=torch.float64)
    return Sim3(torch.tensor(scale, dtype=torch.float64), rotation, shift)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [3, 4, 50])
def test_a_planted_similarity_is_found(seed: int, count: int) -> None:
    truth, source = planted(seed), cloud(count, seed)
    found = umeyama(source, truth.apply(source))
    torch.testing.assert_close(found.s, truth.s)
    torch.testing.assert_close(found.R, truth.R, atol=1e-9, rtol=0)
    torch.testing.assert_close(found.t, truth.t, atol=1e-8, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_rigid_alignment_equals_scipy(seed: int) -> None:
    source = cloud(30, seed)
    target = planted(seed, 1.0).apply(source) + 0.3 * cloud(30, seed + 10)
    found = umeyama(source, target, with_scale=False)
    a, b = (x - x.mean(0) for x in (target, source))
    expected, _ = Rotation.align_vectors(a.numpy(), b.numpy())
    torch.testing.assert_close(found.R, torch.from_numpy(expected.as_matrix()), atol=1e-8, rtol=0)
    assert float(found.s) == 1.0
    torch.testing.assert_close(found.t, target.mean(0) - found.R @ source.mean(0))


@pytest.mark.parametrize("seed", range(3))
def test_no_neighbouring_similarity_fits_better(seed: int) -> None:
    source = cloud(20, seed)
    target = planted(seed).apply(source) + 0.5 * cloud(20, seed + 20)
    best = umeyama(source, target)
    cost = (best.apply(source) - target).square().sum()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(50):
        move = 1e-3 * torch.randn(7, generator=generator, dtype=torch.float64)
        other = Sim3(best.s * (1 + move[6]), so3.exp(move[:3]) @ best.R, best.t + move[3:6])
        assert (other.apply(source) - target).square().sum() > cost


def test_a_mirrored_cloud_is_not_answered_with_a_mirror() -> None:
    source = cloud(20)
    found = umeyama(source, source * torch.tensor([1.0, 1.0, -1.0]))
    assert abs(float(torch.linalg.det(found.R)) - 1) < 1e-12


def test_points_on_a_line_and_one_point_stay_finite() -> None:
    line = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found = umeyama(line, planted(0).apply(line))
    torch.testing.assert_close(found.apply(line), planted(0).apply(line))
    single = umeyama(line[:1], line[1:2])
    assert all(x.isfinite().all() for x in (single.s, single.R, single.t))


def test_mean_rotation_equals_scipy() -> None:
    generator = torch.Generator().manual_seed(4)
    rotations = so3.exp(0.4 * torch.randn(12, 3, generator=generator, dtype=torch.float64))
    weights = torch.rand(12, generator=generator, dtype=torch.float64)
    expected = Rotation.from_matrix(rotations.numpy()).mean(weights.numpy()).as_matrix()
    torch.testing.assert_close(mean_rotation(rotations, weights), torch.from_numpy(expected), atol=1e-9, rtol=0)
    torch.testing.assert_close(mean_rotation(rotations[:1]), rotations[0])
