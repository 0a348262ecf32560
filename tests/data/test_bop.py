import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bop_folder import K, change, put, rotation, truth, write_bop
from captures import write_noise

from resect.data import read
from resect.data.bop import read_bop
from resect.data.objects import flatten, read_objects
from resect.errors import ResectError


def test_what_a_folder_holds(tmp_path: Path) -> None:
    folder = read_bop(write_bop(tmp_path))
    assert (folder.split, sorted(folder.images), sorted(folder.models)) == ("test", [(3, 4), (3, 11)], [2, 7])
    assert [(o.image, o.index, o.object_id) for o in folder.objects] == [(4, 0, 7), (4, 1, 2), (4, 2, 7), (11, 0, 2)]
    assert folder.cam_from_obj.R[3].flatten().tolist() == pytest.approx(rotation(3))
    assert folder.cam_from_obj.t[3].tolist() == [30, 5, 403]
    camera = folder.images[3, 4].camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60, 62, 32.5, 24.5)  # pixel centres at integers
    assert folder.mesh(7).meters_per_unit == 0.001
    assert folder.targets is None


def test_boxes_end_after_their_last_pixel(tmp_path: Path) -> None:
    folder = read_bop(write_bop(tmp_path))
    assert [o.box for o in folder.objects] == [(3, 4, 9, 11), (10, 10, 11, 11), None, (20, 5, 30, 15)]


def test_one_set_an_object_one_photo_an_instance(tmp_path: Path) -> None:
    objects = read_objects(write_bop(tmp_path))
    assert list(objects) == ["2", "7"]
    two, seven = objects["2"], objects["7"]
    assert two.photos.names == ("test/000003/rgb/000004.png", "test/000003/rgb/000011.png")
    assert [p.target.instance for p in seven.photos if p.target] == [0, 1]
    assert two.photos.truth.symmetries is None
    assert seven.photos.truth.symmetries is not None
    assert len(seven.photos.truth.symmetries) == len(seven.symmetries.discrete) == 2
    assert two.photos.world.meters_per_unit == 0.001
    assert two.photos.world.bounds is not None
    assert two.photos.world.bounds.tolist() == [[-10, -15, -20], [10, 15, 20]]
    assert two.diameter == pytest.approx(53.85, abs=0.01)
    assert two.load_mesh is not None
    assert len(two.load_mesh().vertices) == 8
    assert two.seen(0.8).photos.names == ("test/000003/rgb/000011.png",)


def test_photos_of_one_image_share_it(tmp_path: Path) -> None:
    objects = read_objects(write_bop(tmp_path))
    first, second = objects["7"].photos[0], objects["2"].photos[0]
    assert first.image is second.image
    assert first.depth is not None
    assert float(first.depth.max()) == pytest.approx(400.4)  # depth_scale 0.1, millimetres
    assert first.target is not None
    assert first.target.mask is not None
    assert int(first.target.mask.sum()) == 42
    assert second.target is not None
    assert second.target.mask is None


def test_all_objects_as_one_set(tmp_path: Path) -> None:
    photos = read(write_bop(tmp_path))
    assert [(p.name[-10:], p.target.object_id, p.target.instance) for p in photos if p.target] == [
        ("000004.png", "2", 0), ("000004.png", "7", 0), ("000004.png", "7", 1), ("000011.png", "2", 0),
    ]  # fmt: skip
    assert photos.truth.cam_from_world.t[:, 0].tolist() == [10, 0, 20, 30]
    assert photos.truth.symmetries is None


@pytest.mark.parametrize("inner", ["", "test", "test/000003"])
def test_dataset_split_and_scene_are_one(tmp_path: Path, inner: str) -> None:
    write_bop(tmp_path)
    folder = read_bop(tmp_path / inner)
    assert (folder.root, folder.split, len(folder.models)) == (tmp_path, "test", 2)


def test_a_lone_scene_without_what_is_optional(tmp_path: Path) -> None:
    scene = tmp_path / "000001"
    write_noise(scene / "gray" / "000000.png", 64, 48, mode="L")
    put(scene, "scene_camera", {"0": {"cam_K": K}})
    put(scene, "scene_gt", {"0": [truth(0, 1)]})
    objects = read_objects(tmp_path)
    photo = objects["1"].photos[0]
    assert (photo.name, photo.depth) == ("000001/gray/000000.png", None)
    assert (objects["1"].diameter, objects["1"].load_mesh, objects["1"].visible) == (None, None, None)
    said = " ".join(objects["1"].photos.notes)
    for what in ("no boxes", "no masks", "no depth", "No models_info.json"):
        assert what in said


def test_missing_images_are_left_out_and_said(tmp_path: Path) -> None:
    write_bop(tmp_path)
    (tmp_path / "test/000003/rgb/000011.png").unlink()
    objects = read_objects(tmp_path)
    assert len(objects["2"]) == 1
    assert "1 of 2 images are missing" in objects["2"].photos.notes[0]


def test_rotations_of_photos_are_rotations_even_where_the_file_is_rounded(tmp_path: Path) -> None:
    write_bop(tmp_path)
    off = [1.002 * x for x in rotation(3)]
    change(tmp_path / "test/000003", "scene_gt", "11", 0, cam_R_m2c=off)
    assert read_bop(tmp_path).cam_from_obj.R[3].flatten().tolist() == off
    R = read_objects(tmp_path)["2"].photos.truth.cam_from_world.R[1]
    assert torch.allclose(R.mT @ R, torch.eye(3, dtype=torch.float64), atol=1e-12)


