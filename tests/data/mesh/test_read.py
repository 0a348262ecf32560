import json
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mesh_files import colored_sphere, real, textured_cube

from resect.data.mesh import read_mesh, write_mesh, write_obj, write_ply
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.mesh import diameter
from resect.geometry.mesh_color import surface_colors


@pytest.mark.parametrize("name", ["m.ply", "m.obj"])
def test_the_content_says_what_a_file_is(name: str, tmp_path: Path) -> None:
    written = write_mesh(solids.cube(), tmp_path / name)[0]
    other = written.rename(tmp_path / "scan.dat")
    assert len(read_mesh(other).faces) == 12


def test_units_are_what_one_is_told(tmp_path: Path) -> None:
    path = write_mesh(solids.cube(100.0), tmp_path / "m.ply")[0]
    assert read_mesh(path).meters_per_unit is None
    assert read_mesh(path, meters_per_unit=0.001).meters_per_unit == 0.001
    with pytest.raises(ResectError, match="positive"):
        read_mesh(path, meters_per_unit=-1.0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"hello world, no mesh", "something else"),
        (b"\x89PNG\r\n\x1a\n", "something else"),
        (b"Kaydara FBX Binary  \x00", "FBX.*OBJ, PLY or GLB"),
        (b"<?xml version='1.0'?><COLLADA>", "COLLADA"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git lfs pull"),
    ],
)
def test_what_is_no_mesh_is_named(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_bytes(data)
    with pytest.raises(ResectError, match=said):
        read_mesh(tmp_path / "m.obj")


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="a folder"):
        read_mesh(tmp_path)
    with pytest.raises(ResectError, match="no file"):
        read_mesh(tmp_path / "m.ply")


def test_files_beyond_reason_are_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "m.ply").open("wb") as file:
        file.truncate(2**40)  # takes no space on disk
    with pytest.raises(ResectError, match="at most 256 MB"):
        read_mesh(tmp_path / "m.ply")


