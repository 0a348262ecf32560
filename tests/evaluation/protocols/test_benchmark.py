import json
from pathlib import Path

import pytest
import torch
from photo_sets import answer, make_photos, split_of

from resect.errors import ResectError
from resect.evaluation.pose_file import read_poses
from resect.evaluation.protocols import basin
from resect.evaluation.protocols.benchmark import run_benchmark
from resect.evaluation.protocols.spoil import Spoil
from resect.evaluation.protocols.trials import trial_table
from resect.types import Estimate, Hypotheses, Photo, Status

SETTINGS = basin.BasinSettings(20.0, 0.1, starts=5)


def perfect(photos):
    def refine(photo: Photo, start: Hypotheses) -> Estimate:
        return answer(photos.truth.cam_from_world[photos.names.index(photo.name)])

    return refine


def returns_the_start(photo: Photo, start: Hypotheses) -> Estimate:
    return answer(start.cam_from_world[0].double(), status=Status.NOT_IMPROVED)


def gives_up(photo: Photo, start: Hypotheses) -> Estimate:
    return answer(start.cam_from_world[0], status=Status.NO_AGREEMENT)


def test_refiners_side_by_side(tmp_path: Path):
    photos = make_photos(8)
    refiners = {"perfect": perfect(photos), "start": returns_the_start, "gives-up": gives_up}
    found = run_benchmark("basin", photos, split_of(photos), refiners, SETTINGS, out=tmp_path / "b")
    best, start, none = (t.as_json() for t in found)
    assert (best["trials"], best["recall"]["1deg_0.01scale"], best["worse_than_start"]) == (20, 1.0, 0)
    assert best["oracle"] is True
    assert best["median_rays"] == 512
    assert start["start_returned"] == 20
    assert start["median_rotation_deg"] == pytest.approx(float(found[1].start_rotation_deg.median()), rel=0.3)
    assert start["recall"]["5deg_0.05scale"] < 0.5
    assert start["accepted_wrong"] == 20 - round(20 * start["recall"]["5deg_0.05scale"])
    assert (none["failed"], none["wrong_with_failure_status"], none["recall"]["5deg_0.05scale"]) == (20, 1.0, 0.0)
    rows = read_poses(tmp_path / "b" / "perfect" / "poses.csv").rows
    assert len(rows) == 20
    assert all(r.oracle for r in rows)
    assert {r.target for r in rows} == {f"start:{k}" for k in range(5)}
    table = (tmp_path / "b" / "table.txt").read_text()
    assert table == trial_table(found) + "\n"
    assert "oracle starts" in table
    assert json.loads((tmp_path / "b" / "summary.json").read_text())[0]["refiner"] == "perfect"


def test_a_refiner_that_makes_things_worse_is_found_out():
    photos = make_photos(8)
    far = basin.make_starts(photos, split_of(photos), basin.BasinSettings(170.0, 1.0, starts=5, seed=9))
    poses = iter([s.cam_from_world[0] for s in far])

    def worse(photo: Photo, start: Hypotheses) -> Estimate:
        return answer(next(poses))

    (found,) = run_benchmark("basin", photos, split_of(photos), {"worse": worse}, basin.BasinSettings(1.0, 0.01, 5))
    assert found.as_json()["worse_than_start"] >= 18


def test_an_interrupted_benchmark_goes_on(tmp_path: Path):
    photos, calls = make_photos(8), []

    def interrupted(photo: Photo, start: Hypotheses) -> Estimate:
        calls.append(start.source[0])
        if len(calls) == 7:
            raise KeyboardInterrupt
        return answer(start.cam_from_world[0].double())

    args = ("basin", photos, split_of(photos), {"r": interrupted}, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(*args, out=tmp_path)
    (found,) = run_benchmark(*args, out=tmp_path)
    assert len(calls) == 21
    torch.testing.assert_close(found.score.rotation_deg, found.start_rotation_deg, atol=1e-4, rtol=0)
    other = basin.BasinSettings(40.0, 0.1, starts=5)
    with pytest.raises(ResectError, match="perturbation: expected"):
        run_benchmark("basin", photos, split_of(photos), {"r": interrupted}, other, out=tmp_path)


def test_errors_are_trials_too_and_photos_can_be_spoiled():
    photos, seen = make_photos(8, broken=(2,)), []

    def refine(photo: Photo, start: Hypotheses) -> Estimate:
        seen.append(float(photo.image.mean()))
        if photo.name.endswith("0004.png"):
            raise RuntimeError("boom")
        return answer(start.cam_from_world[0])

    run_benchmark("basin", photos, split_of(photos), {"r": refine}, SETTINGS)
    plain = list(seen)
    seen.clear()
    bright = Spoil(brightness=0.3)
    (found,) = run_benchmark("basin", photos, split_of(photos), {"r": refine}, SETTINGS, spoil=bright)
    assert found.as_json()["failed"] == 10
    assert "brightness=0.3" in found.words
    assert all(b > a for a, b in zip(plain, seen, strict=True))


@pytest.mark.parametrize("name", ["inerf", "parallel-inversion", "gsfeatloc"])
def test_every_protocol_runs_with_its_defaults(name: str):
    photos = make_photos(16)
    (found,) = run_benchmark(name, photos, split_of(photos), {"perfect": perfect(photos)})
    assert found.as_json()["joint_5deg_0.05"] == 1.0
    assert "seed" in found.words


def test_unknown_protocols_and_wrong_settings_are_refused():
    photos = make_photos(4)
    with pytest.raises(ResectError, match="Did you mean 'inerf'"):
        run_benchmark("inref", photos, split_of(photos), {})
    with pytest.raises(ResectError, match="InerfSettings"):
        run_benchmark("inerf", photos, split_of(photos), {}, SETTINGS)
