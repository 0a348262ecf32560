"""Fitting: what is learned, the same twice, interrupted and gone on, without numba."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from resect.errors import ResectError
from resect.scenes.field import fit as module
from resect.scenes.field.fit import fit
from resect.scenes.field.quality import held_out_quality
from resect.scenes.field.scene import Field
from resect.scenes.field.settings import FieldSettings
from resect.training.checkpoint import checkpoint_path
from resect.types import PhotoSet

TINY = FieldSettings.tiny()
SHORT = replace(TINY, resolutions=(16, 32), steps=(30, 30), batch=256, prune_every=20)


def test_tiny_learns_the_capture(capture: PhotoSet) -> None:
    train, test = capture.subset([i for i in range(16) if i % 8]), capture.subset([0, 8])
    shown, _ = held_out_quality(fit(train, TINY), test, 48)
    plain = np.mean([-10 * np.log10(float(capture[i].image.var())) for i in (0, 8)])
    assert shown > plain + 4


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_twice(capture: PhotoSet, threads: int) -> None:
    settings = replace(SHORT, threads=threads)
    one, two = fit(capture, settings), fit(capture, settings)
    assert np.array_equal(one.grid.density, two.grid.density)
    assert np.array_equal(one.grid.colour, two.grid.colour)
    other = fit(capture, replace(settings, seed=1))
    assert other.grid.density.shape != one.grid.density.shape or not np.array_equal(
        other.grid.density, one.grid.density
    )


def test_the_generator_decides(capture: PhotoSet) -> None:
    one, two, three = (fit(capture, SHORT, generator=torch.Generator().manual_seed(s)) for s in (4, 4, 5))
    assert np.array_equal(one.grid.table, two.grid.table)
    assert np.array_equal(one.grid.density, two.grid.density)
    assert not np.array_equal(one.grid.density[:500], three.grid.density[:500])


@pytest.mark.parametrize("stop_at", [10, 25, 30, 50])
def test_an_interrupted_fit_goes_on_as_if_it_never_stopped(
    capture: PhotoSet, tmp_path: Path, stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(capture, SHORT)

    def interrupt(step: int, steps: int, remark: str) -> None:
        if steps == SHORT.total_steps and step == stop_at:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module, "_LOG_EVERY", 5)
    with pytest.raises(KeyboardInterrupt, match="saved"):
        fit(capture, SHORT, out=tmp_path, progress=interrupt)
    assert checkpoint_path(tmp_path).is_file()
    assert not (tmp_path / "artifact.json").exists()
    resumed = fit(capture, SHORT, out=tmp_path, resume=True)
    assert np.array_equal(resumed.grid.table, whole.grid.table)
    assert np.array_equal(resumed.grid.density, whole.grid.density)
    assert np.array_equal(resumed.grid.colour, whole.grid.colour)
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(5, 61, 5))
    assert not checkpoint_path(tmp_path).exists()
    assert np.array_equal(Field.load(tmp_path).grid.density, whole.grid.density)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_crash_costs_only_what_came_after_the_checkpoint(
    capture: PhotoSet, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state saved on the way holds all that the next removal of empty cells will need."""
    size = {"resolutions": (16,), "steps": (50,), "batch": 128}
    settings = replace(SHORT, **size, backend=backend, checkpoint_seconds=1e-9)  # type: ignore[arg-type]
    whole = fit(capture, settings)

    def crash(step: int, steps: int, remark: str) -> None:
        if remark.endswith("dB") and step == 25:
            raise RuntimeError("power cut")

    monkeypatch.setattr(module, "_LOG_EVERY", 25)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(capture, settings, out=tmp_path, progress=crash)
    resumed = fit(capture, settings, out=tmp_path, resume=True)
    assert np.array_equal(resumed.grid.density, whole.grid.density)


def test_a_checkpoint_of_something_else_is_refused(
    capture: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(step: int, steps: int, remark: str) -> None:
        if steps == SHORT.total_steps and step == SHORT.total_steps - 10:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module, "_LOG_EVERY", 10)
    with pytest.raises(KeyboardInterrupt):
        fit(capture, SHORT, out=tmp_path, progress=interrupt)
    with pytest.raises(ResectError, match="batch"):
        fit(capture, replace(SHORT, batch=128), out=tmp_path, resume=True)
    with pytest.raises(ResectError, match="photos"):
        fit(capture.subset(range(9)), SHORT, out=tmp_path, resume=True)
    path = checkpoint_path(tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ResectError):
        fit(capture, SHORT, out=tmp_path, resume=True)


def test_pytorch_alone_learns_the_same(capture: PhotoSet) -> None:
    slow = replace(SHORT, steps=(25, 10), backend="torch")
    fast = replace(slow, backend="numba")
    a, b = (held_out_quality(fit(capture, s), capture.subset([3]), 48)[0] for s in (slow, fast))
    assert a == pytest.approx(b, abs=0.3)


def test_exposure_explains_gains(capture: PhotoSet, tmp_path: Path) -> None:
    """Photos made darker by a known gain are fitted better with a gain each."""
    gain = [0.6 if i % 2 else 1.0 for i in range(16)]
    uneven = replace(capture, load=lambda i: replace(capture[i], image=capture[i].image * gain[i]))
    last = []
    for exposure in (False, True):
        out = tmp_path / str(exposure)
        fit(uneven, replace(SHORT, exposure=exposure), out=out)
        last.append(json.loads((out / "log.jsonl").read_text().splitlines()[-1])["psnr"])
    assert last[1] > last[0] + 1


def test_transparent_photos_are_learned_with_a_clear_background(capture: PhotoSet) -> None:
    alpha = torch.zeros(36, 48)
    alpha[8:28, 12:36] = 1.0
    cut = replace(
        capture,
        load=lambda i: replace(
            capture[i], image=capture[i].image * alpha[..., None] + 1 - alpha[..., None], alpha=alpha
        ),
    )
    made = fit(cut, SHORT)
    assert made.frame.case == "object"
    assert made.background == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"resolutions": (30,), "steps": (5,)},
        {"steps": (1, 2, 3)},
        {"batch": 0},
        {"decay": 1.0},
        {"near": 2.0, "far": 1.0},
    ],
)
def test_wrong_settings_are_refused_before_any_work(wrong: dict[str, object]) -> None:
    with pytest.raises(ResectError, match="FieldSettings"):
        replace(TINY, **wrong)  # type: ignore[arg-type]


def test_one_photo_is_not_enough(capture: PhotoSet) -> None:
    with pytest.raises(ResectError, match="photos"):
        fit(capture.subset([0]), SHORT)
