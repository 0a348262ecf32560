import math

import numpy as np
import pytest
import torch
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries
from resect.metrics.object import add, add_s, adi, area_under_curve, mspd, mssd, object_errors

CAMERA = Camera(500.0, 510.0, 320.5, 240.5, 640, 480)
HALF_TURN = SE3(
    torch.stack([torch.eye(3), torch.diag(torch.tensor([-1.0, -1.0, 1.0]))]).double(),
    torch.tensor([[0, 0, 0], [0.2, -0.1, 0]], dtype=torch.float64),
)
AXIS = Axis(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64), torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64))


def _poses(count: int, seed: int, spread: float = 0.3) -> tuple[SE3, SE3]:
    generator = torch.Generator().manual_seed(seed)
    truth = SE3(
        so3.random(count, generator=generator, dtype=torch.float64),
        torch.randn(count, 3, generator=generator, dtype=torch.float64) * 20 + torch.tensor([0, 0, 500.0]),
    )
    noise = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    return truth.retract(noise * torch.tensor([10.0, 10, 10, spread, spread, spread]), about="world"), truth


def _points(count: int = 60) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64) * 40


def _moved(pose: SE3, i: int, points: np.ndarray) -> np.ndarray:
    return points @ pose.R[i].numpy().T + pose.t[i].numpy()


def _brute(name: str, estimate: SE3, truth: SE3, points: Tensor, symmetries: Symmetries) -> list[float]:
    """The formulas as they are written, in NumPy loops."""
    x, found = points.numpy(), []
    k = np.array([[CAMERA.fx, 0, CAMERA.cx], [0, CAMERA.fy, CAMERA.cy], [0, 0, 1]])
    motions = symmetries.sampled()
    for i in range(len(truth)):
        a, b = _moved(estimate, i, x), _moved(truth, i, x)
        if name == "add":
            found.append(np.linalg.norm(a - b, axis=1).mean())
        elif name == "adi":
            found.append(np.linalg.norm(b[:, None] - a[None], axis=2).min(1).mean())
        else:
            every = [_moved(truth, i, _moved(motions, s, x)) for s in range(len(motions))]
            if name == "mspd":
                a = (a @ k.T)[:, :2] / a[:, 2:]
                every = [(c @ k.T)[:, :2] / c[:, 2:] for c in every]
            found.append(min(np.linalg.norm(a - c, axis=1).max() for c in every))
    return found


@pytest.mark.parametrize(
    "symmetries", [Symmetries(), Symmetries(HALF_TURN), Symmetries(HALF_TURN, (AXIS,))], ids=["none", "two", "axis"]
)
@pytest.mark.parametrize("max_numbers", [5_000, 50_000, 1 << 24])
def test_point_errors_are_their_formulas(symmetries: Symmetries, max_numbers: int) -> None:
    (estimate, truth), points = _poses(5, 0), _points()
    found = {
        "add": add(estimate, truth, points, max_numbers=max_numbers),
        "adi": adi(estimate, truth, points, max_numbers=max_numbers),
        "mssd": mssd(estimate, truth, points, symmetries, max_numbers=max_numbers),
        "mspd": mspd(estimate, truth, points, CAMERA, symmetries, max_numbers=max_numbers),
    }
    for name, errors in found.items():
        assert errors.tolist() == pytest.approx(_brute(name, estimate, truth, points, symmetries), rel=1e-10), name


def test_add_s_takes_the_nearest_point_only_for_symmetric_objects() -> None:
    (estimate, truth), points = _poses(3, 1), _points()
    assert torch.equal(add_s(estimate, truth, points, Symmetries()), add(estimate, truth, points))
    assert torch.equal(add_s(estimate, truth, points, Symmetries(HALF_TURN)), adi(estimate, truth, points))


