"""Pictures of rotation densities: where things lie on the map, in which colour, and that files are whole."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from resect.evaluation.rotation_pictures import beside, draw_density, mollweide, moving, place, png, sheet
from resect.geometry import so3, so3_grid
from resect.types import RotationDensity

Z = (0.0, 0.0, 1.0)


def test_the_map_is_mollweides() -> None:
    """Areas are kept: the share of latitudes below φ is that of the ellipse below y = sin θ."""
    latitude = np.radians([-90.0, -60.0, -10.0, 0.0, 35.0, 80.0, 90.0])
    y = mollweide(np.zeros(7), latitude)[:, 1]
    below = 0.5 + (np.arcsin(y) + y * np.sqrt(1 - y * y)) / math.pi
    np.testing.assert_allclose(below, (1 + np.sin(latitude)) / 2, atol=1e-6)
    np.testing.assert_allclose(mollweide(np.array([math.pi, -math.pi / 2]), np.zeros(2)), [[2, 0], [-1, 0]])


def test_axes_lie_where_the_image_shows_them() -> None:
    """The object's z axis towards the viewer is the middle; to the image's right and up it is right and up."""
    back = so3.exp(torch.tensor([math.pi, 0.0, 0.0], dtype=torch.float64))  # z towards the camera
    right = so3.exp(torch.tensor([0.0, math.pi / 2, 0.0], dtype=torch.float64))
    up = so3.exp(torch.tensor([math.pi / 2, 0.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(up[:, 2], torch.tensor([0.0, -1.0, 0.0]).double(), atol=1e-12, rtol=0)
    at, _ = place(torch.stack([back, right, up]), Z)
    np.testing.assert_allclose(at, [[0, 0], [1, 0], [0, 1]], atol=1e-4)


def test_turning_about_the_axis_changes_the_hue_alone() -> None:
    r = so3.random(1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    turns = so3.exp(torch.arange(4.0).double()[:, None] * torch.tensor([0.0, 0.0, math.pi / 2]).double())
    at, hue = place(r @ turns, Z)
    np.testing.assert_allclose(at, np.broadcast_to(at[:1], at.shape), atol=1e-6)
    steps = np.diff(hue) % 1
    assert steps == pytest.approx([steps[0]] * 3, abs=1e-6)
    assert steps[0] == pytest.approx(0.25, abs=1e-6) or steps[0] == pytest.approx(0.75, abs=1e-6)


def one_cell(cell: int, level: int = 2) -> RotationDensity:
    logits = torch.full((so3_grid.cell_count(level),), -40.0)
    logits[cell] = 0.0
    return RotationDensity.of_logits(logits, level=level)


def test_a_peak_is_drawn_where_its_rotation_lies_and_the_truth_around_it() -> None:
    density = one_cell(777)
    rotation = density.best()[None]
    at, _ = place(rotation)
    picture = np.asarray(draw_density(density, None, width=420)).astype(int)
    x, y = 210 + at[0, 0] * 100, 0.27 * 420 - at[0, 1] * 100
    colored = np.ptp(picture, axis=-1) > 60
    inside = colored[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
    assert inside.all()
    colored[int(0.5 * 420) :, int(0.85 * 420) :] = False  # the wheel
    rows, columns = np.nonzero(colored)
    assert abs(rows.mean() - y) < 1.5
    assert abs(columns.mean() - x) < 1.5
    ringed = np.asarray(draw_density(None, rotation, width=420)).astype(int)
    changed = np.abs(ringed - np.asarray(draw_density(None, width=420))).sum(-1) > 30
    assert changed.any()
    assert not changed[round(y), round(x)]  # a ring is open


def test_hostile_sizes_of_truth_and_degenerate_axes_are_drawn() -> None:
    many = so3.random(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert draw_density(RotationDensity.uniform(1), many, width=200).size == (200, 124)
    at, hue = place(so3.exp(torch.tensor([[math.pi / 2, 0.0, 0.0]]).double()), Z)  # straight up: no east
    assert np.isfinite(at).all()
    assert np.isfinite(hue).all()


def test_a_photo_beside_its_density_sheets_and_films() -> None:
    pictures = [beside(torch.rand(20, 30, 3), one_cell(k), words=f"step {k}", height=60) for k in (3, 400)]
    assert pictures[0].size == (90 + 12 + round(60 / 0.62), 80)
    assert sheet(pictures, columns=2).size[0] > 2 * pictures[0].width
    film = Image.open(io.BytesIO(moving(pictures)))
    assert film.format == "GIF"
    assert getattr(film, "n_frames", 1) == 2
    assert Image.open(io.BytesIO(png(pictures[1]))).size == pictures[1].size
