from pathlib import Path

import pytest
import torch

from resect.data.mesh import read_mesh
from resect.errors import ResectError
from resect.geometry.mesh import Mesh

BODY = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
FACES = "4 0 1 2 3\n3 0 1 2\n"


def read(text: str, folder: Path) -> Mesh:
    (folder / "m.off").write_text(text)
    return read_mesh(folder / "m.off")


@pytest.mark.parametrize(
    "start", ["OFF\n4 2 0\n", "OFF4 2 0\n", "OFF 4 2 5\n", "# one\nOFF # two\n\n4 2\n", "OFF\r\n4 2 0\r\n"]
)
def test_every_way_to_begin(start: str, tmp_path: Path) -> None:
    mesh = read(start + BODY + FACES, tmp_path)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.colors is None


def widened(more: list[str]) -> str:
    return "".join(f"{line} {extra}\n" for line, extra in zip(BODY.splitlines(), more, strict=True))


@pytest.mark.parametrize("header", ["COFF", "OFF"])
def test_colours_of_vertices(header: str, tmp_path: Path) -> None:
    colors = ["255 0 0 255", "0 51 0 255", "0 0 0 255", "0 0 0 0"]
    mesh = read(f"{header}\n4 2 0\n" + widened(colors) + FACES, tmp_path)
    assert mesh.colors is not None
    torch.testing.assert_close(mesh.colors, torch.tensor([[1, 0, 0], [0, 0.2, 0], [0, 0, 0], [0, 0, 0]]))
    mesh = read("COFF\n4 2 0\n" + widened(["1 0.5 0"] * 4) + FACES, tmp_path)
    assert mesh.colors is not None
    assert mesh.colors[0].tolist() == [1, 0.5, 0]


def test_normals_and_texture_coordinates(tmp_path: Path) -> None:
    mesh = read("NOFF\n4 2 0\n" + widened(["0 0 2"] * 4) + FACES, tmp_path)
    assert mesh.normals is not None
    assert mesh.normals.tolist() == [[0, 0, 1]] * 4
    assert mesh.colors is None
    mesh = read("STCNOFF\n4 2 0\n" + widened(["0 0 2 1 0 0 1 0.25 0.75"] * 4) + FACES, tmp_path)
    assert mesh.uv is not None
    assert mesh.colors is not None
    assert mesh.uv[0].tolist() == [0.25, 0.75]
    assert mesh.colors[0].tolist() == [1, 0, 0]


def test_colours_of_faces(tmp_path: Path) -> None:
    mesh = read("OFF\n4 2 0\n" + BODY + "4 0 1 2 3 255 0 0\n3 0 1 2\n", tmp_path)
    assert mesh.face_material is not None
    colors = [mesh.materials[k].color for k in mesh.face_material.tolist()]
    assert colors[:2] == [(1, 0, 0), (1, 0, 0)]
    assert colors[2] == pytest.approx((0.7, 0.7, 0.7))


HOSTILE = {
    "cut short": ("OFF\n4 2 0\n" + BODY, "cut short"),
    "cut in a face": ("OFF\n4 2 0\n" + BODY + "4 0 1 2 3\n3 0 1", "line 8: expected a number of corners"),
    "cut in a vertex": ("OFF\n4 2 0\n0 0\n" + BODY + FACES, "line 3: expected x, y and z"),
    "no counts": ("OFF\n", "numbers of vertices"),
    "a count below 0": ("OFF\n-4 2 0\n" + BODY + FACES, "numbers of vertices"),
    "a count beyond reason": ("OFF\n4 1e11 0\n" + BODY + FACES, "at most"),
    "a count that is none": ("OFF\nnan 1 0\n" + BODY + FACES, "numbers of vertices"),
    "binary": ("OFF BINARY\n\0\0\0\1", "a number, got"),
    "index too large": ("OFF\n4 1 0\n" + BODY + "3 0 1 4\n", "from 0 to 3"),
    "no corners": ("OFF\n4 1 0\n" + BODY + "-3 0 1 2\n", "line 7"),
    "corners beyond the line": ("OFF\n4 1 0\n" + BODY + "900000000 0 1 2\n", "line 7"),
    "words": ("OFF\n4 1 0\n" + BODY + "3 0 1 x\n", "line 7: expected a number, got 'x'"),
    "no faces": ("OFF\n4 0 0\n" + BODY, "export the surface"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_files_are_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    text, said = HOSTILE[name]
    with pytest.raises(ResectError, match=said):
        read(text, tmp_path)
