"""Whatever ends a process, the same command goes on, ends with the same result, and what was there is intact."""

import json
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shell import files, lines, resect, spawn, wait_until, without_seconds

LONG = (
    *("--field.max-side", "96", "--field.resolutions", "32", "64", "--field.steps", "300", "500"),
    *("--field.batch", "512", "--field.prune-every", "100", "--field.checkpoint-seconds", "0.1", "--threads", "1"),
)
WEIGHTS = ("weights.safetensors", "priors/landmarks/weights.safetensors", "priors/retrieval/weights.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "place"
    assert resect("fit", "field", capture, "--out", out, *LONG).code == 0
    return out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_fit_goes_on_after(how: signal.Signals, capture: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "place"
    command = ("fit", "field", capture, "--out", out, *LONG)
    process = spawn(*command)
    checkpoint = out / "checkpoints" / "latest.safetensors"
    wait_until(lambda: checkpoint.is_file() and lines(out / "log.jsonl") > 1, process)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130, said
        assert "the state is saved" in said
        assert "the same command goes on" in said
        assert "Traceback" not in said
    assert not (out / "artifact.json").exists()
    assert checkpoint.is_file()
    other = resect(*command, "--seed", "1")
    assert other.code == 2
    assert "seed" in other.err
    again = resect(*command)
    assert again.code == 0, again.err
    assert files(out, WEIGHTS) == files(uninterrupted, WEIGHTS)
    assert not checkpoint.exists()
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))  # nothing is logged twice


def test_predict_goes_on_after_kill(capture: Path, place: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.csv", tmp_path / "cut.csv"
    flags = ("--scene", place, "--split", "all", "--threads", "1")
    assert resect("predict", capture, "--out", whole, *flags).code in (0, 3)
    process = spawn("predict", capture, "--out", out, *flags)
    log = tmp_path / "cut.run" / "log.jsonl"
    wait_until(lambda: lines(log) > 1, process)
    process.kill()
    process.communicate()
    assert not out.exists()
    done = lines(log)
    assert 1 < done < 10
    other = resect("predict", capture, "--out", out, *flags, "--count", "8")
    assert other.code == 2
    assert "count" in other.err
    assert resect("predict", capture, "--out", out, *flags).code in (0, 3)
    assert without_seconds(out) == without_seconds(whole)


@contextmanager
def disk_of(bytes_per_file: int) -> Iterator[None]:
    """Files cannot grow beyond this, as on a full disk; Python gets EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_the_same_command_goes_on(capture: Path, tmp_path: Path) -> None:
    command = ("fit", "retrieval", capture, "--out", tmp_path / "place", "--threads", 1)
    with disk_of(6000):
        said = resect(*command)
    assert said.code == 2
    assert "free space" in said.err
    assert "Traceback" not in said.err
    assert not list((tmp_path / "place").glob(".*")), "half-written files are removed"
    assert resect(*command).code == 0


def test_a_full_disk_leaves_the_old_report(capture: Path, answers: Path, tmp_path: Path) -> None:
    command = ("score", answers, capture, "--report", tmp_path / "report")
    assert resect(*command).code == 0
    before = files(tmp_path / "report", ("report.html",))
    with disk_of(2000):
        said = resect(*command, "--overwrite")
    assert said.code == 2
    assert "free space" in said.err
    assert files(tmp_path / "report", ("report.html",)) == before


def test_a_full_disk_during_predict(capture: Path, place: Path, tmp_path: Path) -> None:
    command = ("predict", capture, "--scene", place, "--out", tmp_path / "poses.csv", "--split", "all", "--threads", 1)
    with disk_of(2500):
        said = resect(*command)
    assert said.code == 2
    assert "space" in said.err
    assert resect(*command).code in (0, 3)


@pytest.mark.parametrize("verb", ["fit", "predict", "estimate", "render", "make", "demo"])
def test_a_place_that_cannot_be_written_to(
    verb: str, capture: Path, place: Path, answers: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "out"
    command: tuple[object, ...] = {
        "fit": ("fit", "retrieval", capture),
        "predict": ("predict", capture, "--scene", place),
        "estimate": ("estimate", capture / "images" / "0003.png", "--scene", place),
        "render": ("render", place, answers, "--max-side", 16),
        "make": ("data", "make", "--capture.photos", 1, "--capture.width", 16, "--capture.height", 16),
        "demo": ("demo", "--quick"),
    }[verb]
    said = resect(*command, "--out", out, "--threads", 1)
    assert said.code == 2, said.err
    assert str(tmp_path / "file") in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", [("list",), ("--help",), ("fit", "field", "--help"), ("cite",)])
def test_a_reader_that_leaves_early_is_no_error(command: tuple[str, ...]) -> None:
    process = spawn(*command)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stream:
        assert stream.read() == ""
    assert process.wait(60) == 0


def test_nobody_reads_what_fit_says(capture: Path, tmp_path: Path) -> None:
    """Work goes on when the terminal has gone."""
    out = tmp_path / "place"
    process = spawn("fit", "retrieval", capture, "--out", out, "--json", stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 0
    assert (out / "artifact.json").is_file()
