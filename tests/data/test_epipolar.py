from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from resect.data.epipolar import Features, match, sampson_error
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3

CAMERA = Camera(500.0, 500.0, 320.0, 240.0, 640, 480, "opencv", (0.1, -0.05, 0.002, 0.001))


def _pair() -> tuple[SE3, torch.Tensor, torch.Tensor]:
    centers = torch.tensor([[0.0, -3.0, 0.2], [0.8, -2.9, 0.1]], dtype=torch.float64)
    poses = look_at(centers, torch.zeros(2, 3, dtype=torch.float64))
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.5
    a, _ = CAMERA.project(poses[0].apply(points))
    b, _ = CAMERA.project(poses[1].apply(points))
    return poses[1] @ poses[0].inverse(), a, b


def test_true_matches_have_no_error_and_shifted_ones_the_shift() -> None:
    b_from_a, a, b = _pair()
    assert sampson_error(a, b, CAMERA, CAMERA, b_from_a).max() < 1e-6
    assert (
        sampson_error(a, b, CAMERA, CAMERA, b_from_a).max()
        < sampson_error(
            a,
            b,
            replace(CAMERA, model="pinhole", distortion=()),
            replace(CAMERA, model="pinhole", distortion=()),
            b_from_a,
        ).max()
    )


def test_it_is_the_least_correction_of_both_points() -> None:
    """Oracle: the nearest pair of points that satisfies the constraint, by numerical optimisation."""
    camera = replace(CAMERA, model="pinhole", distortion=())
    b_from_a, _, _ = _pair()
    a = torch.tensor([[300.0, 200.0]], dtype=torch.float64)
    b = torch.tensor([[310.0, 215.0]], dtype=torch.float64)
    k = np.linalg.inv(camera.matrix.numpy())
    t = b_from_a.t.numpy()
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    fundamental = k.T @ cross @ b_from_a.R.numpy() @ k
    given = np.concatenate([a[0].numpy(), b[0].numpy()])

    def constraint(x: np.ndarray) -> float:
        return float(np.append(x[2:], 1) @ fundamental @ np.append(x[:2], 1)) * 1e3

    best = minimize(lambda x: ((x - given) ** 2).sum(), given, constraints={"type": "eq", "fun": constraint}, tol=1e-12)
    error = sampson_error(a, b, camera, camera, b_from_a)
    assert float(error) == pytest.approx(np.sqrt(best.fun), rel=0.02)


def test_points_behind_a_camera_are_infinitely_wrong() -> None:
    b_from_a, a, b = _pair()
    behind = SE3(b_from_a.R, -b_from_a.t)
    assert sampson_error(a, b, CAMERA, CAMERA, behind).isinf().all()


def test_match_is_mutual_and_distinct() -> None:
    generator = torch.Generator().manual_seed(1)
    unit = torch.nn.functional.normalize(torch.rand(6, 128, generator=generator), dim=1)
    pixels = torch.arange(12, dtype=torch.float64).view(6, 2)
    order = torch.tensor([3, 1, 5, 0])
    found = match(Features(pixels, unit), Features(pixels[order] + 100, unit[order]))
    assert torch.equal(found[0] + 100, found[1])
    assert sorted(found[0][:, 0].tolist()) == [0, 2, 6, 10]
    none = match(Features(pixels[:0], unit[:0]), Features(pixels, unit))
    assert len(none[0]) == 0
    twins = Features(pixels[:2], unit[[0, 0]])
    assert len(match(Features(pixels, unit), twins)[0]) == 0
