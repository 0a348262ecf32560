import json
from pathlib import Path

import pytest
import torch

from resect.data.detections import read_detections
from resect.errors import ResectError
from resect.priors.detections import GivenDetections
from resect.protocols import Detector
from resect.types import Photo

PHOTO = Photo("000003.png", torch.zeros(30, 40, 3))


def _detector(folder: Path, boxes: list[tuple[int, float, list[float]]], **settings: object) -> GivenDetections:
    rows = [{"image_id": 3, "category_id": c, "score": s, "bbox": b} for c, s, b in boxes]
    (folder / "boxes.json").write_text(json.dumps(rows))
    return GivenDetections(read_detections(folder / "boxes.json"), **settings)  # type: ignore[arg-type]


BOXES = [(7, 0.2, [1.0, 1, 5, 5]), (8, 0.9, [2.0, 2, 5, 5]), (7, 0.6, [3.0, 3, 5, 5])]


def test_each_detection_is_a_photo_with_its_target(tmp_path: Path) -> None:
    detector: Detector = _detector(tmp_path, BOXES)
    found = detector.detect(PHOTO, 10)
    targets = [photo.target for photo, _ in found]
    assert [(t.object_id, t.instance, t.score) for t in targets if t] == [("8", 0, 0.9), ("7", 0, 0.6), ("7", 1, 0.2)]
    for photo, hypotheses in found:
        assert photo.image is PHOTO.image
        assert len(hypotheses) == 0
        assert hypotheses.target is photo.target


def test_how_many_and_which(tmp_path: Path) -> None:
    assert len(_detector(tmp_path, BOXES).detect(PHOTO, 2)) == 2
    assert len(_detector(tmp_path, BOXES, object_ids=("7",)).detect(PHOTO, 9)) == 2
    assert len(_detector(tmp_path, BOXES, least_score=0.5).detect(PHOTO, 9)) == 2
    assert _detector(tmp_path, BOXES).detect(Photo("4.png", PHOTO.image), 9) == []


def test_a_box_outside_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match=r"inside 000003\.png"):
        _detector(tmp_path, [(7, 0.5, [90.0, 90, 5, 5])]).detect(PHOTO, 1)
