from dataclasses import replace

import pytest
import torch
from mesh_files import real
from scipy.spatial import cKDTree

from resect.data.mesh import read_mesh
from resect.data.mesh.simplify import simplify
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.mesh import Material, Mesh, sample_surface
from resect.geometry.mesh_color import surface_colors
from resect.geometry.mesh_edit import transformed
from resect.geometry.mesh_topology import edges
from resect.geometry.se3 import SE3

pytest.importorskip("fast_simplification")


def test_a_sphere_stays_a_sphere_where_it_was() -> None:
    far = SE3(torch.eye(3), torch.tensor([50.0, -20, 7]))
    ball = transformed(solids.icosphere(0.5, 5), far)
    few = simplify(replace(ball, meters_per_unit=0.001), 500)
    assert 400 < len(few.faces) <= 500
    assert bool((edges(few)[1] >= 0).all())
    radius = (few.vertices - far.t).norm(dim=1)
    assert float((radius - 0.5).abs().max()) < 0.01
    outward = few.triangles.mean(1) - far.t
    assert bool(((few.face_normals() * outward).sum(1) > 0).all())
    assert few.meters_per_unit == 0.001
    assert few.colors is None


def test_seams_do_not_tear_and_texture_becomes_colour() -> None:
    ball = solids.icosphere(0.5, 4)
    soup = ball.triangles.flatten(0, 1)
    faces = torch.arange(len(soup)).view(-1, 3)
    texture = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)) * 0.02
    texture[:, :, 0] += torch.linspace(0, 0.9, 64)  # red grows along u
    mesh = Mesh(soup, faces, uv=soup[:, :2] + 0.5, uv_faces=faces, materials=(Material((1.0, 1.0, 1.0), texture),))
    few = simplify(mesh, 400)
    assert bool((edges(few)[1] >= 0).all())
    assert few.colors is not None
    inner = few.vertices[:, 0].abs() < 0.4
    expected = (few.vertices[:, 0] + 0.5) * 0.9 + 0.01
    assert float((few.colors[:, 0] - expected)[inner].abs().max()) < 0.06
    assert few.notes == ("textures became colours of vertices",)


def test_nothing_is_done_where_nothing_is_to_be_done() -> None:
    cube = solids.cube()
    assert simplify(cube, 12) is cube
    with pytest.raises(ResectError, match="4 or more"):
        simplify(cube, 3)


@pytest.mark.parametrize("path", ["lmo/models/obj_000009.ply", "meshes/cow_mesh/cow.obj"])
def test_real_meshes_keep_shape_and_colour(path: str) -> None:
    mesh = read_mesh(real(*path.split("/")))
    few = simplify(mesh, 2000)
    assert 1800 < len(few.faces) <= 2000
    generator = torch.Generator().manual_seed(1)
    old, old_face, old_weights = sample_surface(mesh, 20_000, generator)
    new, new_face, new_weights = sample_surface(few, 2_000, generator)
    distance, nearest = cKDTree(old.numpy()).query(new.numpy())
    size = float((mesh.bounds[1] - mesh.bounds[0]).norm())
    assert distance.mean() < 0.006 * size  # of which most is the spacing of the samples
    before = surface_colors(mesh, old_face, old_weights)[torch.from_numpy(nearest)]
    after = surface_colors(few, new_face, new_weights)
    other = after[torch.randperm(len(after), generator=generator)]
    assert float((before - after).abs().mean()) < 0.4 * float((before - other).abs().mean())
