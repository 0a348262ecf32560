import math
from pathlib import Path

import pytest
import torch

from resect.data.view_list import from_published, read_views, to_published, write_views
from resect.errors import ResectError
from resect.priors.upright import viewpoint_rotation


def degrees(*rows: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_published_azimuths_run_clockwise() -> None:
    found = from_published(degrees((90, 0, 0), (0, 0, 0), (-90, 0, 0), (450, 0, 0)))[:, 0].rad2deg()
    assert found.tolist() == pytest.approx([270, 0, 90, 270])
    # Clockwise from above with y up and +x in front: at 90 the camera stands at +z.
    rotation = viewpoint_rotation(from_published(degrees((90, 0, 0))))[0]
    assert torch.allclose(-rotation[2], torch.tensor([0.0, 0, 1], dtype=torch.float64), atol=1e-12)


def test_the_published_z_up_formula() -> None:
    """Camera at (cos az cos el, sin az cos el, sin el) where (x, y, z) of y up is (x, −z, y) there, az negated."""
    published = degrees((37, 20, 0), (200, 350, 0))
    az, el, _ = published.deg2rad().unbind(-1)
    center = torch.stack([(-az).cos() * el.cos(), (-az).sin() * el.cos(), el.sin()], -1)
    mine = -viewpoint_rotation(from_published(published))[:, 2]
    assert torch.allclose(torch.stack([mine[:, 0], -mine[:, 2], mine[:, 1]], -1), center, atol=1e-12)


def test_elevations_and_tilts_wrap_to_signed_angles() -> None:
    found = from_published(degrees((10, 350, 355), (10, 10, 180)))
    assert found[:, 1].rad2deg().tolist() == pytest.approx([-10, 10])
    assert found[:, 2].rad2deg().tolist() == pytest.approx([-5, -180])


def test_round_trips(tmp_path: Path) -> None:
    given = degrees((0, 0, 0), (359.9, -10, 3), (180, 89, -170))
    assert torch.allclose(to_published(from_published(given)), given)
    names = ["a.png", "b.png", "c.png"]
    write_views(tmp_path / "views.txt", ["chair/1"] * 3, names, from_published(given), torch.full((3, 1), 1.5))
    again = read_views(tmp_path)
    assert torch.allclose(to_published(again.viewpoint), given, atol=1e-4)
    assert again.categories == ("chair",) * 3
    assert again.distance.tolist() == [1.5] * 3
    assert again.confidence.tolist() == [1.0] * 3


def test_just_below_a_full_turn_is_written_as_none(tmp_path: Path) -> None:
    turn = torch.tensor([[1e-9, 0.0, 0.0]], dtype=torch.float64)
    write_views(tmp_path / "v.txt", ["m"], ["a.png"], turn, torch.ones(1, 2))
    assert (tmp_path / "v.txt").read_text().split()[2] == "0.0000"
    assert read_views(tmp_path / "v.txt").categories == ("object",)
    assert math.isclose(float(read_views(tmp_path / "v.txt").viewpoint[0, 0]), 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file"),
        ("chair a.png 1 2 3\n", "5 words"),
        ("chair a.png 1 2 three 4\n", "line 1"),
        ("chair a.png 1 2 nan 4\n", "finite"),
        ("chair a.png 1 2 3 0\n", "above 0"),
        ("chair ../a.png 1 2 3 4\n", "folder"),
        ("chair a.png 1 2 3 4\nchair a.png 1 2 3 4\n", "once"),
    ],
)
def test_bad_lists_are_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "views.txt").write_text(text)
    with pytest.raises(ResectError, match=said):
        read_views(tmp_path)


def test_a_folder_without_a_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="resect data views"):
        read_views(tmp_path)
