import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.tracking.chain import Chain
from resect.tracking.smooth import Measurement, Smoothed, SmoothSettings, smooth

SIGMA = torch.tensor([0.05] * 3 + [0.02] * 3, dtype=torch.float64)


def path(count: int) -> tuple[Tensor, SE3]:
    t = 0.1 * torch.arange(count, dtype=torch.float64) + 0.01 * torch.arange(count).double().sin()
    xi = torch.stack([t.sin(), t.cos(), 0.2 * t, 0.5 * t.sin(), 0.4 * t, 0.3 * t.cos()], -1)
    return t, SE3.exp(xi)


def places(count: int) -> SE3:
    g = torch.Generator().manual_seed(5)
    rest = torch.randn(count - 1, 6, generator=g, dtype=torch.float64)
    return SE3.exp(torch.cat([torch.zeros(1, 6, dtype=torch.float64), rest]))


def case(count: int, objects: int, seed: int = 0, noise: float = 1.0) -> tuple[Tensor, SE3, SE3, Measurement]:
    t, poses = path(count)
    where = places(objects)
    frame, thing = torch.arange(count).repeat(objects), torch.arange(objects).repeat_interleave(count)
    g = torch.Generator().manual_seed(seed)
    off = SE3.exp(noise * SIGMA * torch.randn(len(frame), 6, generator=g, dtype=torch.float64))
    information = torch.diag(SIGMA**-2.0).expand(len(frame), 6, 6).contiguous()
    return t, poses, where, Measurement(frame, thing, off @ poses[frame] @ where[thing], information)


def solved(t: Tensor, measured: Measurement, objects: int, settings: SmoothSettings | None = None) -> Smoothed:
    """From starts that are measured themselves."""
    n = len(t)
    z = measured.cam_from_obj
    start = SE3.stack([z[0].inverse() @ z[k * n] for k in range(objects)])
    return smooth(t, z[:n], start, measured, settings)


def off(found: SE3, true: SE3) -> Tensor:
    return (found @ true.inverse()).log()


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_chain_against_the_whole_matrix(count: int) -> None:
    g = torch.Generator().manual_seed(count)
    b = 3
    root = torch.zeros(count * b, count * b, dtype=torch.float64)
    for i in range(count):
        for j in (i, i + 1):
            if j < count:
                root[i * b : (i + 1) * b, j * b : (j + 1) * b] = torch.randn(b, b, generator=g, dtype=torch.float64)
    whole = root.mT @ root + torch.eye(count * b)
    blocks = whole.unflatten(0, (count, b)).unflatten(-1, (count, b)).transpose(1, 2)
    i = torch.arange(count)
    chain = Chain.factor(blocks[i, i], blocks[i[:-1], i[1:]])
    right = torch.randn(count, b, 2, generator=g, dtype=torch.float64)
    torch.testing.assert_close(chain.solve(right).flatten(0, 1), torch.linalg.solve(whole, right.flatten(0, 1)))
    inverse = torch.linalg.inv(whole).unflatten(0, (count, b)).unflatten(-1, (count, b)).transpose(1, 2)
    torch.testing.assert_close(chain.inverse_diagonal(), inverse[i, i])


@pytest.mark.parametrize(("count", "objects"), [(12, 1), (13, 3), (2, 2), (1, 1)])
def test_exact_measurements_give_the_exact_path(count: int, objects: int) -> None:
    """With all the smoothness of the world, as far as it leaves the measurements alone."""
    t, poses, where, measured = case(count, objects, noise=0.0)
    found = solved(t, measured, objects, SmoothSettings(shift=1e3, turn_rad=1e3))
    assert found.converged
    assert float(off(found.cam_from_world, poses).abs().max()) < 1e-5
    assert float(off(found.world_from_obj, where).abs().max()) < 1e-5


def test_the_gradient_vanishes_at_the_answer() -> None:
    """The answer against the loss written down again, differentiated numerically."""
    t, _, _, measured = case(9, 2)
    settings = SmoothSettings(shift=0.3, turn_rad=0.2, forgive=0.0)
    found = solved(t, measured, 2, settings)
    density = torch.tensor([0.3**2] * 3 + [0.2**2] * 3, dtype=torch.float64)

    def loss(step: Tensor) -> Tensor:
        cam = SE3.exp(step[:9]) @ found.cam_from_world
        obj = SE3.exp(torch.cat([torch.zeros(1, 6).double(), step[9:]])) @ found.world_from_obj
        e = off(cam[measured.frame] @ obj[measured.object], measured.cam_from_obj)
        wait = t.diff()[:, None]
        change = (off(cam[1:], cam[:-1]) / wait).diff(dim=0)
        held = change.square() * 3 / (density * (wait[1:] + wait[:-1]))
        return 0.5 * (e.square() / SIGMA.square()).sum() + 0.5 * held.sum()

    base, slopes = torch.zeros(10, 6, dtype=torch.float64), []
    for i in range(10):
        for j in range(6):
            d = torch.zeros_like(base)
            d[i, j] = 1e-5
            slopes.append((loss(d) - loss(-d)) / 2e-5)
    assert float(torch.stack(slopes).abs().max()) < 1e-3 * float(loss(base))


def test_smoothing_helps_and_says_how_much_is_left() -> None:
    errors, d2 = [], []
    for seed in range(6):
        t, poses, _, measured = case(41, 2, seed)
        found = solved(t, measured, 2)
        e = off(found.cam_from_world, poses)
        errors.append(e.square().mean(0).sqrt())
        d2.append((e * torch.linalg.solve(found.covariance, e[..., None])[..., 0]).sum(-1).mean())
    assert bool((torch.stack(errors).mean(0) < 0.62 * SIGMA).all())
    assert 3.5 < float(torch.stack(d2).mean()) < 8.0


def test_an_outlier_is_forgiven() -> None:
    t, poses, _, measured = case(30, 1, noise=0.3)
    pulled = measured.cam_from_obj.t.clone()
    pulled[14] += 1.5
    bad = Measurement(measured.frame, measured.object, SE3(measured.cam_from_obj.R, pulled), measured.information)
    found = solved(t, bad, 1)
    assert float(found.weight[14]) < 0.1
    assert float(off(found.cam_from_world, poses)[14].norm()) < 0.1
    assert float(found.weight.sum()) > 28


def test_gaps_in_time_widen_the_covariance() -> None:
    t, _, _, measured = case(20, 1)
    later = torch.where(torch.arange(20) < 10, t, t + 3)
    spread = solved(later, measured, 1, SmoothSettings(shift=0.3, turn_rad=0.3)).covariance.diagonal(dim1=-2, dim2=-1)
    assert bool((spread[9] > spread[5]).all())


def test_bad_input_is_named() -> None:
    t, poses, where, measured = case(5, 2)
    with pytest.raises(ResectError, match="every frame"):
        smooth(torch.cat([t, t[-1:] + 1]), SE3.cat([poses, poses[:1]]), where, measured)
    with pytest.raises(ResectError, match="every object"):
        smooth(t, poses, SE3.cat([where, where[:1]]), measured)
    with pytest.raises(ResectError, match="increasing"):
        smooth(t.flip(0), poses, where, measured)
