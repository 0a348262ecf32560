from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resect.data.mesh import read_mesh
from resect.errors import ResectError
from resect.geometry.mesh import Mesh

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def read(text: str, folder: Path) -> Mesh:
    (folder / "m.obj").write_text(text)
    return read_mesh(folder / "m.obj")


def picture(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((2, 4, 3), 51, np.uint8)).save(path)


CORNERS = {  # whether all corners have a texture coordinate, and a normal
    "f 1 2 3 4": (False, False),
    "f 1/1 2/2 3/3 4/4": (True, False),
    "f 1//1 2//1 3//1 4//1": (False, True),
    "f 1/1/1 2/2/1 3/3/1 4/4/1": (True, True),
    "f 1/1 2//1 3 4/4/1": (False, False),
    "f 1/ 2/ 3/ 4/": (False, False),
    "f 1/1/ 2/2/ 3/3/ 4/4/": (True, False),
    "f -4 -3 -2 -1": (False, False),
    "f -4/-4/-1 -3/-3/-1 -2/-2/-1 -1/-1/-1": (True, True),
    "f 1 2 \\\n 3 4": (False, False),
    "\tf  1\t2 3 4  # all": (False, False),
}


@pytest.mark.parametrize("face", CORNERS)
def test_every_way_to_write_a_square(face: str, tmp_path: Path) -> None:
    mesh = read(
        f"# by hand\no square\n{SQUARE}vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 2\ng side\ns 1\n{face}\n", tmp_path
    )
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert torch.equal(mesh.vertices[:, :2], torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
    with_coordinates, with_normals = CORNERS[face]
    assert (mesh.normals is not None) == with_normals
    if with_coordinates:
        assert mesh.uv is not None
        assert mesh.uv_faces is not None
        torch.testing.assert_close(mesh.uv[mesh.uv_faces], mesh.vertices[mesh.faces][..., :2])


def test_windows_and_old_macintosh_line_ends(tmp_path: Path) -> None:
    for end in ("\r\n", "\r"):
        (tmp_path / "m.obj").write_bytes((SQUARE + "f 1 2 3\n").replace("\n", end).encode())
        assert read_mesh(tmp_path / "m.obj").faces.tolist() == [[0, 1, 2]]


def test_negative_numbers_count_from_the_line_they_stand_on(tmp_path: Path) -> None:
    other = SQUARE.replace(" 0\n", " 5\n")
    mesh = read(f"{SQUARE}f -4 -3 -2\n{other}f -4 -3 -2\nf 1 -1 -2\n", tmp_path)
    assert mesh.faces.tolist() == [[0, 1, 2], [4, 5, 6], [0, 7, 6]]


def test_colours_stand_behind_positions(tmp_path: Path) -> None:
    mesh = read("v 0 0 0 1 0 0\nv 1 0 0 0 .5 0\nv 0 1 0\nf 1 2 3\n", tmp_path)
    assert mesh.colors is not None
    torch.testing.assert_close(mesh.colors, torch.tensor([[1, 0, 0], [0, 0.5, 0], [0.7, 0.7, 0.7]]))
    weighted = read("v 0 0 0 1 255 0 0\nv 1 0 0 1 0 51 0\nv 0 1 0 1 0 0 0\nf 1 2 3\n", tmp_path)
    assert weighted.colors is not None
    torch.testing.assert_close(weighted.colors, torch.tensor([[1, 0, 0], [0, 0.2, 0], [0, 0, 0]]))


def test_a_weight_is_no_colour(tmp_path: Path) -> None:
    assert read("v 0 0 0 1\nv 1 0 0 1\nv 0 1 0 1\nf 1 2 3\n", tmp_path).colors is None


def test_materials_textures_and_names_with_spaces(tmp_path: Path) -> None:
    picture(tmp_path / "my skins" / "skin 1.png")
    (tmp_path / "my look.mtl").write_text(
        "newmtl old wood\nKd 0.25 0.5 1\nmap_Kd -s 1 1 1 -clamp on -mm 0 1 my skins\\skin 1.png\n"
        "newmtl red\nKa 1 1 1\nKd 1 0 0 # red\nd 0.5\n\nnewmtl grey\nKd .3\n"
    )
    faces = "usemtl red\nf 1 2 3\nusemtl old wood\nf 1/1 2/1 3/1\nf 1 2 4\nusemtl grey\nf 1 2 3\nusemtl red\nf 1 3 4\n"
    mesh = read(f"mtllib my look.mtl\n{SQUARE}vt 0 0\n{faces}", tmp_path)
    assert mesh.face_material is not None
    seen = [mesh.materials[k] for k in mesh.face_material.tolist()]
    assert [m.name for m in seen] == ["red", "old wood", "old wood", "grey", "red"]
    assert [m.color for m in seen] == [(1, 0, 0), (1, 1, 1), (0.7, 0.7, 0.7), (0.3, 0.3, 0.3), (1, 0, 0)]
    assert [m.texture is not None for m in seen] == [False, True, False, False, False]
    assert mesh.notes == ("1 faces have no texture coordinates: they show no texture",)
    texture = seen[1].texture
    assert texture is not None
    torch.testing.assert_close(texture, torch.full((2, 4, 3), 0.2))


def test_several_libraries_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl a\nKd 1 0 0\n")
    (tmp_path / "b.mtl").write_text("newmtl b\nKd 0 1 0\n")
    mesh = read(f"mtllib a.mtl b.mtl\n{SQUARE}usemtl b\nf 1 2 3\nusemtl a\nf 1 3 4\n", tmp_path)
    assert [m.color for m in mesh.materials] == [(0, 1, 0), (1, 0, 0)]


def test_what_is_missing_is_said_and_grey(tmp_path: Path) -> None:
    mesh = read(f"mtllib gone.mtl\n{SQUARE}usemtl gold\nf 1 2 3\n", tmp_path)
    assert mesh.materials[0].color == (0.7, 0.7, 0.7)
    assert any("gone.mtl" in note for note in mesh.notes)
    assert any("no material 'gold'" in note for note in mesh.notes)
    (tmp_path / "gone.mtl").write_text("newmtl gold\nKd 1 1 0\nmap_Kd gone.png\n")
    mesh = read(f"mtllib gone.mtl\n{SQUARE}vt 0 0\nusemtl gold\nf 1/1 2/1 3/1\n", tmp_path)
    assert mesh.materials[0].color == (1, 1, 0)
    assert mesh.notes == ("texture 'gone.png' is not in the mesh's folder: its faces are grey",)


def test_neither_library_nor_texture_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    picture(tmp_path / "secret.png")
    (tmp_path / "secret.mtl").write_text("newmtl a\nKd 1 0 0\n")
    (folder / "link.mtl").symlink_to(tmp_path / "secret.mtl")
    for library in ("../secret.mtl", str(tmp_path / "secret.mtl"), "link.mtl", "..", "/dev/zero"):
        mesh = read(f"mtllib {library}\n{SQUARE}usemtl a\nf 1 2 3\n", folder)
        assert mesh.materials[0].color == (0.7, 0.7, 0.7)
    (folder / "own.mtl").write_text("newmtl a\nmap_Kd ../secret.png\n")
    mesh = read(f"mtllib own.mtl\n{SQUARE}vt 0 0\nusemtl a\nf 1/1 2/1 3/1\n", folder)
    assert mesh.materials[0].texture is None


def test_a_path_on_the_author_s_machine_means_the_file_beside_the_mesh(tmp_path: Path) -> None:
    picture(tmp_path / "Skin.PNG")
    (tmp_path / "m.mtl").write_text("newmtl a\nmap_Kd C:\\Users\\me\\skin.png\n")
    mesh = read(f"mtllib m.mtl\n{SQUARE}vt 0 0\nusemtl a\nf 1/1 2/1 3/1\n", tmp_path)
    assert mesh.materials[0].texture is not None
    assert mesh.notes == ()


def test_a_scaled_texture_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "skin.png")
    (tmp_path / "m.mtl").write_text("newmtl a\nmap_Kd -o 0.5 0 -s 2 2 2 skin.png\n")
    mesh = read(f"mtllib m.mtl\n{SQUARE}vt 0 0\nusemtl a\nf 1/1 2/1 3/1\n", tmp_path)
    assert mesh.materials[0].texture is not None
    assert "shift and scale" in mesh.notes[0]


