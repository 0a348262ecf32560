import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from photo_sets import FromPixels, answer, make_photos, shuffled, split_of

from resect.errors import ResectError
from resect.evaluation.pose_file import read_poses
from resect.evaluation.predict import Done, predict
from resect.evaluation.run_folder import difference, read_run
from resect.geometry.se3 import SE3
from resect.types import Status


def still() -> float:
    """A clock that stands, so that files can be compared byte by byte."""
    return 0.0


def test_held_out_photos_are_answered_in_order(tmp_path: Path):
    photos = make_photos(8)
    seen: list[Done] = []
    found = predict(FromPixels(), photos, split_of(photos), tmp_path / "p.csv", progress=seen.append)
    names = [photos.names[i] for i in (0, 2, 4, 6)]
    assert [r.photo for r in found.rows] == names
    assert [(d.count, d.total, d.photo, d.status) for d in seen] == [(k + 1, 4, n, "OK") for k, n in enumerate(names)]
    assert (found.photos, found.failed, found.unit) == (4, 0, "scene")
    run = read_run(tmp_path / "p.csv")
    assert run is not None
    assert [e["photo"] for e in run.log] == names
    assert run.log[0]["ms"] == {"prior": 1.5, "refine": 3.0}
    assert len(run.log[0]["trace"]) == 2
    assert run.versions["torch"] == torch.__version__
    cost = json.loads((tmp_path / "p.run" / "cost.json").read_text())
    assert cost["stages"]["refine"]["median_ms"] == 3.0
    assert not (tmp_path / "p.run" / "poses.partial.csv").exists()


def test_metric_worlds_say_metres_and_which_chooses_the_half(tmp_path: Path):
    photos = make_photos(5, meters_per_unit=1.0)
    found = predict(FromPixels(), photos, split_of(photos), tmp_path / "p.csv", which="train")
    assert (found.unit, found.photos) == ("m", 2)
    with pytest.raises(ResectError, match="Did you mean 'train'"):
        predict(FromPixels(), photos, split_of(photos), tmp_path / "q.csv", which="trian")


def test_shuffled_truth_cannot_change_predictions(tmp_path: Path):
    photos = make_photos(8)
    for name, data in (("a", photos), ("b", shuffled(photos))):
        predict(FromPixels(), data, split_of(data), tmp_path / f"{name}.csv", clock=still)
    assert not torch.equal(photos.truth.cam_from_world.t, shuffled(photos).truth.cam_from_world.t)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_photo_that_fails_is_a_row_and_the_rest_goes_on(tmp_path: Path):
    def change(photo, estimate):
        if photo.name.endswith("0002.png"):
            raise RuntimeError("boom")
        return answer(estimate.cam_from_world, status=Status.NO_AGREEMENT) if "0004" in photo.name else estimate

    photos = make_photos(10, broken=(0,))
    found = predict(FromPixels(change), photos, split_of(photos), tmp_path / "p.csv")
    assert [r.status for r in found.rows] == ["UNREADABLE", "ERROR", "NO_AGREEMENT", "OK", "OK"]
    assert [r.seconds is None for r in found.rows] == [True, True, False, False, False]
    run = read_run(tmp_path / "p.csv")
    assert run is not None
    assert "truncated" in run.log[0]["message"]
    assert "boom" in run.log[1]["message"]


def stop_at(name: str):
    def change(photo, estimate):
        if photo.name == name:
            raise KeyboardInterrupt
        return estimate

    return FromPixels(change)


def test_ctrl_c_keeps_what_is_done_and_the_same_call_goes_on(tmp_path: Path):
    photos = make_photos(8)
    out = tmp_path / "p.csv"
    with pytest.raises(KeyboardInterrupt):
        predict(stop_at(photos.names[4]), photos, split_of(photos), out, clock=still)
    assert not out.exists()
    with pytest.raises(ResectError, match="Resume it"):
        predict(FromPixels(), photos, split_of(photos), out, resume=False)
    second = FromPixels()
    predict(second, photos, split_of(photos), out, clock=still)
    assert second.calls == 2
    predict(FromPixels(), photos, split_of(photos), tmp_path / "whole.csv", clock=still)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    third = FromPixels()
    predict(third, photos, split_of(photos), out)
    assert third.calls == 0
    assert not (tmp_path / "p.run" / "poses.partial.csv").exists()


