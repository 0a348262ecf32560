"""Litter in drawn photos."""

from dataclasses import replace

import torch

from resect.geometry.camera import Camera
from resect.geometry.solids import box
from resect.scenes.mesh.scene import MeshScene
from resect.synthesis.clutter import ClutterSettings, draw_photo
from resect.synthesis.light import draw_light
from resect.synthesis.litter import draw_piece

CAMERA = Camera.from_fov(1.0, 48, 36)
SETTINGS = ClutterSettings((2, 2), (300.0, 500.0), litter=(12, 12), size=100.0)


def test_a_piece_is_where_it_says_and_wears_the_picture() -> None:
    green = torch.zeros(20, 30, 3)
    green[..., 1] = 1.0
    seen = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        light = draw_light(generator)
        piece = draw_piece(CAMERA, (300.0, 500.0), 100.0, light, (green,), generator)
        if piece is None:
            continue
        colour, depth, mask, window = piece
        assert mask.shape == (window.height, window.width)
        assert torch.equal(mask, depth.isfinite())
        assert not colour[~mask].any()
        if mask.any():
            seen += 1
            half = 50.0 * 3**0.5
            assert 0.9 * 300 - half < float(depth[mask].min()) <= float(depth[mask].max()) < 1.3 * 500 + half
            assert (colour[mask][:, 1] > colour[mask][:, 0]).all()
    assert seen > 10


def test_litter_hides_objects_and_is_drawn_after_them() -> None:
    scene = MeshScene(box((80.0, 80.0, 80.0)), antialias=False)
    hidden = 0
    for seed in range(4):
        plain, littered = (
            draw_photo([scene, scene], CAMERA, s, torch.Generator().manual_seed(seed))
            for s in (replace(SETTINGS, litter=(0, 0)), SETTINGS)
        )
        for a, b in zip(plain.objects, littered.objects, strict=True):
            assert torch.equal(a.cam_from_world.t, b.cam_from_world.t)
            assert b.visible <= a.visible
            hidden += b.visible < a.visible
    assert hidden >= 2
