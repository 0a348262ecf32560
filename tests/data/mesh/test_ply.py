import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resect.data.mesh import read_mesh
from resect.errors import ResectError
from resect.geometry.mesh import Mesh

POSITIONS = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5, 2.0)]
POLYGONS = [(0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]
TRIANGLES = [[0, 3, 2], [0, 2, 1], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]


def header(kind: str, *lines: str, end: str = "\n") -> bytes:
    return end.join(["ply", f"format {kind} 1.0", *lines, "end_header", ""]).encode()


def pyramid(kind: str, end: str = "\n") -> bytes:
    """With an element that nobody knows between the two that count, and polygons of different lengths."""
    head = header(
        kind,
        "comment made by hand",
        "element vertex 5",
        *(f"property {t} {n}" for t, n in (("double", "x"), ("float", "y"), ("float32", "z"), ("uint8", "red"))),
        *("property uchar green", "property uchar blue", "property list uchar short weights"),
        "element camera 2",
        *("property int view", "property list int float numbers"),
        "element face 5",
        *("property list uchar int vertex_indices", "property short flags"),
        end=end,
    )
    if kind == "ascii":
        rows = [f"{x} {y} {z} {10 * i} 0 255 {i} {'7 ' * i}" for i, (x, y, z) in enumerate(POSITIONS)]
        rows += ["3 2 0.5 0.25", "4 0"]
        rows += [f"{len(p)} {' '.join(map(str, p))} -1" for p in POLYGONS]
        return head + (end.join(rows) + end).encode()
    order = "<" if kind == "binary_little_endian" else ">"
    body = b""
    for i, (x, y, z) in enumerate(POSITIONS):
        body += struct.pack(f"{order}dffBBBB{i}h", x, y, z, 10 * i, 0, 255, i, *[7] * i)
    body += struct.pack(f"{order}iiff", 3, 2, 0.5, 0.25) + struct.pack(f"{order}ii", 4, 0)
    for p in POLYGONS:
        body += struct.pack(f"{order}B{len(p)}ih", len(p), *p, -1)
    return head + body


def read(data: bytes, folder: Path) -> Mesh:
    (folder / "m.ply").write_bytes(data)
    return read_mesh(folder / "m.ply")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_every_way_to_write_a_pyramid_gives_the_same_triangles(kind: str, end: str, tmp_path: Path) -> None:
    mesh = read(pyramid(kind, end), tmp_path)
    assert torch.equal(mesh.vertices, torch.tensor(POSITIONS))
    assert mesh.faces.tolist() == TRIANGLES
    assert mesh.colors is not None
    torch.testing.assert_close(mesh.colors, torch.tensor([[10 * i / 255, 0, 1] for i in range(5)]))
    assert mesh.meters_per_unit is None
    assert mesh.name == "m.ply"


TRIANGLE = "0 0 0\n1 0 0\n0 1 0\n"
XYZ = ("element vertex 3", "property float x", "property float y", "property float z")
FACE = ("element face 1", "property list uchar int vertex_indices")


@pytest.mark.parametrize(("high", "scale"), [("0.5", 1.0), ("128", 255.0)])
def test_float_colours_are_fractions_unless_they_go_to_255(high: str, scale: float, tmp_path: Path) -> None:
    head = header("ascii", *XYZ, "property float r", "property float g", "property float b", *FACE)
    mesh = read(head + f"0 0 0 0 0 {high}\n1 0 0 0 0 0\n0 1 0 0 0 0\n3 0 1 2\n".encode(), tmp_path)
    assert mesh.colors is not None
    assert float(mesh.colors[0, 2]) == pytest.approx(float(high) / scale)


def test_normals_have_length_one(tmp_path: Path) -> None:
    head = header("ascii", *XYZ, "property float nx", "property float ny", "property float nz", *FACE)
    mesh = read(head + b"0 0 0 0 0 2\n1 0 0 3 0 4\n0 1 0 0 -1 0\n3 0 1 2\n", tmp_path)
    assert mesh.normals is not None
    torch.testing.assert_close(mesh.normals, torch.tensor([[0, 0, 1], [0.6, 0, 0.8], [0, -1, 0]]))
    assert read(head + b"0 0 0 0 0 0\n1 0 0 3 0 4\n0 1 0 0 -1 0\n3 0 1 2\n", tmp_path).normals is None


@pytest.mark.parametrize("names", ["s t", "u v", "texture_u texture_v"])
def test_texture_coordinates_of_vertices(names: str, tmp_path: Path) -> None:
    picture(tmp_path / "my skin.png")
    head = header(
        "ascii", "comment TextureFile my skin.png", *XYZ, *(f"property float {n}" for n in names.split()), *FACE
    )
    mesh = read(head + b"0 0 0 0 0\n1 0 0 .25 0\n0 1 0 0 .75\n3 2 0 1\n", tmp_path)
    assert mesh.uv is not None
    assert mesh.uv_faces is not None
    assert mesh.uv[mesh.uv_faces[0]].tolist() == [[0, 0.75], [0, 0], [0.25, 0]]
    assert mesh.materials[0].texture is not None
    assert mesh.materials[0].texture.shape == (2, 4, 3)


def test_texture_coordinates_of_corners_and_the_picture_of_each_face(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", 5)
    pictures = ("comment TextureFile a.png", "comment TextureFile b.png")
    listed = ("property list uchar float texcoord", "property int texnumber")
    quad = ("element vertex 4", *XYZ[1:], "element face 3", FACE[1], *listed)
    rows = b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3 8 0 0 .1 0 .2 1 .3 1 1\n"
    rows += b"3 2 1 0 6 .4 .4 .5 .5 .6 .6 0\n3 0 1 2 6 0 0 0 0 0 0 -1\n"
    mesh = read(header("ascii", *pictures, *quad) + rows, tmp_path)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [2, 1, 0], [0, 1, 2]]
    assert mesh.uv is not None
    assert mesh.uv_faces is not None
    expected = torch.tensor([[0, 0], [0.2, 1], [0.3, 1]])
    torch.testing.assert_close(mesh.uv[mesh.uv_faces[1]], expected)
    assert mesh.face_material is not None
    seen = [mesh.materials[k].name for k in mesh.face_material.tolist()]
    assert seen == ["b.png", "b.png", "a.png", ""]
    assert mesh.materials[-1].texture is None


def picture(path: Path, height: int = 2) -> None:
    values = np.random.default_rng(0).integers(0, 255, (height, 4, 3), np.uint8)
    Image.fromarray(values).save(path)


def test_colours_of_faces_become_materials_while_they_are_few(tmp_path: Path) -> None:
    head = header("ascii", *XYZ, "element face 2", FACE[1], *(f"property uchar {c}" for c in ("red", "green", "blue")))
    mesh = read(head + TRIANGLE.encode() + b"3 0 1 2 255 0 0\n3 2 1 0 0 0 51\n", tmp_path)
    assert mesh.face_material is not None
    assert [mesh.materials[k].color for k in mesh.face_material.tolist()] == [(1, 0, 0), (0, 0, 0.2)]


def test_colours_of_faces_become_those_of_vertices_when_there_are_many(tmp_path: Path) -> None:
    count = 300
    colors = [(i % 256, i // 256, 0) for i in range(count)]
    head = header(
        *("ascii", f"element vertex {3 * count}", *XYZ[1:], f"element face {count}", FACE[1]),
        *(f"property uchar {c}" for c in ("red", "green", "blue")),
    )
    rows = [TRIANGLE] * count + [
        f"3 {3 * i} {3 * i + 1} {3 * i + 2} {r} {g} {b}\n" for i, (r, g, b) in enumerate(colors)
    ]
    mesh = read(head + "".join(rows).encode(), tmp_path)
    assert mesh.colors is not None
    torch.testing.assert_close(mesh.colors[::3], torch.tensor(colors) / 255, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_a_file_cut_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    whole = pyramid(kind)
    step = 7
    for length in range(3, len(whole) - (3 if kind == "ascii" else 1), step):
        with pytest.raises(ResectError) as error:
            read(whole[:length], tmp_path)
        assert "m.ply" in error.value.where


HOSTILE = {
    "no vertices": (header("ascii", "element vertex 0", *XYZ[1:], "element face 0", FACE[1]), "surface"),
    "points only": (header("ascii", *XYZ) + TRIANGLE.encode(), "export the surface"),
    "no positions": (header("ascii", "element vertex 1", "property float x", *FACE) + b"0 3 0 0 0", "x, y and z"),
    "a billion vertices": (header("ascii", "element vertex 1000000000", *XYZ[1:], *FACE) + b"1 2 3", "cut short"),
    "a billion faces": (
        header("binary_little_endian", *XYZ, "element face 1000000000", FACE[1]) + b"\0" * 36 + b"\3" * 13,
        "cut short",
    ),
    "a list of four billion": (
        header("binary_little_endian", *XYZ, "element face 1", "property list uint int vertex_indices")
        + (b"\0" * 36 + b"\xff" * 16),
        "cut short",
    ),
    "a list of less than nothing": (
        header("binary_little_endian", *XYZ, "element face 1", "property list char int vertex_indices")
        + (b"\0" * 36 + b"\xff" * 16),
        "cut short",
    ),
    "a length that is no number": (header("ascii", *XYZ, *FACE) + TRIANGLE.encode() + b"nan 0 1 2", "cut short"),
    "index too large": (
        header("ascii", *XYZ, *FACE) + TRIANGLE.encode() + b"3 0 1 3",
        "indices of a vertex from 0 to 2",
    ),
    "index below 0": (header("ascii", *XYZ, *FACE) + TRIANGLE.encode() + b"3 0 1 -1", "indices of a vertex"),
    "index not whole": (header("ascii", *XYZ, *FACE) + TRIANGLE.encode() + b"3 0 1 1.5", "indices of a vertex"),
    "not a number": (header("ascii", *XYZ, *FACE) + b"0 0 nan 1 0 0 0 1 0 3 0 1 2", "finite positions"),
    "infinite": (header("ascii", *XYZ, *FACE) + b"0 0 1e999 1 0 0 0 1 0 3 0 1 2", "finite positions"),
    "too large for squares": (
        header("ascii", *XYZ, *FACE) + b"0 0 2e19 1 0 0 0 1 0 3 0 1 2",
        "finite positions below 1e",
    ),
    "words": (header("ascii", *XYZ, *FACE) + b"0 0 zero 1 0 0 0 1 0 3 0 1 2", "a number, got 'zero'"),
    "lines for faces": (header("ascii", *XYZ, *FACE) + TRIANGLE.encode() + b"2 0 1", "surface"),
    "no header's end": (b"ply\nformat ascii 1.0\n", "end_header"),
    "another format": (header("binary_middle_endian", *XYZ, *FACE), "format ascii"),
    "a count that is none": (header("ascii", "element vertex many"), "element NAME COUNT"),
    "a trillion vertices": (header("ascii", "element vertex 1000000000000"), "at most 12 digits"),
    "a type that is none": (header("ascii", "element vertex 1", "property quad x"), "property TYPE NAME"),
    "a property of nothing": (header("ascii", "property float x"), "an element before"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_files_are_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    data, said = HOSTILE[name]
    with pytest.raises(ResectError, match=said) as error:
        read(data, tmp_path)
    assert error.value.fix


def test_textures_come_from_the_mesh_s_folder_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    picture(tmp_path / "outside.png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    for name in ("../outside.png", str(tmp_path / "outside.png"), "link.png", "missing.png", "", "a" * 5000, "..", "."):
        head = header("ascii", f"comment TextureFile {name}", *XYZ, "property float s", "property float t", *FACE)
        mesh = read(head + b"0 0 0 0 0\n1 0 0 .25 0\n0 1 0 0 .75\n3 2 0 1\n", folder)
        assert mesh.materials[0].texture is None
        assert "not in the mesh's folder" in mesh.notes[0]


def test_a_damaged_texture_leaves_the_mesh_grey(tmp_path: Path) -> None:
    (tmp_path / "skin.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    head = header("ascii", "comment TextureFile skin.png", *XYZ, "property float s", "property float t", *FACE)
    mesh = read(head + b"0 0 0 0 0\n1 0 0 .25 0\n0 1 0 0 .75\n3 2 0 1\n", tmp_path)
    assert mesh.materials[0].texture is None
    assert "cannot be read" in mesh.notes[0]
