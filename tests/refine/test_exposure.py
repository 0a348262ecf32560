"""Variable projection against a solver with explicit columns for gain and bias."""

import torch
from ball import RayBall, error, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine import exposure, rows
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.objectives import Difference
from resect.refine.robust import Robust
from resect.refine.view import Meter, view
from resect.types import Photo

PRIOR = exposure.Exposure(0.3, 0.1)


def problem() -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(0)
    values = torch.rand(2, 50, 3, generator=g, dtype=torch.float64)
    jacobian = torch.randn(2, 50, 3, 6, generator=g, dtype=torch.float64)
    weight = 0.2 + torch.rand(2, 50, 3, generator=g, dtype=torch.float64)
    observed = 0.8 * values[:1] + 0.1 + 0.05 * torch.randn(1, 50, 3, generator=g, dtype=torch.float64)
    return values, jacobian, weight, observed


def test_fit_is_at_the_minimum_of_the_penalised_squares() -> None:
    values, _, weight, observed = problem()
    blocks = exposure.gram(values, weight, PRIOR)
    zero = torch.zeros_like(values[:1, :, :1])
    data_only = torch.stack([(weight * values**2).sum(1), (weight * values).sum(1), weight.sum(1)], -1)
    pull = torch.stack([blocks[..., 0, 0] - data_only[..., 0], blocks[..., 1, 1] - data_only[..., 2]], -1)
    found = exposure.fit(values, observed, weight, PRIOR).requires_grad_()
    residual = found[:, None, :, 0] * values + found[:, None, :, 1] - observed + zero
    loss = 0.5 * (weight * residual**2).sum() + 0.5 * (pull[..., 0] * (found[..., 0] - 1) ** 2).sum()
    loss = loss + 0.5 * (pull[..., 1] * found[..., 1] ** 2).sum()
    (slope,) = torch.autograd.grad(loss, found)
    assert slope.abs().max() < 1e-9


def test_a_pose_that_sees_nothing_keeps_the_exposure_and_tells_nothing() -> None:
    for dtype in (torch.float32, torch.float64):
        values, jacobian, weight, observed = (t.to(dtype) for t in problem())
        weight[1] = 0
        found = exposure.fit(values, observed, weight, PRIOR)
        assert bool(found.isfinite().all())
        assert torch.equal(found[1], torch.tensor([1.0, 0.0], dtype=dtype).expand(3, 2))
        matrix = torch.zeros(2, 6, 6, dtype=dtype)
        assert not exposure.eliminate(matrix, jacobian, values, weight, PRIOR)[1].any()


def test_elimination_gives_the_pose_part_of_the_full_system() -> None:
    values, jacobian, weight, _ = problem()
    full = torch.zeros(2, 50, 3, 12, dtype=torch.float64)
    full[..., :6] = jacobian
    for c in range(3):
        full[:, :, c, 6 + 2 * c] = values[:, :, c]
        full[:, :, c, 7 + 2 * c] = 1.0
    flat, w = full.flatten(1, 2), weight.flatten(1)
    matrix = (flat * w[..., None]).mT @ flat
    blocks = exposure.gram(values, weight, PRIOR)
    for c in range(3):
        matrix[:, 6 + 2 * c : 8 + 2 * c, 6 + 2 * c : 8 + 2 * c] = blocks[:, c]
    explicit = torch.linalg.inv(torch.linalg.inv(matrix)[:, :6, :6])
    eliminated = exposure.eliminate(matrix[:, :6, :6], jacobian, values, weight, PRIOR)
    torch.testing.assert_close(eliminated, explicit)


def test_a_darker_photo_is_aligned_all_the_same() -> None:
    scene, truth = RayBall(waves=1.5), pose(3)
    photo = photograph(scene, truth)
    dark = Photo(photo.name, 0.6 * photo.image + 0.05, photo.camera, "test")
    at = view(scene, dark, 64, Meter(), 64 * 48)
    term = rows.photometric(at, Difference(), Robust("cauchy", 0.1), prior=PRIOR)
    begin = SE3.stack([truth.retract(torch.tensor([0.02, 0.0, -0.02, 0.01, 0.02, 0.0], dtype=torch.float64))])
    end = levenberg_marquardt(term, begin, LMSettings(steps=15))
    plain = levenberg_marquardt(rows.photometric(at, Difference(), Robust("cauchy", 0.1)), begin, LMSettings(steps=15))
    assert error(end.cam_from_world[0], truth)[0] < 0.1
    assert error(plain.cam_from_world[0], truth)[0] > 5 * error(end.cam_from_world[0], truth)[0]
