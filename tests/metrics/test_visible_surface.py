import numpy as np
import pytest
import torch
from torch import Tensor

from resect.geometry.camera import Camera
from resect.metrics.visible_surface import TAUS, distance_per_depth, visible, vsd

CAMERA = Camera(60.0, 60.0, 32.5, 24.5, 64, 48)


def _sphere(center: tuple[float, float, float], radius: float) -> Tensor:
    """Depth of a sphere, in closed form; 0 beside it."""
    ray = CAMERA.rays(CAMERA.pixels(dtype=torch.float64))
    c = torch.tensor(center, dtype=torch.float64)
    along = ray @ c
    inside = radius**2 - (c @ c - along**2)
    distance = along - inside.clamp_min(0).sqrt()
    return (distance * ray[:, 2]).where(inside > 0, 0.0).view(1, CAMERA.height, CAMERA.width)


def _brute(estimate: Tensor, truth: Tensor, scene: Tensor, diameter: float, delta: float) -> list[float]:
    """The published definition, pixel by pixel."""
    counts, total = [0] * len(TAUS), 0
    for v in range(CAMERA.height):
        for u in range(CAMERA.width):
            x, y = (u + 0.5 - CAMERA.cx) / CAMERA.fx, (v + 0.5 - CAMERA.cy) / CAMERA.fy
            e, t, s = (float(d[0, v, u]) * np.sqrt(1 + x * x + y * y) for d in (estimate, truth, scene))
            seen_t = t > 0 and (s == 0 or t - s <= delta)
            seen_e = e > 0 and (s == 0 or e - s <= delta or seen_t)
            total += seen_t or seen_e
            for k, tau in enumerate(TAUS):
                counts[k] += (seen_t or seen_e) and not (seen_t and seen_e and abs(e - t) / diameter < tau)
    return [c / total for c in counts]


def test_it_is_the_published_definition() -> None:
    truth, estimate = _sphere((0, 0, 400), 60), _sphere((14, 5, 415), 60)
    scene = truth.where(truth > 0, 500.0)
    scene[:, :, 25:34] = 0  # not measured: hides nothing
    scene[:, :20] = 300  # something before the object
    found = vsd(estimate, truth, scene, CAMERA, diameter=120.0, delta=15.0)
    expected = _brute(estimate, truth, scene, 120, 15)
    assert found[0].tolist() == pytest.approx(expected)
    assert 0 < expected[-1] < expected[0] < 1


def test_the_same_pose_is_right_and_another_place_is_wrong() -> None:
    truth, away = _sphere((-80, 0, 400), 30), _sphere((80, 0, 400), 30)
    scene = torch.zeros_like(truth)
    both = torch.cat([truth, away])
    found = vsd(both, truth.expand(2, -1, -1), scene.expand(2, -1, -1), CAMERA, diameter=60.0, delta=15.0)
    assert found.tolist() == [[0.0] * 10, [1.0] * 10]


def test_nothing_to_see_is_wrong() -> None:
    none = torch.zeros(1, CAMERA.height, CAMERA.width)
    assert vsd(none, none, none, CAMERA, diameter=1.0, delta=1.0).tolist() == [[1.0] * 10]


def test_visibility() -> None:
    model = torch.tensor([[[0.0, 10, 10, 10, 10]]])
    scene = torch.tensor([[[5.0, 0, 9, 7, 20]]])
    assert visible(model, scene, 2.0).tolist() == [[[False, True, True, False, True]]]


def test_distance_of_a_plane_grows_to_the_edges() -> None:
    stretch = distance_per_depth(CAMERA, torch.zeros(1))
    x, y = (0.5 - CAMERA.cx) / CAMERA.fx, (0.5 - CAMERA.cy) / CAMERA.fy
    assert float(stretch[0, 0]) == pytest.approx((1 + x * x + y * y) ** 0.5)
    assert float(stretch[24, 32]) == 1