def test_an_equivalent_pose_has_no_error() -> None:
    _, truth = _poses(4, 2)
    group = Symmetries(HALF_TURN, (AXIS,))
    other = truth @ group.sampled()[torch.tensor([100, 200, 300, 600])]
    points = _points()
    assert float(mssd(other, truth, points, group).max()) < 1e-9
    assert float(mspd(other, truth, points, CAMERA, group).max()) < 1e-9
    degrees, distance = object_errors(other, truth, group)
    assert float(degrees.max()) < 1e-6
    assert float(distance.max()) < 1e-6
    assert float(mssd(other, truth, points).min()) > 10


def test_what_is_not_finite_or_behind_the_camera_is_infinitely_wrong() -> None:
    (estimate, truth), points = _poses(3, 3), _points()
    t = estimate.t.clone()
    t[0], t[1, 2] = math.nan, -500
    broken = SE3(estimate.R, t)
    for errors in (add(broken, truth, points), adi(broken, truth, points), mssd(broken, truth, points)):
        assert errors.isinf().tolist() == [True, False, False]
    assert mspd(broken, truth, points, CAMERA).isinf().tolist() == [True, True, False]
    assert object_errors(broken, truth)[1].isinf().tolist() == [True, False, False]
    assert object_errors(broken, truth, Symmetries(axes=(AXIS, AXIS)))[0].isinf().tolist() == [True, False, False]


def test_flat_point_sets_and_float32_poses_are_welcome() -> None:
    (estimate, truth), points = _poses(3, 4), _points()
    points[:, 2] = 0
    expected = _brute("mssd", estimate, truth, points, Symmetries())
    assert mssd(estimate, truth, points).tolist() == pytest.approx(expected)
    assert mssd(estimate.float(), truth.float(), points.float()).tolist() == pytest.approx(expected, rel=1e-5)


def test_object_errors_minimise_over_the_group() -> None:
    estimate, truth = _poses(20, 5, spread=1.5)
    group = Symmetries(HALF_TURN, (AXIS,))
    degrees, distance = object_errors(estimate, truth, group)
    motions = Symmetries(HALF_TURN, (AXIS,)).sampled(max_shift=1e-3)
    equivalent = truth[:, None] @ motions[None]
    every = torch.rad2deg(so3.angle(estimate.R[:, None].expand(equivalent.R.shape), equivalent.R))
    sampled, best = every.min(1)
    assert bool((degrees <= sampled + 1e-9).all())
    assert torch.allclose(degrees, sampled, atol=0.01)  # the sampled turns are 0.06° apart
    at_best = (estimate.t - equivalent.t[torch.arange(20), best]).norm(dim=-1)
    assert torch.allclose(distance, at_best, atol=0.02)


def test_an_axis_leaves_the_angle_between_the_axes() -> None:
    estimate, truth = _poses(20, 6, spread=1.5)
    degrees, _ = object_errors(estimate, truth, Symmetries(axes=(AXIS,)))
    cosine = ((estimate.R @ AXIS.direction) * (truth.R @ AXIS.direction)).sum(-1)
    assert torch.allclose(degrees, torch.rad2deg(cosine.acos()), atol=1e-6)


def test_without_symmetry_it_is_the_geodesic_and_the_distance_of_the_origins() -> None:
    estimate, truth = _poses(20, 7)
    degrees, distance = object_errors(estimate, truth)
    assert torch.allclose(degrees, torch.rad2deg(so3.angle(estimate.R, truth.R)))
    assert torch.allclose(distance, (estimate.t - truth.t).norm(dim=-1))


def test_area_under_the_curve_is_its_integral() -> None:
    errors = torch.tensor([0.0, 0.02, 0.05, 0.3, math.inf], dtype=torch.float64)
    thresholds = np.linspace(0, 0.1, 100_001)
    accuracy = (errors.numpy()[:, None] < thresholds).mean(0)
    assert area_under_curve(errors, 0.1) == pytest.approx(accuracy.mean(), abs=1e-4)
    assert area_under_curve(errors, 0.1) == pytest.approx((1 + 0.8 + 0.5) / 5)
    assert area_under_curve(errors[:0], 0.1) == 0
