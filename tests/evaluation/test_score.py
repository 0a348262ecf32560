import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_sets import FromPixels, answer, make_photos, split_of

from resect.errors import ResectError
from resect.evaluation.pose_file import PoseList, PoseRow, write_poses
from resect.evaluation.predict import predict
from resect.evaluation.reference import Reference, match_names, reference_from_photos
from resect.evaluation.score import score
from resect.geometry import so3
from resect.geometry.conventions import flip_opengl, xyzw_from_wxyz
from resect.geometry.se3 import SE3
from resect.types import Estimate, Photo, PhotoSet, Status


def off_by(pose: SE3, degrees: float, distance: float) -> SE3:
    """Turned about its own centre, and shifted, by exactly these."""
    turned = SE3.exp(torch.tensor([0, 0, 0, 0, math.radians(degrees), 0], dtype=torch.float64)) @ pose
    return SE3(turned.R, turned.t + turned.R @ torch.tensor([distance, 0, 0], dtype=torch.float64))


def reference(photos: PhotoSet) -> Reference:
    return reference_from_photos(photos, split_of(photos))


def listed(photos: PhotoSet, poses: dict[int, SE3], **row: object) -> PoseList:
    rows = tuple(PoseRow(photos.names[i], "OK", pose, **row) for i, pose in poses.items())
    return PoseList(rows, "scene", "resect")


def truth(photos: PhotoSet) -> SE3:
    return photos.truth.cam_from_world


def test_a_known_set_of_errors():
    photos = make_photos(8)
    errors = {0: (0.1, 0.001), 2: (0.3, 0.003), 4: (3.0, 0.06), 6: (30.0, 0.001)}
    found = score(listed(photos, {i: off_by(truth(photos)[i], *e) for i, e in errors.items()}), reference(photos))
    facts = found.as_json()
    assert facts["photos"] == 4
    assert facts["failed"] == 0
    assert facts["accepted_wrong"] == 1
    assert facts["median_rotation_deg"] == pytest.approx(1.65)
    assert facts["median_translation"] == pytest.approx(0.002)
    assert facts["translation_unit"] == "scene"
    assert facts["scene_scale"] == pytest.approx(2.0, rel=1e-4)
    assert facts["recall"] == {
        "5deg_0.05scale": 0.75, "1deg_0.01scale": 0.5, "0.5deg_0.01scale": 0.5, "5deg_0.05unit": 0.5,
    }  # fmt: skip
    assert facts["oracle"] is False
    json.dumps(facts, allow_nan=False)
    assert "1 accepted wrong" in found.text()


def test_metric_worlds_print_centimetres_and_others_refuse_them():
    photos = make_photos(8, meters_per_unit=0.001)
    poses = listed(photos, {i: off_by(truth(photos)[i], 1.0, 30.0) for i in (0, 2, 4, 6)})
    facts = score(poses, reference(photos)).as_json()
    assert facts["translation_unit"] == "m"
    assert facts["median_translation"] == pytest.approx(0.03)
    assert facts["recall"]["5deg_5cm"] == 1.0
    assert facts["recall"]["2deg_2cm"] == 0.0
    in_metres = replace(poses, unit="m", rows=tuple(
        replace(r, cam_from_world=SE3(r.cam_from_world.R, r.cam_from_world.t * 0.001)) for r in poses.rows
    ))  # fmt: skip
    assert score(in_metres, reference(photos)).as_json()["median_translation"] == pytest.approx(0.03)
    unitless = score(poses, reference(make_photos(8))).as_json()["recall"]
    assert not any("cm" in name for name in unitless)
    unknown = score(in_metres, reference(make_photos(8)))
    assert any("units of unknown length" in note for note in unknown.notes)


def test_failures_and_missing_photos_stay_in_the_denominator():
    photos = make_photos(10)
    rows = [PoseRow(photos.names[i], "OK", truth(photos)[i]) for i in (0, 2)]
    rows += [PoseRow(photos.names[4], "NO_AGREEMENT", None), PoseRow("elsewhere.png", "OK", truth(photos)[1])]
    found = score(PoseList(tuple(rows), "scene", "resect"), reference(photos))
    facts = found.as_json()
    assert facts["photos"] == 5
    assert facts["failed"] == 3
    assert facts["status"] == {"OK": 2, "MISSING": 2, "NO_AGREEMENT": 1}
    assert facts["median_rotation_deg"] is None
    assert facts["median_translation"] is None
    assert facts["recall"]["5deg_0.05scale"] == pytest.approx(0.4)
    assert facts["missing"] == [photos.names[6], photos.names[8]]
    assert facts["unknown"] == ["elsewhere.png"]
    assert facts["accepted_wrong"] == 0
    assert any("2 of 5 photos are not in the file" in n for n in facts["notes"])


