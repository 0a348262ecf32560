import math

import pytest
import torch
from tests.priors.rotations.blobs import draw
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.priors.rotations.view import look, rolled, virtual_camera
from resect.types import Photo, Target

CAMERA = Camera(150.0, 140.0, 70.0, 45.0, 160, 120)
BOX = (90.0, 20.0, 140.0, 60.0)


def colour(ray: Tensor) -> Tensor:
    """A world at infinity."""
    return 0.5 + 0.4 * torch.sin(9 * ray + torch.tensor([0.0, 1.0, 2.0]))


def test_a_virtual_camera_sees_what_its_rays_hit() -> None:
    image = colour(CAMERA.rays(CAMERA.pixels())).view(120, 160, 3)
    view = look(Photo("a", image, CAMERA, target=Target("x", box=BOX)), 40)
    camera, turn = virtual_camera(CAMERA, BOX, 40)
    expected = colour((camera.rays(camera.pixels()).double() @ turn).float()).view(40, 40, 3).permute(2, 0, 1)
    assert torch.equal(view.turn, turn)
    inside = slice(3, -3)
    torch.testing.assert_close(view.picture[:, inside, inside], expected[:, inside, inside], atol=0.02, rtol=0)


def test_a_virtual_camera_looks_at_the_box_just_holds_it_and_does_not_roll() -> None:
    camera, turn = virtual_camera(CAMERA, BOX, 40)
    corners = torch.tensor([[90.0, 20.0], [140.0, 20.0], [90.0, 60.0], [140.0, 60.0]], dtype=torch.float64)
    seen, _ = camera.project(CAMERA.rays(corners) @ turn.mT * 0.999999)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3, dtype=torch.float64))
    assert float((seen - 20).abs().max()) == pytest.approx(20, abs=1e-3)
    assert float((seen.mean(0) - 20).abs().max()) < 1
    assert float(turn[0, 0]) > 0
    assert float(turn[1, 0].abs() + turn[0, 1].abs()) < 0.1
    centred, straight = virtual_camera(Camera(100.0, 100.0, 50.0, 50.0, 100, 100), (25.0, 25.0, 75.0, 75.0), 50)
    torch.testing.assert_close(straight, torch.eye(3, dtype=torch.float64))
    assert centred.fx == pytest.approx(100.0)


def test_without_a_camera_it_is_a_square_whose_edges_go_on() -> None:
    image = torch.zeros(20, 60, 3)
    image[:, 30:] = 1.0
    view = look(Photo("a", image), 30)
    assert torch.equal(view.turn, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(view.picture[0, :, :15], torch.zeros(30, 15))
    torch.testing.assert_close(view.picture[0, :, 15:], torch.ones(30, 15))
    outside = look(Photo("a", image, target=Target("x", box=(55.0, -5.0, 75.0, 15.0))), 10)
    assert float(outside.picture.min()) == 1.0
    assert outside.shows_nothing


def test_a_rolled_picture_shows_the_turned_object() -> None:
    rotation = so3.random(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pictures = draw(rotation, 48).permute(0, 3, 1, 2)
    for angle in (math.pi / 2, 0.4):
        about = so3.exp(torch.tensor([0.0, 0.0, angle], dtype=torch.float64))
        expected = draw(about @ rotation, 48).permute(0, 3, 1, 2)
        found = rolled(pictures, torch.full((2,), angle, dtype=torch.float64))
        torch.testing.assert_close(found, expected, atol=0.03, rtol=0)