def test_normals_at_a_sharp_edge_are_left_to_the_faces(tmp_path: Path) -> None:
    text = f"{SQUARE}vn 0 0 1\nvn 0 1 0\n"
    assert read(f"{text}f 1//1 2//1 3//1\nf 1//1 3//1 4//1\n", tmp_path).normals is not None
    assert read(f"{text}f 1//1 2//1 3//1\nf 1//2 3//1 4//1\n", tmp_path).normals is None


HOSTILE = {
    "no faces": (SQUARE, "export the surface"),
    "no vertices": ("f 1 2 3\n", "surface of triangles"),
    "index too large": (f"{SQUARE}f 1 2 3\nf 1 2 5\n", "line 6: expected vertex 1 to 4, or negative, got 5"),
    "index 0": (f"{SQUARE}f 0 1 2\n", "line 5: expected vertex 1 to 4"),
    "index far before the beginning": (f"{SQUARE}f 1 2 3\nf 1 2 -9\n", "line 6"),
    "huge index": (f"{SQUARE}f 1 2 99999999999999999999999\n", "vertex 1 to 4"),
    "texture coordinate out of range": (f"{SQUARE}vt 0 0\nf 1/1 2/1 3/2\n", "texture coordinate 1 to 1"),
    "normal out of range": (f"{SQUARE}f 1//1 2//1 3//1\n", "normal 1 to 0"),
    "half a line": (f"{SQUARE}v 1 2\nf 1 2 3\n", "line 5: expected x, y and z, got 2 numbers"),
    "words": (f"{SQUARE}v 1 two 3\nf 1 2 3\n", "line 5: expected a number, got 'two'"),
    "words for corners": (f"{SQUARE}f 1 2 3\nf a b c\n", "line 6: expected a number, got 'a'"),
    "four parts": (f"{SQUARE}f 1/1/1/1 x 3\n", "line 5: expected a number, got 'x'"),
    "not a number": ("v 0 0 nan\nv 1 0 0\nv 1 1 0\nf 1 2 3\n", "finite positions"),
    "beyond float32": ("v 0 0 1e39\nv 1 0 0\nv 1 1 0\nf 1 2 3\n", "finite positions"),
    "lines only": (f"{SQUARE}f 1 2\nl 1 2\n", "surface of triangles"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_files_are_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    text, said = HOSTILE[name]
    with pytest.raises(ResectError, match=said):
        read(text, tmp_path)


def test_bad_texture_coordinates_leave_the_shape(tmp_path: Path) -> None:
    mesh = read(f"{SQUARE}vt nan 0\nf 1/1 2/1 3/1\n", tmp_path)
    assert mesh.uv is None
    assert len(mesh.faces) == 1