def test_only_the_best_mode_counts_and_its_mass_is_kept():
    photos = make_photos(4)
    rows = tuple(
        PoseRow(photos.names[i], "AMBIGUOUS", pose, mode=m, log_weight=math.log(w))
        for i in (0, 2)
        for m, (pose, w) in enumerate(((off_by(truth(photos)[i], 90, 0), 0.6), (truth(photos)[i], 0.3)))
    )
    found = score(PoseList(rows, "scene", "resect"), reference(photos))
    assert [p.rotation_deg for p in found.photos] == pytest.approx([90, 90])
    assert [p.modes for p in found.photos] == [2, 2]
    assert found.photos[0].mass == pytest.approx(2 / 3)


def test_calibration_of_what_is_stated():
    photos = make_photos(400)
    sigma = torch.tensor([0.01, 0.02, 0.01, 0.002, 0.001, 0.003], dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    rows = []
    for i in range(0, 400, 2):
        delta = sigma * torch.randn(6, generator=g, dtype=torch.float64)
        pose = SE3.exp(-delta) @ truth(photos)[i]  # so that truth = exp(δ) @ estimate
        rows.append(PoseRow(photos.names[i], "OK", pose, covariance=torch.diag(sigma**2)))
    facts = score(PoseList(tuple(rows), "scene", "resect"), reference(photos)).as_json()["calibration"]
    assert facts["answers"] == 200
    assert facts["low"] < 0.9 < facts["high"]
    locked = replace(rows[0], covariance=torch.diag(torch.tensor([0, 1.0, 1, 1, 1, 1], dtype=torch.float64)))
    assert score(PoseList((locked,), "scene", "resect"), reference(photos)).as_json()["calibration"] is None


def test_the_runs_split_prior_and_times_are_used(tmp_path: Path):
    photos = make_photos(9)

    def change(photo: Photo, estimate: Estimate) -> Estimate:
        i = photos.names.index(photo.name)
        status = Status.NOT_IMPROVED if i == 3 else Status.OK
        return answer(truth(photos)[i], status=status, source="oracle:1" if i == 6 else "retrieval:b.png")

    predict(FromPixels(change), photos, split_of(photos, 3), tmp_path / "p.csv", load_seconds=1.5)
    predict(FromPixels(change), photos, split_of(photos, 3), tmp_path / "q.csv", which="train")
    facts = score(tmp_path / "p.csv", photos).as_json()
    assert facts["photos"] == 3
    assert facts["load_seconds"] == 1.5
    assert facts["seconds_per_photo"] >= 0
    assert facts["prior"] == {"retrieval": 2, "oracle": 1}
    assert facts["oracle"] is True
    trained = score(tmp_path / "q.csv", photos).as_json()
    assert trained["photos"] == 6
    assert trained["not_improved"] == 0
    (tmp_path / "p.run" / "split.json").unlink()
    fallback = score(tmp_path / "p.csv", photos).as_json()
    assert any("does not say which photos were held out" in n for n in fallback["notes"])


def test_not_improved_answers_are_counted():
    photos = make_photos(4)
    rows = tuple(PoseRow(photos.names[i], "NOT_IMPROVED", truth(photos)[i]) for i in (0, 2))
    found = score(PoseList(rows, "scene", "resect"), reference(photos))
    assert found.as_json()["not_improved"] == 2
    assert "the start itself was the answer (NOT_IMPROVED): 2" in found.text()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: SE3(so3.from_quaternion(xyzw_from_wxyz(so3.to_quaternion(p.R))), p.t), "x y z w"),
        (lambda p: p.inverse(), "world from camera"),
        (lambda p: flip_opengl(p, "cam_from_world"), "OpenGL"),
        (lambda p: flip_opengl(p, "cam_from_world").inverse(), "world from camera, with OpenGL"),
        (lambda p: SE3(p.R, p.center + 5), "camera centres"),
        (lambda p: SE3(p.R, p.t * 1000), "millimetres"),
    ],
)
def test_usual_mistakes_are_named_and_nothing_is_changed(damage, words: str):
    photos = make_photos(24)
    aside = torch.tensor([5.0, 5.0, 5.0], dtype=torch.float64)
    cameras = SE3(truth(photos).R, truth(photos).t - truth(photos).R @ aside)
    moved = replace(photos, truth=replace(photos.truth, cam_from_world=cameras))
    index = range(0, 24, 2)
    source = photos if words == "camera centres" else moved
    found = score(listed(moved, {i: damage(truth(source)[i]) for i in index}), reference(moved))
    assert words in " ".join(found.notes)
    good = score(listed(moved, {i: off_by(truth(moved)[i], 3, 0.1) for i in index}), reference(moved))
    assert good.notes == ()