@pytest.mark.parametrize("cut_log", [0, 1, 7, 40])
@pytest.mark.parametrize("cut_poses", [0, 1, 30, 400])
def test_whatever_was_cut_short_is_done_again(tmp_path: Path, cut_log: int, cut_poses: int):
    def two_modes(photo, estimate):
        return answer(SE3.stack([estimate.cam_from_world] * 2))

    photos = make_photos(8)
    out = tmp_path / "p.csv"
    stopping = stop_at(photos.names[6])
    stopper = FromPixels(lambda photo, estimate: two_modes(photo, stopping.change(photo, estimate)))
    with pytest.raises(KeyboardInterrupt):
        predict(stopper, photos, split_of(photos), out, clock=still)
    for name, cut in (("log.jsonl", cut_log), ("poses.partial.csv", cut_poses)):
        path = tmp_path / "p.run" / name
        os.truncate(path, path.stat().st_size - cut)
    predict(FromPixels(two_modes), photos, split_of(photos), out, clock=still)
    predict(FromPixels(two_modes), photos, split_of(photos), tmp_path / "whole.csv", clock=still)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_kill_9_loses_at_most_the_photo_at_work(tmp_path: Path):
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from resect.evaluation.predict import predict
        from photo_sets import FromPixels, make_photos, split_of

        def change(photo, estimate):
            if photo.name.endswith("0004.png"):
                os.kill(os.getpid(), signal.SIGKILL)
            return estimate

        photos = make_photos(8)
        predict(FromPixels(change), photos, split_of(photos), Path(sys.argv[1]), clock=lambda: 0.0)
    """)
    out = tmp_path / "p.csv"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    ended = subprocess.run([sys.executable, "-c", script, str(out)], env=env, check=False)
    assert ended.returncode == -signal.SIGKILL
    again = FromPixels()
    photos = make_photos(8)
    found = predict(again, photos, split_of(photos), out, clock=still)
    assert (again.calls, found.photos) == (2, 4)


def test_another_configuration_is_refused_by_name(tmp_path: Path):
    photos = make_photos(8)
    out = tmp_path / "p.csv"
    predict(FromPixels(), photos, split_of(photos), out, settings={"prior": "a", "deep": {"count": 4}})
    with pytest.raises(ResectError, match=r"settings.deep.count: expected 4 as when the run was started, got 5"):
        predict(FromPixels(), photos, split_of(photos), out, settings={"prior": "a", "deep": {"count": 5}})
    with pytest.raises(ResectError, match=r"data\.count: expected 4"):
        predict(FromPixels(), photos, split_of(photos, 4), out, settings={"prior": "a", "deep": {"count": 4}})
    other = FromPixels()
    predict(other, photos, split_of(photos, 4), out, overwrite=True)
    assert other.calls == 2


def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path):
    out = tmp_path / "p.csv"
    out.write_text("mine")
    photos = make_photos(4)
    with pytest.raises(ResectError, match="a name that is free"):
        predict(FromPixels(), photos, split_of(photos), out)
    assert out.read_text() == "mine"


def test_two_runs_at_once_are_refused(tmp_path: Path):
    photos = make_photos(8)
    out = tmp_path / "p.csv"
    errors: list[str] = []

    def change(photo, estimate):
        if not errors:
            with pytest.raises(ResectError, match="another process") as caught:
                predict(FromPixels(), photos, split_of(photos), out)
            errors.append(str(caught.value))
        return estimate

    predict(FromPixels(change), photos, split_of(photos), out)
    assert read_poses(out).photos == 4


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    photos = make_photos(8)
    out = tmp_path / "p.csv"
    real, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 9:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ResectError, match="Free space"):
        predict(FromPixels(), photos, split_of(photos), out, clock=still)
    monkeypatch.setattr(os, "fsync", real)
    assert predict(FromPixels(), photos, split_of(photos), out, clock=still).photos == 4


def test_difference_finds_the_first_field():
    assert difference({"a": 1, "b": {"c": [1]}}, {"a": 1, "b": {"c": [1]}}) is None
    assert difference({"b": {"c": 1}}, {"b": {"c": 2}}) == ("b.c", 1, 2)
    assert difference({"a": 1}, {}) == ("a", 1, None)
