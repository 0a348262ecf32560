from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.mesh import write_mesh
from resect.data.prepare_settings import PrepareSettings
from resect.data.prepare_shapes import canonical, find_meshes, prepare_shapes
from resect.data.procedural_shapes.views import View
from resect.data.shapes import read_shapes
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.mesh import Mesh

SMALL = PrepareSettings(views=2, side=16, points=500, near=200, surface=100, up="+z", front="-y", val=0.25, test=0.25)


def grey(mesh: Mesh, views: Sequence[View]) -> list[torch.Tensor]:
    return [torch.full((v.camera.height, v.camera.width, 4), 0.5) for v in views]


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    folder = tmp_path / "meshes"
    folder.mkdir()
    for i in range(4):
        write_mesh(solids.box((1.0, 2.0, 3.0 + i)), folder / f"box{i}.ply")
    return folder


def test_a_box_in_closed_form(boxes: Path, tmp_path: Path) -> None:
    assert prepare_shapes(find_meshes(boxes), "box", SMALL, tmp_path / "out", grey) == []
    train, val, test = (read_shapes(tmp_path / "out", split) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (2, 1, 1)
    assert len({*train.names, *val.names, *test.names}) == 4
    for shapes in (train, val, test):
        long = 3.0 + int(shapes.names[0][-1])
        half = torch.tensor([2.0, long, 1.0]) / long / 2  # z is up, −y is the front
        points, inside = shapes.points(0)
        assert torch.equal(inside, (points.abs() <= half).all(-1))
        assert len(shapes.points(0, near=True)[0]) == 200
        surface, normals = shapes.surface(0)
        assert torch.allclose((surface.abs() / half).amax(-1), torch.ones(100), atol=2e-3)
        assert torch.allclose((normals * surface).sum(-1), (normals.abs() @ half), atol=2e-3)
        assert len(shapes.images(0)) == 2


def test_axes_are_turned_and_nothing_is_mirrored() -> None:
    arrow = Mesh(torch.tensor([[0.0, 0, 0], [0, -2, 0], [0, 0, 1]]), torch.tensor([[0, 1, 2]]))  # front −y, up z
    found = canonical(arrow, "+z", "-y")
    low, high = found.bounds
    assert torch.allclose(high - low, torch.tensor([1.0, 0.5, 0.0]))
    assert torch.allclose(found.vertices[1] - found.vertices[0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6)
    assert torch.allclose(found.vertices[2] - found.vertices[0], torch.tensor([0.0, 0.5, 0.0]), atol=1e-6)
    ball = canonical(solids.icosphere(2.0, 1), "-x", "+z")
    a, b, c = ball.triangles.unbind(1)
    assert float((a * torch.linalg.cross(b, c)).sum()) > 0


def test_it_goes_on_and_does_not_mix(boxes: Path, tmp_path: Path) -> None:
    meshes, asked = find_meshes(boxes), []

    def counted(mesh: Mesh, views: Sequence[View]) -> list[torch.Tensor]:
        asked.append(mesh.name)
        return grey(mesh, views)

    prepare_shapes(meshes, "box", SMALL, tmp_path / "out", counted)
    (tmp_path / "out" / "box" / "box2" / "pointcloud.npz").unlink()
    prepare_shapes(meshes, "box", SMALL, tmp_path / "out", counted)
    assert len(asked) == 5
    with pytest.raises(ResectError, match="--out"):
        prepare_shapes(meshes, "box", replace(SMALL, points=600), tmp_path / "out", grey)


def test_bad_meshes_are_left_out_and_named(boxes: Path, tmp_path: Path) -> None:
    (boxes / "cut.ply").write_bytes(b"ply\nformat ascii 1.0\n")
    problems = prepare_shapes(find_meshes(boxes), "box", SMALL, tmp_path / "out", grey)
    assert len(problems) == 1
    assert problems[0].startswith("cut is left out")
    with pytest.raises(ResectError, match="at least one"):
        prepare_shapes([boxes / "cut.ply"], "cut", SMALL, tmp_path / "out", grey)


def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        write_mesh(solids.cube(), tmp_path / "in" / name / "model.ply")
    prepare_shapes(find_meshes(tmp_path / "in"), "cube", replace(SMALL, val=0, test=0), tmp_path / "out", grey)
    assert set(read_shapes(tmp_path / "out").names) == {"cube/a_model", "cube/b_model"}


def test_wrong_arguments_are_refused(boxes: Path, tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="axes"):
        replace(SMALL, front="-z")
    with pytest.raises(ResectError, match="val"):
        replace(SMALL, val=0.9)
    with pytest.raises(ResectError, match="folder name"):
        prepare_shapes(find_meshes(boxes), "../up", SMALL, tmp_path / "out", grey)
    with pytest.raises(ResectError, match="mesh files"):
        find_meshes(tmp_path / "meshes" / "none")
