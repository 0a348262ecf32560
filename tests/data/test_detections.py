import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from resect.data.detections import read_detections
from resect.data.mask import encode_runs, pack_runs
from resect.errors import ResectError
from resect.types import Photo

PHOTO = Photo("test/000002/rgb/000003.png", torch.zeros(30, 40, 3))
MASK = torch.zeros(30, 40, dtype=torch.bool)
MASK[10:20, 5:9] = True
RUNS = {"counts": encode_runs(MASK), "size": [30, 40]}
PACKED = {"counts": pack_runs(encode_runs(MASK)), "size": [30, 40]}


def result(**changed: Any) -> dict[str, Any]:
    row = {"scene_id": 2, "image_id": 3, "category_id": 7, "score": 0.5, "bbox": [1, 2, 10, 20], "time": 0.1}
    return {k: v for k, v in {**row, **changed}.items() if v is not None}


def write(folder: Path, value: Any, name: str = "boxes.json") -> Path:
    data = json.dumps(value).encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


@pytest.mark.parametrize("name", ["boxes.json", "boxes.json.gz"])
def test_results_are_found_by_scene_and_image_best_first(tmp_path: Path, name: str) -> None:
    rows = [result(), result(score=0.9, category_id=8), result(scene_id=4), result(image_id=33)]
    found = read_detections(write(tmp_path, rows, name)).of(PHOTO.name)
    assert [(d.object_id, d.score, d.box) for d in found] == [("8", 0.9, (1, 2, 11, 22)), ("7", 0.5, (1, 2, 11, 22))]


def test_results_without_scenes_and_photos_in_no_scene(tmp_path: Path) -> None:
    found = read_detections(write(tmp_path, [result(scene_id=None)]))
    assert len(found.of(PHOTO.name)) == len(found.of("000003.jpg")) == len(found.of("3.png")) == 1
    assert found.of("images/a.png") == found.of("000004.png") == ()


@pytest.mark.parametrize("segmentation", [RUNS, PACKED])
def test_masks_come_before_boxes(tmp_path: Path, segmentation: dict[str, Any]) -> None:
    (found,) = read_detections(write(tmp_path, [result(segmentation=segmentation)])).of(PHOTO.name)
    target = found.target(PHOTO)
    assert target.mask is not None
    assert torch.equal(target.mask, MASK)
    assert (target.object_id, target.score, target.box) == ("7", 0.5, (5, 10, 9, 20))


def test_annotations_name_their_images(tmp_path: Path) -> None:
    value = {
        "images": [{"id": 3, "file_name": "rgb/000003.png", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 3, "category_id": 5, "bbox": [0, 0, 4, 4], "segmentation": RUNS}],
        "categories": [],
    }
    found = read_detections(write(tmp_path, value))
    assert [d.object_id for d in found.of(PHOTO.name)] == ["5"]
    assert found.of("other/000004.png") == ()


def test_folders_of_masks(tmp_path: Path) -> None:
    for name in ("000003_000000", "000003_000001", "kitchen"):
        Image.fromarray((MASK.byte() * 255).numpy()).save(tmp_path / f"{name}.png")
    (tmp_path / "readme.txt").write_text("")
    found = read_detections(tmp_path, "mug")
    assert len(found.of(PHOTO.name)) == 2
    (one,) = found.of("photos/kitchen.jpg")
    assert one.target(PHOTO).box == (5, 10, 9, 20)
    assert one.object_id == "mug"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (result(bbox=[1, 2, 3]), "result 0: bbox.*x, y, width, height"),
        (result(bbox=[1, 2, 3, "x"]), "a number"),
        (result(score="high"), "score"),
        (result(image_id=None), "image_id"),
        (result(image_id="3"), "whole number"),
        (result(category_id=None), "category_id"),
        (3, "category_id"),
    ],
)
def test_bad_results_are_named(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(ResectError, match=said):
        read_detections(write(tmp_path, [row]))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (result(bbox=[100, 2, 3, 4]), "result 0.*inside"),
        (result(bbox=[1, 2, 0, 4]), "right beyond left"),
        (result(bbox=None), "bbox or a segmentation"),
        (result(segmentation={"counts": [1200], "size": [40, 30]}), "height before width"),
        (result(segmentation={"counts": [1200], "size": [30, 40]}), "an empty one"),
    ],
)
def test_what_does_not_fit_the_photo_is_named(tmp_path: Path, row: Any, said: str) -> None:
    (found,) = read_detections(write(tmp_path, [row])).of(PHOTO.name)
    with pytest.raises(ResectError, match=said):
        found.target(PHOTO)


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "a.json.gz").write_bytes(b"no gzip")
    whole = gzip.compress(b"[]")
    (tmp_path / "b.json.gz").write_bytes(whole[:-6])
    write(tmp_path, {"images": 3}, "c.json")
    write(tmp_path, 5, "d.json")
    write(tmp_path, {"images": [3], "annotations": []}, "e.json")
    (tmp_path / "empty").mkdir()
    for name in ("a.json", "a.json.gz", "b.json.gz", "c.json", "d.json", "e.json", "empty", "none"):
        with pytest.raises(ResectError):
            read_detections(tmp_path / name)
