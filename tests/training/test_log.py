"""The training log, checkpoints and the stop on Ctrl-C."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch

from resect.errors import ResectError
from resect.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from resect.training.interrupt import stop_on_interrupt
from resect.training.log import TrainingLog


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_each_line_is_an_object(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        log.write(1, psnr=20.0)
        log.write(2, psnr=math.nan, loss=0.5)
    assert [(x["step"], x.get("psnr"), x.get("loss")) for x in lines(tmp_path)] == [(1, 20.0, None), (2, None, 0.5)]


def test_going_on_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        for step in (1, 2, 3):
            log.write(step, loss=float(step))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with TrainingLog(tmp_path, resume_at=2) as log:
        log.write(3, loss=9.0)
    assert [(x["step"], x["loss"]) for x in lines(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 9.0)]
    with TrainingLog(tmp_path):
        pass
    assert lines(tmp_path) == []


def test_tensorboard_gets_the_same_scalars(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with TrainingLog(tmp_path, tensorboard=True) as log:
        log.write(1, loss=1.0)
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path, settings = checkpoint_path(tmp_path), {"rate": 0.1}
    assert load_checkpoint(path, settings) is None
    save_checkpoint(path, {"x": torch.arange(3).float()}, {"settings": settings, "step": 7})
    found = load_checkpoint(path, settings)
    assert found is not None
    assert torch.equal(found[0]["x"], torch.arange(3).float())
    assert found[1]["step"] == 7
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_of_other_settings_names_the_difference(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path)
    save_checkpoint(path, {"x": torch.zeros(1)}, {"settings": {"rate": 0.1}})
    with pytest.raises(ResectError, match="rate"):
        load_checkpoint(path, {"rate": 0.2})


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\xff" * 100])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = checkpoint_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(ResectError, match="checkpoint"):
        load_checkpoint(path, {})


def test_the_first_interrupt_asks_and_the_second_stops() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_serves_another_number_of_threads(tmp_path: Path) -> None:
    save_checkpoint(checkpoint_path(tmp_path), {"x": torch.zeros(1)}, {"settings": {"rate": 0.1, "threads": 1}})
    assert load_checkpoint(checkpoint_path(tmp_path), {"rate": 0.1, "threads": 8}) is not None
