"""A drawn set is what its files say: masks, poses, COCO annotations; and it goes on where it stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.detections import read_detections
from resect.data.objects import read_objects
from resect.errors import ResectError
from resect.geometry.mesh import Mesh
from resect.scenes.mesh.scene import MeshScene
from resect.synthesis.clutter_set import make_clutter
from resect.synthesis.clutter_set_settings import ClutterSetSettings

SETTINGS = ClutterSetSettings(images=3, width=64, height=48, objects=(2, 3), seed=5)


def tetrahedron(size: float) -> Mesh:
    vertices = size * torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    return Mesh(vertices, faces, meters_per_unit=0.001)


MESHES = {"small": tetrahedron(20.0), "large": tetrahedron(30.0)}


def test_what_is_written_is_read_and_true(tmp_path: Path) -> None:
    make_clutter(MESHES, SETTINGS, tmp_path / "set")
    sets = read_objects(tmp_path / "set", split="train")
    assert set(sets) <= {"1", "2"}
    seen = 0
    for objects in sets.values():
        assert objects.load_mesh is not None
        scene = MeshScene(objects.load_mesh(), antialias=False)
        for i, photo in enumerate(objects.photos):
            assert photo.target is not None
            if photo.target.mask is None or not bool(photo.target.mask.any()):
                continue
            pose = objects.photos.truth.cam_from_world[i : i + 1].float()
            alpha = scene.render(photo.known_camera(), pose, ("alpha",)).alpha
            assert alpha is not None
            outline = alpha.view(48, 64) > 0.5
            grown = torch.nn.functional.max_pool2d(outline[None, None].float(), 3, 1, 1)[0, 0] > 0
            assert float((photo.target.mask & grown).sum() / photo.target.mask.sum()) == 1.0
            seen += 1
    assert seen >= 5


def test_annotations_are_the_masks(tmp_path: Path) -> None:
    make_clutter(MESHES, SETTINGS, tmp_path / "set")
    found = read_detections(tmp_path / "set" / "train" / "000001" / "scene_gt_coco.json")
    photo = read_objects(tmp_path / "set", split="train")["2"].photos[0]
    named = [d for d in found.of(photo.name) if d.object_id == "2"]
    assert photo.target is not None
    assert photo.target.mask is not None
    masks = [d.target(photo).mask for d in named]
    assert any(m is not None and torch.equal(m, photo.target.mask) for m in masks)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    make_clutter(MESHES, SETTINGS, tmp_path / "whole")
    make_clutter(MESHES, replace(SETTINGS, images=1), tmp_path / "parts")
    notes = tmp_path / "parts" / "train" / "000001" / "drawn.jsonl"
    notes.write_text(notes.read_text() + '{"image": 1, "obj')  # killed while writing
    make_clutter(MESHES, SETTINGS, tmp_path / "parts")
    for file in sorted((tmp_path / "whole").rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "parts" / file.relative_to(tmp_path / "whole")).read_bytes(), file
    assert len(json.loads((notes.parent / "scene_gt.json").read_text())) == 3
    with pytest.raises(ResectError, match="seed"):
        make_clutter(MESHES, replace(SETTINGS, seed=6), tmp_path / "parts")


def test_distractors_lie_about_and_are_not_asked_for(tmp_path: Path) -> None:
    settings = replace(SETTINGS, images=4, objects=(4, 6))
    make_clutter({"small": MESHES["small"]}, settings, tmp_path / "set", distractors=(tetrahedron(1.0),))
    folder = tmp_path / "set" / "train" / "000001"
    truth = json.loads((folder / "scene_gt.json").read_text())
    assert {row["obj_id"] for rows in truth.values() for row in rows} == {1}
    assert any(len(rows) < 4 for rows in truth.values())  # of four objects or more, some are distractors
    objects = read_objects(tmp_path / "set", split="train")["1"]
    assert objects.visible is not None
    assert len(list((tmp_path / "set" / "models").glob("*.ply"))) == 1


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="unit"):
        make_clutter({"a": replace(MESHES["small"], meters_per_unit=None)}, SETTINGS, tmp_path)
    with pytest.raises(ResectError, match="objects"):
        ClutterSetSettings(objects=(5, 4))
