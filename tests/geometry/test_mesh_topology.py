import pytest
import torch

from resect.geometry import solids
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_topology import distinct_rows, edges, parts


def fan(count: int) -> Mesh:
    """`count` faces around the edge from vertex 0 to vertex 1."""
    vertices = torch.rand(count + 2, 3, generator=torch.Generator().manual_seed(0))
    return Mesh(vertices, torch.tensor([[0, 1, 2 + i] for i in range(count)]))


def test_edges_of_two_triangles() -> None:
    mesh = Mesh(torch.rand(4, 3), torch.tensor([[0, 1, 2], [2, 1, 3]]))
    vertices, faces = edges(mesh)
    found = {(*sorted(v), *f) for v, f in zip(vertices.tolist(), faces.tolist(), strict=True)}
    assert found == {(0, 1, 0, -1), (0, 2, 0, -1), (1, 2, 0, 1), (1, 3, 1, -1), (2, 3, 1, -1)}
    assert [1, 2] in vertices.tolist()  # as the first face runs


def test_every_side_of_every_face_is_in_one_row_where_many_meet() -> None:
    for count in (1, 2, 3, 4, 5):
        vertices, faces = edges(fan(count))
        spine = (vertices.sort(1).values == torch.tensor([0, 1])).all(1)
        assert int(spine.sum()) == (count + 1) // 2
        assert sorted(faces[spine].flatten().tolist()) == sorted([*range(count), *[-1] * (count % 2)])
        assert int((faces >= 0).sum()) == 3 * count


def test_sides_without_length_and_meshes_without_faces_have_no_edges() -> None:
    vertices, faces = edges(Mesh(torch.rand(3, 3), torch.tensor([[0, 0, 1]])))
    assert vertices.tolist() == [[0, 1]]
    assert faces.tolist() == [[0, 0]]
    assert len(edges(Mesh(torch.rand(3, 3), torch.empty(0, 3, dtype=torch.int64)))[0]) == 0


def test_parts_are_told_apart_whatever_the_order_of_faces() -> None:
    cube, sphere = solids.cube(), solids.icosphere(level=1)
    faces = torch.cat([cube.faces, sphere.faces + 8])
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(1))
    unused = torch.rand(5, 3)  # vertices without a face are no part
    mesh = Mesh(torch.cat([cube.vertices, sphere.vertices, unused]), faces[order])
    label = parts(mesh)
    assert sorted(label.bincount().tolist()) == [12, 80]
    assert len(label[order < 12].unique()) == 1


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_distinct_rows_are_those_that_sorting_whole_rows_finds(dtype: torch.dtype) -> None:
    rows = torch.randint(-3, 4, (500, 3), generator=torch.Generator().manual_seed(0)).to(dtype)
    expected, expected_which = rows.unique(dim=0, return_inverse=True)
    kept, which = distinct_rows(rows)
    assert torch.equal(kept, expected)
    assert torch.equal(which, expected_which)


def test_distinct_rows_of_none_are_none() -> None:
    kept, which = distinct_rows(torch.zeros(0, 2, dtype=torch.long))
    assert kept.shape == (0, 2)
    assert which.shape == (0,)
