"""The box around what is seen: carved by the outlines of a ball whose place is known."""

from dataclasses import replace
from pathlib import Path

import torch

from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.scenes.nerf.bounds import carved_box
from resect.scenes.nerf.fit import space_of
from resect.scenes.nerf.settings import NerfSettings
from resect.scenes.pixels import load_pixels
from resect.types import Photo, PhotoSet, Truth, World

CENTER, RADIUS = torch.tensor([0.3, -0.2, 0.1]), 0.5


def ball_photos() -> PhotoSet:
    """A ball on nothing, seen from all around; its outline in closed form."""
    camera = Camera.from_fov(0.7, 64, 48)
    g = torch.Generator().manual_seed(0)
    eyes = 4 * torch.nn.functional.normalize(torch.randn(24, 3, generator=g), dim=-1)
    poses = look_at(eyes, torch.zeros(24, 3))

    def load(i: int) -> Photo:
        ray = camera.rays(camera.pixels()) @ poses.R[i]
        to = CENTER - poses.center[i]
        alpha = ((to - (to * ray).sum(-1, keepdim=True) * ray).norm(dim=-1) < RADIUS).float().reshape(48, 64)
        return Photo(f"{i}.png", torch.ones(48, 64, 3) * (1 - 0.5 * alpha[..., None]), camera, alpha=alpha)

    names = tuple(f"{i}.png" for i in range(24))
    return PhotoSet(Path("ball"), "made", names, (camera,) * 24, Truth(poses), World(), load)


def test_the_carved_box_holds_the_ball_and_little_else() -> None:
    data = ball_photos()
    pool = load_pixels(data, 64)
    box = carved_box(data, pool, 64, torch.zeros(3), 1.2)
    assert box is not None
    assert bool((box[0] <= CENTER - RADIUS).all() and (box[1] >= CENTER + RADIUS).all())
    assert float((box[1] - box[0]).max()) < 2 * RADIUS + 0.3


def test_a_nerf_of_it_lies_in_that_box() -> None:
    data = ball_photos()
    space = space_of(data, load_pixels(data, 64), NerfSettings(max_side=64))
    assert space.box is not None
    corners = space.local_from_world.inverse().apply(space.box)
    assert bool((corners[0] <= CENTER.double() - RADIUS).all() and (corners[1] >= CENTER.double() + RADIUS).all())
    assert float(corners.abs().max()) < 1.2


def test_photos_with_and_without_transparency_may_be_mixed() -> None:
    data = ball_photos()
    load = data.load
    mixed = replace(data, load=lambda i: replace(load(i), alpha=None) if i % 3 == 0 else load(i))
    pool = load_pixels(mixed, 64)
    assert pool.transparent
    box = carved_box(mixed, pool, 64, torch.zeros(3), 1.2)
    assert box is not None
    assert bool((box[0] <= CENTER - RADIUS).all() and (box[1] >= CENTER + RADIUS).all())
    assert float((box[1] - box[0]).max()) < 2 * RADIUS + 0.5