class TestThroughTrimesh:
    """Written by trimesh, an independent program, and read here."""

    @pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
    def test_stl(self, kind: str, tmp_path: Path) -> None:
        trimesh = pytest.importorskip("trimesh")
        cube = trimesh.creation.box((1, 2, 3))
        cube.export(tmp_path / "m.stl", file_type=kind)
        mesh = read_mesh(tmp_path / "m.stl")
        assert (len(mesh.vertices), len(mesh.faces)) == (8, 12)
        torch.testing.assert_close(mesh.bounds, torch.tensor([[-0.5, -1, -1.5], [0.5, 1, 1.5]]))
        assert mesh.meters_per_unit is None

    @pytest.mark.parametrize("name", ["m.glb", "m.gltf"])
    def test_gltf_puts_instances_where_their_nodes_do_and_is_in_metres(self, name: str, tmp_path: Path) -> None:
        trimesh = pytest.importorskip("trimesh")
        scene = trimesh.Scene()
        box = trimesh.creation.box((1, 1, 1))
        box.visual.vertex_colors = [255, 0, 51, 255]
        mirror = np.diag([-1.0, 1, 1, 1])
        mirror[:3, 3] = (5, 0, 0)
        scene.add_geometry(box, geom_name="box")
        scene.graph.update("other", geometry="box", matrix=mirror)
        folder = tmp_path / "out"
        folder.mkdir()
        exported = scene.export(file_type=name[2:])
        files = (
            {name: exported}
            if isinstance(exported, bytes)
            else {(name if k == "model.gltf" else k): v for k, v in exported.items()}
        )
        for file, data in files.items():
            (folder / file).write_bytes(data)
        mesh = read_mesh(folder / name)
        assert len(mesh.faces) == 24
        assert mesh.meters_per_unit == 1.0
        torch.testing.assert_close(mesh.bounds, torch.tensor([[-0.5, -0.5, -0.5], [5.5, 0.5, 0.5]]))
        outward = mesh.triangles.mean(1) - torch.where(mesh.triangles.mean(1)[:, :1] > 2, 5.0, 0.0) * torch.eye(3)[0]
        assert bool(((mesh.face_normals() * outward).sum(1) > 0).all())
        assert mesh.colors is not None
        torch.testing.assert_close(mesh.colors, torch.tensor([[1, 0, 0.2]]).expand_as(mesh.colors))

    def test_gltf_textures_look_as_those_of_obj(self, tmp_path: Path) -> None:
        trimesh = pytest.importorskip("trimesh")
        cube = textured_cube()
        cube = replace(cube, face_material=None, materials=cube.materials[:1])
        path = write_mesh(cube, tmp_path / "m.obj")[0]
        (tmp_path / "m.glb").write_bytes(trimesh.load_scene(path).export(file_type="glb"))
        ours, theirs = read_mesh(path), read_mesh(tmp_path / "m.glb")
        face = torch.arange(12)
        weights = torch.tensor([0.2, 0.3, 0.5]).expand(12, 3)
        order = torch.cdist(ours.triangles.mean(1), theirs.triangles.mean(1)).argmin(1)
        torch.testing.assert_close(theirs.triangles[order], ours.triangles)
        found = surface_colors(theirs, order, weights)
        torch.testing.assert_close(found, surface_colors(ours, face, weights), atol=0.01, rtol=0)

    def test_damaged_and_hostile_files_are_refused(self, tmp_path: Path) -> None:
        trimesh = pytest.importorskip("trimesh")
        whole = trimesh.Scene(trimesh.creation.box((1, 1, 1))).export(file_type="glb")
        path = tmp_path / "m.glb"
        for length in (4, 11, 20, 200, len(whole) - 40):
            path.write_bytes(whole[:length])
            with pytest.raises(ResectError):
                read_mesh(path)
        path.write_bytes(json.dumps({"asset": {"version": "2.0"}, "accessors": [{"count": 10**12}]}).encode())
        with pytest.raises(ResectError, match="in one accessor"):
            read_mesh(path)
        path.write_bytes(json.dumps({"asset": {"version": "2.0"}}).encode())
        with pytest.raises(ResectError):
            read_mesh(path)

    def test_gltf_buffers_come_from_the_mesh_s_folder(self, tmp_path: Path) -> None:
        trimesh = pytest.importorskip("trimesh")
        folder = tmp_path / "inside"
        folder.mkdir()
        for file, data in trimesh.Scene(trimesh.creation.box((1, 1, 1))).export(file_type="gltf").items():
            (folder / file).write_bytes(data)
        assert len(read_mesh(folder / "model.gltf").faces) == 12
        tree = json.loads((folder / "model.gltf").read_text())
        buffer = folder / tree["buffers"][0]["uri"]
        buffer.rename(tmp_path / "moved.bin")
        tree["buffers"][0]["uri"] = "../moved.bin"
        (folder / "model.gltf").write_text(json.dumps(tree))
        with pytest.raises(ResectError):
            read_mesh(folder / "model.gltf")