def test_targets_are_those_of_images_that_are_here(tmp_path: Path) -> None:
    write_bop(tmp_path)
    listed = [{"scene_id": 3, "im_id": i, "obj_id": 7, "inst_count": 2} for i in (4, 5)]
    (tmp_path / "test_targets_bop19.json").write_text(json.dumps(listed))
    assert read_bop(tmp_path).targets == {(3, 4, 7): 2}


def test_which_split(tmp_path: Path) -> None:
    write_bop(tmp_path)
    (tmp_path / "test").rename(tmp_path / "train_pbr")
    assert read_bop(tmp_path).split == "train_pbr"
    put(tmp_path / "val" / "000001", "scene_camera", {})
    with pytest.raises(ResectError, match="one split"):
        read_bop(tmp_path)
    assert read_bop(tmp_path, "train_pbr").split == "train_pbr"
    with pytest.raises(ResectError, match="train_pbr"):
        read_bop(tmp_path, "train_pdr")


@pytest.mark.parametrize(
    ("name", "key", "index", "fields", "said"),
    [
        ("scene_camera", "4", None, {"cam_K": K[:8]}, "9 numbers"),
        ("scene_camera", "4", None, {"cam_K": [60, 5, *K[2:]]}, "without skew"),
        ("scene_camera", "4", None, {"cam_K": [float("nan"), *K[1:]]}, "finite"),
        ("scene_camera", "4", None, {"cam_K": [-60, *K[1:]]}, "positive focal"),
        ("scene_camera", "4", None, {"depth_scale": 0}, "positive"),
        ("scene_gt", "4", 1, {"cam_R_m2c": [1] * 9}, "image 4, object 1.*a rotation"),
        ("scene_gt", "4", 1, {"cam_R_m2c": [-1, 0, 0, 0, 1, 0, 0, 0, 1]}, "a rotation"),
        ("scene_gt", "4", 1, {"cam_t_m2c": "far"}, "3 numbers"),
        ("scene_gt", "11", 0, {"obj_id": "2"}, "obj_id"),
        ("scene_gt_info", "11", 0, {"visib_fract": "most"}, "a number"),
        ("scene_gt_info", "11", 0, {"bbox_visib": [1, 2]}, "4 numbers"),
    ],
)
def test_bad_numbers_are_named(
    tmp_path: Path, name: str, key: str, index: int | None, fields: dict[str, Any], said: str
) -> None:
    write_bop(tmp_path)
    change(tmp_path / "test/000003", name, key, index, **fields)
    with pytest.raises(ResectError, match=said):
        read_objects(tmp_path)


@pytest.mark.parametrize("junk", ["[]", "{", '{"../x": []}', '{"4": 3}', '{"9": []}', '{"4": [null]}', ""])
@pytest.mark.parametrize("name", ["scene_gt", "scene_camera", "scene_gt_info"])
def test_junk_is_refused_or_read(tmp_path: Path, name: str, junk: str) -> None:
    write_bop(tmp_path)
    (tmp_path / "test/000003" / f"{name}.json").write_text(junk)
    try:
        objects = read_objects(tmp_path)
    except ResectError:
        return
    assert name == "scene_gt_info" or len(objects)


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    write_bop(tmp_path)
    write_noise(tmp_path / "test/000003/rgb/000011.png", 32, 24)
    photos = read_objects(tmp_path)["2"].photos
    with pytest.raises(ResectError, match="64x48 like the others"):
        photos[1]


@pytest.mark.parametrize("name", ["nothing", ""])
def test_no_dataset(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResectError, match="BOP dataset"):
        read_objects(tmp_path / name)
    with pytest.raises(ResectError, match="a BOP dataset"):
        read_bop(tmp_path / name)


def test_flatten_keeps_numbers_in_order(tmp_path: Path) -> None:
    write_bop(tmp_path)
    scene = tmp_path / "test/000003"
    put(scene, "scene_gt", {"4": [truth(i, n) for i, n in enumerate((10, 9, 2))]})
    put(scene, "scene_gt_info", {})
    photos = flatten(read_objects(tmp_path))
    assert [p.target.object_id for p in photos if p.target] == ["2", "9", "10"]


@pytest.mark.real
def test_models_project_into_their_boxes(real: Path) -> None:
    """The principal point, the poses and the boxes speak of the same pixels: within 1.5 of the whole object's box."""
    if not (real / "lmo").is_dir():
        pytest.skip("no lmo")
    folder = read_bop(real / "lmo")
    info = json.loads((real / "lmo/test/000002/scene_gt_info.json").read_text())
    for k in range(0, len(folder.objects), 40):
        entry = folder.objects[k]
        x, y, w, h = info[str(entry.image)][entry.index]["bbox_obj"]
        points = folder.cam_from_obj[k].apply(folder.mesh(entry.object_id).vertices.double())
        pixels, _ = folder.images[entry.scene, entry.image].camera.project(points)
        found = torch.cat([pixels.amin(0), pixels.amax(0)])
        assert found.tolist() == pytest.approx([x, y, x + w + 1, y + h + 1], abs=1.5)


@pytest.mark.real
def test_rendered_views_of_one_object(real: Path) -> None:
    if not (real / "tudl_dragon").is_dir():
        pytest.skip("no tudl_dragon")
    objects = read_objects(real / "tudl_dragon")
    assert {k: len(v) for k, v in objects.items()} == {"1": 229}
    photo = objects["1"].photos[5]
    assert photo.target is not None
    assert photo.target.mask is not None
    columns = photo.target.mask.any(0).nonzero()[:, 0]
    assert photo.target.box is not None
    assert (float(columns[0]), float(columns[-1]) + 1) == (photo.target.box[0], photo.target.box[2])
