"""Scores of detectors whose answers are known: the truth itself, nothing, the wrong class, half a mask."""

import math
from dataclasses import replace

import pytest
import torch
from tests.priors.posecnn.table import poses, table

from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.evaluation.detection_pictures import drawn_detections
from resect.evaluation.detector_score import score_detector
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Estimate, Hypotheses, Photo, Status, Target


class Told:
    """Knows the truth, and may turn it, cut masks or name the wrong object."""

    def __init__(self, turn_deg: float = 0.0, *, names: tuple[str, ...] = ("brick", "rod"), cut: bool = False) -> None:
        self.turn = so3.exp(torch.tensor([0.0, 0.0, math.radians(turn_deg)]))
        self.names, self.cut = names, cut

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        assert photo.target is None
        i, found = int(photo.name[0]), []
        for k, name in enumerate(self.names):
            target = table()[list(table())[k]].photos[i].target
            assert target is not None
            assert target.mask is not None
            mask = target.mask.clone()
            if self.cut:
                mask[:, : int((target.box or (0,))[0]) + 4] = False
            true = poses()[i, k : k + 1]
            guess = Hypotheses(SE3(true.R @ self.turn, true.t), torch.zeros(1))
            found.append((replace(photo, target=Target(name, box=target.box, mask=mask, score=0.9)), guess))
        return found[:count]


def test_the_truth_scores_full_marks() -> None:
    facts = score_detector(Told(), table()).as_json()
    assert facts["asked"] == 4
    assert (facts["detected"], facts["iou"], facts["5deg_5cm"], facts["add_s_0.1d"]) == (1, 1, 1, 1)
    assert facts["extra"] == 0
    assert set(facts["objects"]) == {"brick", "rod"}


def test_errors_are_what_they_are() -> None:
    found = score_detector(Told(20.0), table())
    assert all(case.rotation_deg == pytest.approx(20, abs=1e-3) for case in found.cases)
    assert all(case.translation < 1e-6 for case in found.cases)
    assert found.as_json()["5deg_5cm"] == 0
    cut = score_detector(Told(cut=True), table()).as_json()
    assert 0.2 < cut["iou"] < 0.95


def test_what_is_missed_counts_and_what_is_not_there_too() -> None:
    facts = score_detector(Told(names=("brick",)), table()).as_json()
    assert facts["detected"] == 0.5
    assert facts["objects"]["rod"]["median_deg"] is None
    assert facts["objects"]["rod"]["detected_median_deg"] is None
    assert facts["detected_median_deg"] < 1e-3
    wrong = score_detector(Told(names=("rod", "brick")), table()).as_json()
    assert wrong["detected"] == 0
    assert wrong["extra"] == 4
    hidden = {k: replace(o, visible=torch.tensor([0.3, 0.9])) for k, o in table().items()}
    assert score_detector(Told(), hidden, visible=0.6).as_json()["asked"] == 2


def without(*, mask: bool = False, box: bool = False) -> dict[str, ObjectSet]:
    """The table's objects, told by less."""
    gone = {"mask": None} if mask else {}
    gone |= {"box": None} if box else {}

    def bare(objects: ObjectSet) -> ObjectSet:
        load = objects.photos.load

        def less(i: int) -> Photo:
            photo = load(i)
            assert photo.target is not None
            return replace(photo, target=replace(photo.target, **gone))

        return replace(objects, photos=replace(objects.photos, load=less))

    return {name: bare(objects) for name, objects in table().items()}


def test_boxes_are_compared_where_there_are_no_masks() -> None:
    score = score_detector(Told(), without(mask=True))
    assert (score.as_json()["detected"], score.as_json()["iou"], score.by_boxes) == (1, 1, 4)
    assert "boxes are compared" in score.text()
    assert score_detector(Told(), table()).by_boxes == 0
    assert score_detector(Told(names=("rod", "brick")), without(mask=True)).as_json()["detected"] == 0
    with pytest.raises(ResectError, match="masks or boxes"):
        score_detector(Told(), without(mask=True, box=True))


def test_refined_poses_stand_beside_the_starts() -> None:
    def refine(photo: Photo, guess: Hypotheses) -> Estimate:
        assert photo.target is not None
        if photo.target.object_id == "rod":
            return Estimate(Status.NO_AGREEMENT)
        i = int(photo.name[0])
        return Estimate(Status.OK, Hypotheses(poses()[i, :1], torch.zeros(1)))

    facts = score_detector(Told(20.0), table(), refine=refine).as_json()
    assert facts["refined_5deg_5cm"] == 0.5
    assert facts["objects"]["rod"]["refined_add_s_0.1d"] == 0
    assert facts["refined_accepted_wrong"] == 0
    kept = score_detector(Told(20.0), table(), refine=lambda _, guess: Estimate(Status.OK, guess)).as_json()
    assert kept["refined_accepted_wrong"] == kept["asked"]
    assert "refined_median_deg" in score_detector(Told(20.0), table(), refine=refine).text()


def test_pictures_show_masks_and_axes() -> None:
    photo = replace(table()["brick"].photos[0], target=None)
    found = Told().detect(photo, 5)
    picture = drawn_detections(photo, found)
    assert picture.shape == (72, 96, 3)
    changed = (picture.int() - (photo.image * 255).round().int()).abs().amax(-1) > 20
    mask = found[0][0].target.mask  # type: ignore[union-attr]
    assert mask is not None
    assert float((changed & mask).sum() / mask.sum()) > 0.9
    assert float(changed.float().mean()) < 0.5