class TestReal:
    """Files of other people's programs, against numbers of other people's programs."""

    @pytest.mark.parametrize("number", [1, 5, 6, 8, 9, 10, 11, 12])
    def test_sizes_are_those_of_the_published_table(self, number: int) -> None:
        info = json.loads(real("lmo", "models", "models_info.json").read_text())[str(number)]
        mesh = read_mesh(real("lmo", "models", f"obj_{number:06d}.ply"))
        least = torch.tensor([info["min_x"], info["min_y"], info["min_z"]])
        size = torch.tensor([info["size_x"], info["size_y"], info["size_z"]])
        torch.testing.assert_close(mesh.bounds[0], least, atol=6e-4, rtol=0)
        torch.testing.assert_close(mesh.bounds[1] - mesh.bounds[0], size, atol=2e-3, rtol=0)
        assert diameter(mesh.vertices) == pytest.approx(info["diameter"], abs=1e-3)
        assert mesh.colors is not None
        assert mesh.normals is not None
        binary = read_mesh(real("lmo", "models_eval", f"obj_{number:06d}.ply"))  # simplified, without colour
        torch.testing.assert_close(binary.bounds, mesh.bounds, atol=1.0, rtol=0)
        assert binary.colors is None

    @pytest.mark.parametrize(
        "path",
        [
            "cow_mesh/cow.obj",
            "ycb_banana/textured_simple_reoriented.obj",
            "gso_chefmate_8_frypan/chefmate_8_frypan.obj",
            "shapenet_chair_21bfb150/model.obj",
            "modelnet_chair/chair_0890.off",
            "modelnet_chair/chair_0891.off",
        ],
    )
    def test_the_surface_is_that_which_trimesh_reads(self, path: str) -> None:
        trimesh = pytest.importorskip("trimesh")
        file = real("meshes", *path.split("/"))
        ours, theirs = read_mesh(file), trimesh.load_scene(file, skip_materials=True).to_mesh()
        found = np.sort(ours.triangles.double().numpy().reshape(-1, 9), 0)
        expected = np.sort(np.asarray(theirs.triangles).reshape(-1, 9), 0)
        np.testing.assert_allclose(found, expected, atol=1e-5 * float(ours.bounds.abs().max()))
        assert ours.notes == ()

    def test_textures_are_there(self) -> None:
        banana = read_mesh(real("meshes", "ycb_banana", "textured_simple_reoriented.obj"))
        generator = torch.Generator().manual_seed(0)
        face = torch.randint(len(banana.faces), (500,), generator=generator)
        red, green, blue = surface_colors(banana, face, torch.full((500, 3), 1 / 3)).mean(0).tolist()
        assert red > green > 2 * blue  # yellow, not the black between the islands of the atlas

    def test_speed(self) -> None:
        path = real("meshes", "ycb_banana", "textured_simple_reoriented.obj")
        from resect.data.mesh.obj import read_obj

        data = path.read_bytes()
        begin = time.process_time()
        assert len(read_obj(data, Path("/nowhere/m.obj")).faces) > 15_000
        assert time.process_time() - begin < 0.6  # takes 0.1 s alone on a core
        begin = time.process_time()
        read_mesh(real("lmo", "models", "obj_000006.ply"))
        assert time.process_time() - begin < 0.6


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut, doubled, or replaced by what readers stumble over."""
    found, place = bytearray(data), rng.randrange(len(data))
    match rng.randrange(5):
        case 0:
            found[place] ^= 1 << rng.randrange(8)
        case 1:
            del found[place : place + rng.randrange(1, 20)]
        case 2:
            found[place:place] = found[place : place + rng.randrange(1, 20)]
        case 3:
            found[place:place] = rng.choice([b"-1", b"nan", b"1e999", b"\n", b" ", b"99999999999", b"/", b"\0", b"#"])
        case _:
            del found[place:]
    return bytes(found)


@pytest.mark.parametrize("name", ["binary.ply", "text.ply", "m.obj", "m.mtl", "m.off"])
def test_no_damage_makes_a_reader_stumble(name: str, tmp_path: Path) -> None:
    write_ply(textured_cube(), tmp_path / "binary.ply")
    write_ply(colored_sphere(), tmp_path / "text.ply", binary=False)
    write_obj(textured_cube(), tmp_path / "m.obj", overwrite=True)
    faces = "".join(f"3 {i} {i + 1} {i + 2} 255 0 0\n" for i in range(20))
    (tmp_path / "m.off").write_text("COFF\n22 20 0\n" + "0.5 1 2 255 0 0 255\n" * 22 + faces)
    whole, rng = (tmp_path / name).read_bytes(), random.Random(name)
    outcomes = set()
    for _ in range(120):
        (tmp_path / name).write_bytes(mutated(whole, rng))
        try:
            outcomes.add(len(read_mesh(tmp_path / name.replace(".mtl", ".obj")).faces) > 0)
        except ResectError as error:
            outcomes.add(bool(error.expected and error.got) and "refused")
    assert outcomes <= {True, "refused"}


def test_colours_survive_every_way(tmp_path: Path) -> None:
    sphere = colored_sphere()
    for name in ("m.ply", "m.obj"):
        found = read_mesh(write_mesh(sphere, tmp_path / name)[0]).colors
        assert found is not None
        assert sphere.colors is not None
        torch.testing.assert_close(found, sphere.colors)
