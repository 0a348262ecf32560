"""Curves of refinements: written, read, laid over each other; films of the render on the photo."""

import math
from pathlib import Path

import pytest
import torch
from tests.cli.shell import resect

from resect.errors import ResectError
from resect.evaluation.descent import Descent, descent_of, film, median_curve, read_descent, write_descent
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Estimate, Hypotheses, Photo, Render, Status, Step

TRUTH = SE3(torch.eye(3), torch.zeros(3))


def slid(steps: int = 5) -> Estimate:
    """Two hypotheses; the second comes nearer, and is better at the end."""
    trace = []
    for k in range(steps):
        t = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5 ** (k + 1), 0.0]])
        trace.append(Step(f"step {k + 1}", SE3(torch.eye(3).expand(2, 3, 3), t), torch.tensor([0.9, 1.0 / (k + 2)])))
    modes = Hypotheses(trace[-1].cam_from_world[[1, 0]], torch.zeros(2))
    return Estimate(Status.OK, modes, tuple(trace))


def test_the_best_hypothesis_is_followed() -> None:
    found = descent_of(slid(), TRUTH)
    assert found.translation == pytest.approx([0.5, 0.25, 0.125, 0.0625, 0.03125])
    assert found.rotation_deg == pytest.approx([0.0] * 5)
    assert all(math.isnan(x) for x in descent_of(slid()).translation)
    assert descent_of(Estimate(Status.OK)).loss == ()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for descent in (descent_of(slid(), TRUTH), descent_of(slid())):
        write_descent(tmp_path / "a.steps.csv", descent)
        found = read_descent(tmp_path / "a.steps.csv")
        assert found.loss == pytest.approx(descent.loss)
        assert found.translation == pytest.approx(descent.translation, nan_ok=True)
    (tmp_path / "b.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(ResectError, match="first line"):
        read_descent(tmp_path / "b.csv")


def test_runs_are_laid_over_each_other(tmp_path: Path) -> None:
    for name, steps in (("one", 5), ("two", 9)):
        write_descent(tmp_path / f"{name}.csv", descent_of(slid(steps), TRUTH))
    said = resect("compare", tmp_path / "one.csv", tmp_path / "two.csv", "--curves", "--out", tmp_path / "o", "--json")
    assert said.code == 0, said.err
    page = (tmp_path / "o" / "curves.html").read_text()
    assert page.count("<svg") == 3
    assert page.count('class="line"') == 6
    assert said.json["two"]["steps"] == 9
    assert resect("compare", tmp_path / "one.csv").code == 2


def test_medians_of_runs() -> None:
    runs = [Descent((k,) * 3, (k,) * 3, (k,) * 3) for k in (1.0, 2.0, 9.0)]
    assert median_curve(runs).loss == (2.0, 2.0, 2.0)


def test_the_film_shows_renders_on_the_photo() -> None:
    class White:
        channels = ("rgb",)

        def render(self, camera: Camera, pose: SE3, want: object) -> Render:
            del pose, want
            return Render(rgb=torch.ones(1, camera.width * camera.height, 3))

    photo = Photo("a.png", torch.zeros(12, 16, 3), Camera.from_fov(1.0, 16, 12))
    frames = film(photo, slid(), White(), every=2)  # type: ignore[arg-type]
    assert len(frames) == 3
    assert frames[0].size == (16, 12)
    assert frames[0].getpixel((3, 3))[0] == pytest.approx(0.7 * 255, abs=2)  # type: ignore[index]