def test_names_are_matched_the_first_unambiguous_way():
    true = ["seq-01/frame-0.color.png", "seq-01/frame-1.color.png"]
    assert match_names(true[:1], true) == {true[0]: true[0]}
    assert match_names(["seq-01/frame-1.color.jpg"], true) == {"seq-01/frame-1.color.jpg": true[1]}
    assert match_names(["frame-1"], true) == {"frame-1": true[1]}
    assert match_names(["rgb/1.5.png"], ["1.5", "1.6"]) == {"rgb/1.5.png": "1.5"}
    assert match_names(["1.5"], ["rgb/1.5.png", "rgb/1.6.png"]) == {"1.5": "rgb/1.5.png"}
    assert match_names(["a/0.png"], ["a/0.jpg", "b/0.jpg"]) == {"a/0.png": "a/0.jpg"}
    assert match_names(["c/0.png"], ["a/0.jpg", "b/0.jpg"]) == {}


def test_two_files_about_other_photos_are_refused():
    photos = make_photos(4)
    rows = (PoseRow("other.png", "OK", truth(photos)[0]),)
    with pytest.raises(ResectError, match="names of the same photos"):
        score(PoseList(rows, "scene", "resect"), reference(photos))


def test_an_empty_file_fails_every_photo(tmp_path: Path):
    photos = make_photos(4)
    write_poses(tmp_path / "p.csv", (), "scene")
    facts = score(tmp_path / "p.csv", photos).as_json()
    assert (facts["photos"], facts["failed"]) == (1, 1)


PUBLISHED = [
    ("sfm", "chess_hloc", "chess", 0.0078, 0.11, 1.0),
    ("sfm", "heads_dsac_rgb", "heads", 0.0050, 0.34, 0.998),
]


@pytest.mark.real
@pytest.mark.parametrize(("kind", "name", "scene", "metres", "degrees", "within"), PUBLISHED)
def test_published_lists_give_the_published_numbers(
    real: Path, kind: str, name: str, scene: str, metres: float, degrees: float, within: float
):
    root = real / "reloc_poses" / "visloc_pgt"
    listed_truth = root / f"pgt/{kind}/7scenes/{scene}_test.txt"
    train = root / f"pgt/{kind}/7scenes/{scene}_train.txt"
    facts = score(root / f"estimates/{kind}/7scenes/{name}.txt", listed_truth, train=train).as_json()
    assert facts["translation_unit"] == "m"
    assert facts["median_translation"] == pytest.approx(metres, abs=5e-5)
    assert facts["median_rotation_deg"] == pytest.approx(degrees, abs=5e-3)
    assert facts["recall"]["5deg_5cm"] == pytest.approx(within, abs=5e-4)


@pytest.mark.real
def test_matrices_that_are_nearly_rotations(real: Path):
    root = real / "reloc_poses" / "nefes_cambridge" / "KingsCollege"
    truth_file = root / "KingsCollege_test_gt.txt"
    before = score(root / "DFNet_KingsCollege_results.txt", truth_file).as_json()
    assert before["median_translation"] == pytest.approx(0.732, abs=5e-4)
    assert before["median_rotation_deg"] == pytest.approx(2.37, abs=5e-3)
    refined = root / "DFNet_KingsCollege_NeFeS50_APR_pose_results.txt"
    after = score(refined, truth_file).as_json()
    assert after["median_translation"] == pytest.approx(0.366, abs=5e-4)
    # Their matrices are off by 1e-3, where acos((trace − 1) / 2) says 0.80°; between the nearest rotations it is 0.54°.
    assert after["median_rotation_deg"] == pytest.approx(0.542, abs=1e-3)
    assert any("nearest rotations" in n for n in after["notes"])
    a, b = (np.loadtxt(f).reshape(-1, 3, 4)[:, :, :3] for f in (refined, truth_file))
    naive = np.degrees(np.arccos(np.clip(((a * b).sum((1, 2)) - 1) / 2, -1, 1)))
    assert np.median(naive) == pytest.approx(0.80, abs=5e-3)
