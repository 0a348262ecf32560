from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shell import resect

from resect.data.camera_file import write_camera
from resect.data.mesh import read_mesh, write_mesh
from resect.geometry import solids
from resect.geometry.camera import Camera
from resect.geometry.mesh import Material


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    """As large in millimetres as an apple."""
    return write_mesh(solids.icosphere(40.0, 3), tmp_path / "ball.ply")[0]


def test_info_says_what_it_is(ball: Path) -> None:
    said = resect("mesh", "info", ball, "--threads", 1, "--json")
    assert said.code == 0
    assert "diameter 80: looks like millimetres" in said.out
    assert "watertight" in said.out
    (facts,) = said.json["meshes"]
    assert facts["faces"] == 1280
    assert facts["meters_per_unit"] is None
    wrong = resect("mesh", "info", ball, "--units", "m", "--threads", 1)
    assert "check --units" in wrong.out


def test_info_goes_on_after_a_broken_file(ball: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.ply").write_bytes(ball.read_bytes()[:-5])
    said = resect("mesh", "info", tmp_path / "broken.ply", ball, "--threads", 1, "--json")
    assert said.code == 2
    assert "cut short" in said.err
    assert [("error" in m) for m in said.json["meshes"]] == [True, False]
    assert resect("mesh", "info").code == 2


def test_simplify_writes_fewer_faces_and_nothing_over(ball: Path, tmp_path: Path) -> None:
    pytest.importorskip("fast_simplification")
    out = tmp_path / "small.ply"
    command = ("mesh", "simplify", ball, "--faces", 200, "--out", out, "--threads", 1, "--json")
    said = resect(*command)
    assert said.code == 0, said.err
    assert said.json["faces"] == len(read_mesh(out).faces) <= 200
    before = out.read_bytes()
    again = resect(*command)
    assert again.code == 2
    assert out.read_bytes() == before
    assert resect(*command, "--overwrite").code == 0


def test_convert_changes_format_and_units(tmp_path: Path) -> None:
    cube = replace(
        solids.cube(100.0),
        uv=torch.rand(8, 2, generator=torch.Generator().manual_seed(0)),
        uv_faces=solids.cube().faces,
        materials=(Material((1.0, 1.0, 1.0), torch.zeros(2, 2, 3), "skin"),),
    )
    path = write_mesh(cube, tmp_path / "cube.obj")[0]
    out = tmp_path / "out" / "cube.ply"
    said = resect("mesh", "convert", path, "--units", "mm", "--out-units", "m", "--out", out, "--threads", 1, "--json")
    assert said.code == 0, said.err
    assert said.json["scale"] == pytest.approx(0.001)
    found = read_mesh(out)
    torch.testing.assert_close(found.bounds[1], torch.full((3,), 0.05))
    assert found.materials[0].texture is not None
    unknown = resect("mesh", "convert", path, "--out-units", "m", "--out", tmp_path / "other.ply", "--threads", 1)
    assert unknown.code == 2
    assert "--units" in unknown.err
    assert resect("mesh", "convert", path, "--out", tmp_path / "m.step", "--threads", 1).code == 2


def test_info_of_anything_knows_meshes(ball: Path) -> None:
    said = resect("info", ball, "--json")
    assert said.code == 0, said.err
    assert said.json["what"] == "mesh"
    assert said.json["diameter"] == pytest.approx(80, rel=1e-3)


def test_the_table_of_verbs() -> None:
    said = resect("mesh", "--help")
    assert said.code == 0
    assert all(verb in said.out for verb in ("info", "simplify", "convert"))
    assert "Did you mean 'info'" in resect("mesh", "inof").err


def test_scale_from_the_camera_s_height(tmp_path: Path) -> None:
    """A box 0.8 m high, 3 m before a level camera 1.2 m over the ground: seen from 0.4 m below to 1.2 m below."""
    write_mesh(solids.box((1.0, 2.0, 1.0)), tmp_path / "box.ply")
    write_camera(Camera(300.0, 300.0, 160.0, 120.0, 320, 240), tmp_path / "camera.json")
    out = tmp_path / "metres.ply"
    seen = ("--box", 140, 120 + 300 * 0.4 / 3, 180, 120 + 300 * 1.2 / 3, "--camera", tmp_path / "camera.json")
    command = ("mesh", "scale", tmp_path / "box.ply", "--out", out, "--threads", 1, "--json")
    said = resect(*command, "--camera-height", 1.2, *seen)
    assert said.code == 0, said.err
    assert said.json["scale"] == pytest.approx(0.4)
    mesh = read_mesh(out)
    assert mesh.meters_per_unit in (None, 1.0)
    assert float(mesh.bounds[1, 1] - mesh.bounds[0, 1]) == pytest.approx(0.8, abs=1e-5)
    assert "--overwrite" in resect(*command, "--height", 0.8).err
    assert resect(*command, "--height", 0.5, "--up", "x", "--overwrite").json["scale"] == pytest.approx(0.5)
    assert "one of --height" in resect(*command, "--overwrite").err
    assert "--box and --camera" in resect(*command, "--overwrite", "--camera-height", 1.2).err
