from dataclasses import replace

import pytest
import torch
from mesh_files import real, textured_cube

from resect.data.mesh import read_mesh
from resect.data.mesh.check import MeshReport, check_mesh, likely_up
from resect.geometry import so3, solids
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_edit import concatenated, transformed
from resect.geometry.se3 import SE3
from resect.geometry.so3 import exp


def said(report: MeshReport, level: str) -> str:
    return " ".join(f.sentence for f in report.findings if f.level == level)


def test_a_sound_mesh_has_nothing_to_be_said_about() -> None:
    report = check_mesh(solids.icosphere(0.1))
    assert report.watertight
    assert not report.inside_out
    assert report.findings == ()
    assert report.parts == 1
    assert report.diameter == pytest.approx(0.2, rel=1e-3)
    assert report.color == "none"


def test_holes_flipped_faces_and_fans_are_counted() -> None:
    cube = solids.cube()
    holed = check_mesh(replace(cube, faces=cube.faces[1:]))
    assert (holed.open_edges, holed.watertight) == (3, False)
    turned = cube.faces.clone()
    turned[0] = turned[0].flip(0)
    assert check_mesh(replace(cube, faces=turned)).flipped_edges == 3
    assert check_mesh(replace(cube, faces=cube.faces.flip(1))).inside_out
    fin = torch.cat([cube.vertices, torch.tensor([[2.0, 2, 2]])])
    finned = check_mesh(replace(cube, vertices=fin, faces=torch.cat([cube.faces, torch.tensor([[0, 1, 8]])])))
    assert finned.non_manifold_edges == 1
    assert not finned.watertight


def test_duplicates_parts_and_faces_without_area() -> None:
    cube = solids.cube()
    soup = replace(cube, vertices=cube.triangles.flatten(0, 1), faces=torch.arange(36).view(12, 3))
    report = check_mesh(soup)
    assert report.duplicate_vertices == 28
    assert report.watertight
    two = concatenated([cube, transformed(cube, SE3(torch.eye(3), torch.tensor([5.0, 0, 0])))])
    assert check_mesh(two).parts == 2
    needle = torch.tensor([[0, 1, 1]])
    assert check_mesh(replace(cube, faces=torch.cat([cube.faces, needle]))).degenerate_faces == 1
    assert "nothing to see" in said(check_mesh(replace(cube, faces=needle)), "error")
    assert "one place" in said(check_mesh(replace(cube, vertices=torch.ones(8, 3))), "error")


def test_an_origin_far_away_is_spoken_of() -> None:
    def at(x: float) -> MeshReport:
        return check_mesh(transformed(solids.cube(), SE3(torch.eye(3), torch.tensor([x, 0.0, 0]))))

    assert at(0.5).findings == ()
    assert "outside the box" in said(at(1.5), "note")
    assert "outside the box" in said(at(10.0), "warning")
    assert "float32 rounds" in said(at(2000.0), "warning")
    assert "float32 rounds" not in said(at(10.0), "warning")


UP = {
    "x": exp(torch.tensor([0.0, torch.pi / 2, 0])),
    "-x": exp(torch.tensor([0.0, -torch.pi / 2, 0])),
    "y": exp(torch.tensor([-torch.pi / 2, 0.0, 0])),
    "-y": exp(torch.tensor([torch.pi / 2, 0.0, 0])),
    "z": torch.eye(3),
    "-z": torch.diag(torch.tensor([1.0, -1, -1])),
}


@pytest.mark.parametrize("axis", UP)
def test_a_cone_stands_on_its_base(axis: str) -> None:
    cone = solids.cone(0.5, 1.0)
    found = transformed(cone, SE3(UP[axis], torch.tensor([3.0, 0, 0])))
    assert likely_up(found) == (axis,)
    warned = "upside down" in said(check_mesh(found), "warning")
    assert warned == axis.startswith("-")


def test_what_stands_either_way_or_not_at_all() -> None:
    assert likely_up(solids.cylinder(0.5, 1.0)) == ("z", "-z")
    assert likely_up(solids.icosphere()) == ()
    assert likely_up(solids.cube()) == ()
    flat = Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), torch.tensor([[0, 1, 2]]))
    assert likely_up(flat) == ("z", "-z")


def test_colours_and_units_are_reported() -> None:
    report = check_mesh(replace(textured_cube(), meters_per_unit=1.0, notes=("skin gone",)))
    assert (report.color, report.textures) == ("texture", ((12, 8), (12, 8)))
    assert "Skin gone." in said(report, "note")
    huge = check_mesh(replace(solids.cube(100.0), meters_per_unit=1.0))
    assert "173 m" in said(huge, "warning")
    assert "millimetres" in said(huge, "warning")
    assert check_mesh(replace(solids.cube(100.0), meters_per_unit=0.001)).findings == ()


@pytest.mark.parametrize(
    ("path", "up", "units"),
    [
        ("lmo/models/obj_000001.ply", "z", "millimetres"),
        ("lmo/models/obj_000009.ply", "z", "millimetres"),
        ("meshes/cow_mesh/cow.obj", "y", "metres"),
        ("meshes/modelnet_chair/chair_0890.off", "z", "inches"),
        ("meshes/shapenet_chair_21bfb150/model.obj", "y", "metres"),
    ],
)
def test_real_objects(path: str, up: str, units: str) -> None:
    report = check_mesh(read_mesh(real(*path.split("/"))))
    assert report.up == (up,)
    assert units in report.units


def test_a_report_is_plain_values() -> None:
    import json

    text = json.dumps(check_mesh(textured_cube()).as_json(), allow_nan=False)
    assert json.loads(text)["faces"] == 12


def test_turned_objects_are_judged_as_they_lie() -> None:
    tilted = transformed(solids.cone(), SE3(so3.exp(torch.tensor([0.5, 0.3, 0])), torch.zeros(3)))
    assert likely_up(tilted) == ()
