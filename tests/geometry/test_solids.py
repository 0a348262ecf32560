import math

import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_topology import edges, parts

DOUBLE = torch.float64
SOLIDS = {
    "box": solids.box((1, 2, 3), dtype=DOUBLE),
    "cube": solids.cube(2.0, dtype=DOUBLE),
    "tetrahedron": solids.tetrahedron(dtype=DOUBLE),
    "icosphere": solids.icosphere(0.5, 4, dtype=DOUBLE),
    "cylinder": solids.cylinder(0.5, 2.0, 96, dtype=DOUBLE),
    "cone": solids.cone(0.5, 1.5, 96, dtype=DOUBLE),
    "torus": solids.torus(0.4, 0.1, 96, 64, dtype=DOUBLE),
}
VOLUMES = {
    "box": 6.0,
    "cube": 8.0,
    "tetrahedron": 8 * (0.5 / math.sqrt(3)) ** 3 / 3,
    "icosphere": 4 / 3 * math.pi * 0.5**3,
    "cylinder": math.pi * 0.5**2 * 2,
    "cone": math.pi * 0.5**2 * 1.5 / 3,
    "torus": 2 * math.pi**2 * 0.4 * 0.1**2,
}


def volume(mesh: Mesh) -> float:
    """By the divergence theorem; positive where faces are counter-clockwise from outside."""
    a, b, c = mesh.triangles.unbind(1)
    return float((a * torch.cross(b, c, dim=-1)).sum() / 6)


@pytest.mark.parametrize("name", SOLIDS)
def test_volume_is_that_of_the_textbook_and_faces_look_outward(name: str) -> None:
    exact = name in ("box", "cube", "tetrahedron")
    assert volume(SOLIDS[name]) == pytest.approx(VOLUMES[name], rel=1e-12 if exact else 0.005)


@pytest.mark.parametrize("name", SOLIDS)
def test_surface_is_closed_in_one_part_and_each_edge_runs_both_ways(name: str) -> None:
    mesh = SOLIDS[name]
    vertices, faces = edges(mesh)
    assert bool((faces >= 0).all())
    assert len(parts(mesh).unique()) == 1
    euler = len(mesh.vertices) - len(vertices) + len(mesh.faces)
    assert euler == (0 if name == "torus" else 2)
    second = mesh.faces[faces[:, 1]]
    runs_back = ((second == vertices[:, 1:]) & (second.roll(-1, 1) == vertices[:, :1])).any(1)
    assert bool(runs_back.all())
    assert float(mesh.face_areas().min()) > 0


def test_sizes_are_those_asked_for() -> None:
    torch.testing.assert_close(SOLIDS["box"].bounds[1] * 2, torch.tensor([1.0, 2, 3], dtype=DOUBLE))
    torch.testing.assert_close(SOLIDS["torus"].bounds[1], torch.tensor([0.5, 0.5, 0.1], dtype=DOUBLE))
    torch.testing.assert_close(SOLIDS["cone"].bounds[1], torch.tensor([0.5, 0.5, 0.75], dtype=DOUBLE))
    radius = SOLIDS["icosphere"].vertices.norm(dim=-1)
    torch.testing.assert_close(radius, torch.full_like(radius, 0.5))
    assert len(SOLIDS["icosphere"].faces) == 20 * 4**4
    assert solids.cube().vertices.dtype == torch.float32


def distances(mesh: Mesh) -> Tensor:
    return torch.pdist(mesh.vertices)


def test_a_tetrahedron_has_equal_edges() -> None:
    lengths = distances(SOLIDS["tetrahedron"])
    torch.testing.assert_close(lengths, lengths[:1].expand(6))


@pytest.mark.parametrize(
    "make",
    [
        lambda: solids.box((1, 0, 1)),
        lambda: solids.cube(float("nan")),
        lambda: solids.icosphere(level=40),
        lambda: solids.torus(0.1, 0.2),
        lambda: solids.cylinder(segments=2),
        lambda: solids.revolve([(-1.0, 0.0), (1.0, 1.0)]),
    ],
)
def test_impossible_solids_are_refused(make: object) -> None:
    with pytest.raises(ResectError, match="expected"):
        make()  # type: ignore[operator]
