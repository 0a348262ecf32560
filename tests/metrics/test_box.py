import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.metrics.box import aligned_iou, oriented_iou


def _planes(pose: SE3, size: Tensor) -> np.ndarray:
    """Rows (n, −d) of the six half-spaces n·x ≤ d."""
    normal = torch.cat([pose.R.mT, -pose.R.mT])
    offset = normal @ pose.t + torch.cat([size, size]) / 2
    return torch.cat([normal, -offset[:, None]], 1).numpy()


def _volume_by_qhull(planes: np.ndarray) -> float:
    """Volume of an intersection of half-spaces: Chebyshev centre by linear programming, then Qhull."""
    rows = np.hstack([planes[:, :3], np.linalg.norm(planes[:, :3], axis=1, keepdims=True)])
    found = linprog([0, 0, 0, -1], A_ub=rows, b_ub=-planes[:, 3], bounds=[(None, None)] * 3 + [(0, None)])
    if found.status != 0 or found.x[3] < 1e-9:
        return 0.0
    return float(ConvexHull(HalfspaceIntersection(planes, found.x[:3]).intersections).volume)


def _random_boxes(count: int, seed: int) -> tuple[SE3, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rotation = so3.random(count, generator=generator, dtype=torch.float64)
    t = 0.4 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return SE3(rotation, t), 0.3 + torch.rand(count, 3, generator=generator, dtype=torch.float64)


def test_oriented_boxes_agree_with_qhull() -> None:
    (a, a_size), (b, b_size) = _random_boxes(150, 0), _random_boxes(150, 1)
    found = oriented_iou(a, a_size, b, b_size, max_pairs=64)
    expected = []
    for i in range(150):
        shared = _volume_by_qhull(np.vstack([_planes(a[i], a_size[i]), _planes(b[i], b_size[i])]))
        expected.append(shared / float(a_size[i].prod() + b_size[i].prod() - shared))
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-9)
    assert 20 < int((found > 0).sum()) < 150


def test_closed_forms() -> None:
    size = torch.ones(4, 3, dtype=torch.float64)
    turn = so3.exp(torch.tensor([[0, 0, 0], [0, 0, math.pi / 4], [0, 0, math.pi / 2], [0, 0, 0]], dtype=torch.float64))
    shift = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0.5, 0, 0]], dtype=torch.float64)
    found = oriented_iou(SE3.identity(4, dtype=torch.float64), size, SE3(turn, shift), size)
    octagon = 2 * (math.sqrt(2) - 1)
    assert found.tolist() == pytest.approx([1, octagon / (2 - octagon), 1, 1 / 3], abs=1e-12)


def test_coplanar_touching_nested_and_flat_boxes() -> None:
    rotation = so3.exp(torch.tensor([0.3, -1.1, 0.7], dtype=torch.float64))
    for scale in (1e-3, 1.0, 1e4):
        size = scale * torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
        a = SE3(rotation[None], scale * torch.tensor([[5.0, -2.0, 1.0]], dtype=torch.float64))
        touching = SE3(a.R, a.t + a.R[:, :, 0] * size[:, :1])
        half = SE3(a.R, a.t + a.R[:, :, 2] * size[:, 2:] / 4)
        half_size = size * torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64)
        assert float(oriented_iou(a, size, touching, size)) == pytest.approx(0, abs=1e-9)
        assert float(oriented_iou(a, size, a, size)) == pytest.approx(1, abs=1e-9)
        assert float(oriented_iou(a, size, half, half_size)) == pytest.approx(0.5, abs=1e-9)
        assert float(oriented_iou(a, size, a, size / 2)) == pytest.approx(1 / 8, abs=1e-9)
        assert float(oriented_iou(a, size, a, 0 * size)) == 0


def test_iou_is_symmetric_and_does_not_depend_on_the_frame() -> None:
    (a, a_size), (b, b_size) = _random_boxes(40, 2), _random_boxes(40, 3)
    world, _ = _random_boxes(1, 4)
    found = oriented_iou(a, a_size, b, b_size)
    assert torch.allclose(found, oriented_iou(b, b_size, a, a_size), atol=1e-12)
    assert torch.allclose(found, oriented_iou(world @ a, a_size, world @ b, b_size), atol=1e-10)


def test_aligned_boxes_are_oriented_ones_without_rotation() -> None:
    (a, a_size), (b, b_size) = _random_boxes(50, 5), _random_boxes(50, 6)
    eye = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    corners = [torch.stack([p.t - s / 2, p.t + s / 2], 1) for p, s in ((a, a_size), (b, b_size))]
    found = aligned_iou(*corners)
    assert torch.allclose(found, oriented_iou(SE3(eye, a.t), a_size, SE3(eye, b.t), b_size), atol=1e-12)
    assert float(aligned_iou(corners[0][:1], corners[0][:1] + 100)) == 0
    assert float(aligned_iou(torch.zeros(2, 3), torch.zeros(2, 3))) == 0
