import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from resect.geometry.mesh import Mesh, diameter, sample_surface


def tetrahedron() -> Mesh:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    return Mesh(vertices, torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))


def test_normals_point_outward_and_areas_are_those_of_the_triangles() -> None:
    mesh = tetrahedron()
    outward = mesh.triangles.mean(1) - mesh.vertices.mean(0)
    assert bool(((mesh.face_normals() * outward).sum(-1) > 0).all())
    torch.testing.assert_close(mesh.face_areas(), torch.tensor([0.5, 0.5, 0.5, math.sqrt(3) / 2], dtype=torch.float64))
    torch.testing.assert_close(mesh.vertex_normals().norm(dim=-1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("count", [2, 3, 50, 6000])
def test_diameter_is_the_largest_of_all_distances(count: int) -> None:
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    if count == 6000:
        points = torch.nn.functional.normalize(points, dim=-1)  # every point is a corner of the hull
    assert diameter(points) == pytest.approx(float(pdist(points.numpy()).max()), rel=1e-12)


def test_diameter_of_a_ball_with_many_corners_is_found_without_looking_at_all_pairs() -> None:
    points = torch.randn(8_500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.nn.functional.normalize(points, dim=-1) * torch.tensor([1.0, 1.0, 1.003], dtype=torch.float64)
    longest = max(float(torch.cdist(part, points).max()) for part in points.split(2000))
    assert longest * (1 - 1e-6) <= diameter(points) <= longest * (1 + 1e-12)


def test_diameter_of_a_flat_set_is_found_too() -> None:
    points = torch.tensor(np.c_[np.eye(3)[:, :2] * 3, np.zeros(3)])
    assert diameter(points) == pytest.approx(3 * math.sqrt(2))


def test_samples_lie_on_their_faces_and_spread_by_area() -> None:
    mesh = tetrahedron()
    points, face, weights = sample_surface(mesh, 20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close((mesh.triangles[face] * weights[..., None]).sum(1), points)
    assert bool((weights >= 0).all())
    share = torch.bincount(face, minlength=4).double() / 20_000
    torch.testing.assert_close(share, mesh.face_areas() / mesh.face_areas().sum(), atol=0.015, rtol=0)
    torch.testing.assert_close(weights.mean(0), torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.01, rtol=0)
