from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mesh_files import assert_same, colored_sphere, textured_cube

from resect.data.mesh import read_mesh, write_mesh, write_obj, write_ply
from resect.errors import ResectError
from resect.geometry import solids

MESHES = {"plain": solids.box((1, 2, 3)), "colored": colored_sphere(), "textured": textured_cube()}


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("kind", ["ascii", "binary", "obj"])
def test_what_is_written_is_read_again(name: str, kind: str, tmp_path: Path) -> None:
    mesh = MESHES[name]
    if kind == "obj":
        files = write_obj(mesh, tmp_path / "m.obj")
    else:
        files = write_ply(mesh, tmp_path / "m.ply", binary=kind == "binary")
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert_same(read_mesh(files[0]), mesh)


def test_positions_keep_all_their_digits(tmp_path: Path) -> None:
    mesh = solids.icosphere(0.3, 2, dtype=torch.float64)
    (path,) = write_ply(mesh, tmp_path / "m.ply")
    assert b"property double x" in path.read_bytes()[:300]
    text = write_obj(mesh, tmp_path / "m.obj")[0].read_text()
    found = [[float(w) for w in line.split()[1:]] for line in text.splitlines() if line.startswith("v ")]
    assert torch.equal(torch.tensor(found, dtype=torch.float64), mesh.vertices)


def test_what_vertex_colours_hide_is_not_written(tmp_path: Path) -> None:
    cube = textured_cube()
    mesh = replace(cube, colors=torch.rand(8, 3, generator=torch.Generator().manual_seed(0)))
    for path in (tmp_path / "m.ply", tmp_path / "m.obj"):
        found = read_mesh(write_mesh(mesh, path)[0])
        assert found.colors is not None
        torch.testing.assert_close(found.colors, mesh.colors, rtol=0, atol=0.002)
    assert not list(tmp_path.glob("*.png"))


def test_a_material_s_tint_goes_into_its_picture(tmp_path: Path) -> None:
    cube = textured_cube()
    tinted = replace(cube.materials[0], color=(0.5, 1.0, 1.0))
    found = read_mesh(write_obj(replace(cube, materials=(tinted, *cube.materials[1:])), tmp_path / "m.obj")[0])
    texture, before = found.materials[0].texture, cube.materials[0].texture
    assert texture is not None
    assert before is not None
    torch.testing.assert_close(texture, before * torch.tensor([0.5, 1, 1]), rtol=0, atol=0.003)
    assert found.materials[0].color == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("name", ["m.ply", "m.obj", "m.mtl", "m_1.png"])
def test_nothing_is_written_over_unasked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    path = tmp_path / ("m.ply" if name == "m.ply" else "m.obj")
    with pytest.raises(ResectError, match="one that exists"):
        write_mesh(textured_cube(), path)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    write_mesh(textured_cube(), path, overwrite=True)
    assert len(read_mesh(path).faces) == 12


def test_other_formats_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match=r"ends in \.ply or \.obj"):
        write_mesh(solids.cube(), tmp_path / "m.stl")
