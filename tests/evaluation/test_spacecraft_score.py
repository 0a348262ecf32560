import math
from pathlib import Path

import pytest
import torch

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.evaluation.spacecraft_score import score_spacecraft
from resect.geometry import so3
from resect.types import Photo

NAMES = ("img1.jpg", "img2.jpg")
TRUTH = RotationSet(
    "spacecraft",
    NAMES,
    ("craft",) * 2,
    torch.eye(3, dtype=torch.float64).expand(2, 3, 3),
    lambda i: Photo(NAMES[i], torch.zeros(2, 2, 3)),
    translation=torch.tensor([[0.0, 0.0, 10.0], [0.0, 3.0, 4.0]], dtype=torch.float64),
)


def answers(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def test_the_score_is_the_mean_of_both_parts(tmp_path: Path) -> None:
    turned = " ".join(map(str, so3.to_quaternion(so3.exp(torch.tensor([0.2, 0.0, 0.0]).double())).tolist()))
    path = answers(tmp_path / "a.txt", f"img1.jpg {turned} 0 0 11", "img2.jpg 1 0 0 0 0 3 4.5")
    found = score_spacecraft(path, TRUTH).as_json()
    assert found["position_score"] == pytest.approx((0.1 + 0.1) / 2)
    assert found["orientation_score"] == pytest.approx(0.2 / 2)
    assert found["spacecraft_score"] == pytest.approx(0.2)
    assert found["median_rotation_deg"] == pytest.approx(math.degrees(0.1))
    assert (found["images"], found["failed"]) == (2, 0)


def test_an_image_without_an_answer_leaves_no_score(tmp_path: Path) -> None:
    found = score_spacecraft(answers(tmp_path / "a.txt", "img1.jpg,1,0,0,0,0,0,10"), TRUTH)
    assert found.as_json()["spacecraft_score"] is None
    assert found.failed == 1
    assert "1 of 2 images" in found.text()


def test_answers_of_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="--split"):
        score_spacecraft(answers(tmp_path / "a.txt", "other.jpg 1 0 0 0 0 0 10"), TRUTH)
