"""Training pixels: order, colours, rays, and what a batch holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from resect.errors import ResectError
from resect.scenes.pixels import Batches, load_pixels, tile_order
from resect.types import PhotoSet


def batches(data: PhotoSet, size: int = 100, seed: int = 0) -> Batches:
    pool = load_pixels(data, 48)
    pose = data.truth.cam_from_world
    rotation, center = pose.R.mT.float().numpy(), pose.center.float().numpy()
    return Batches(pool, np.ascontiguousarray(rotation), np.ascontiguousarray(center), size, seed)


def test_tile_order_is_a_permutation_by_tiles() -> None:
    order = tile_order(20, 11)
    assert np.array_equal(np.sort(order), np.arange(220))
    first = order[:64]
    assert set(first // 20) == set(range(8))
    assert set(first % 20) == set(range(8))


def test_a_batch_holds_the_rays_and_colours_of_its_pixels(capture: PhotoSet) -> None:
    batch = batches(capture).draw(3)
    pose = capture.truth.cam_from_world
    for i in range(0, 100, 7):
        photo = int(batch.photo[i])
        camera, image = capture.cameras[photo], capture[photo].image
        cam = pose.R[photo].float() @ torch.from_numpy(batch.direction[i])
        pixel, ok = camera.project(cam)
        assert ok
        x, y = pixel.tolist()
        seen = image[int(y), int(x)].numpy()
        np.testing.assert_allclose(batch.target[i], seen, atol=1e-3)
        np.testing.assert_allclose(batch.origin[i], pose.center[photo].numpy(), atol=1e-5)
        assert abs(x % 1 - 0.5) < 1e-2


def test_an_epoch_draws_every_pixel_once(capture: PhotoSet) -> None:
    draw = batches(capture.subset([0, 1]), size=432)
    seen = np.concatenate([np.column_stack([b.photo, b.direction]) for b in (draw.draw(s) for s in range(8))])
    assert len(np.unique(seen.round(5), axis=0)) == 2 * 48 * 36


def test_a_draw_depends_on_seed_and_step_only(capture: PhotoSet) -> None:
    one, two = batches(capture), batches(capture)
    for step in (5, 200, 2):
        two.draw(step + 1)
        a, b = one.draw(step), two.draw(step)
        assert np.array_equal(a.direction, b.direction)
        assert np.array_equal(a.start, b.start)
    assert not np.array_equal(one.draw(0).direction, batches(capture, seed=1).draw(0).direction)


def test_very_many_pixels_are_drawn_at_random(capture: PhotoSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resect.scenes.pixels.MOST_SHUFFLED", 100)
    one, two = batches(capture).draw(7), batches(capture).draw(7)
    assert len(one.photo) == 100
    assert np.array_equal(one.direction, two.direction)
    assert len(np.unique(one.photo)) > 8


def test_masked_pixels_are_never_drawn(capture: PhotoSet) -> None:
    mask = torch.zeros(36, 48, dtype=torch.bool)
    mask[:, :10] = True
    hidden = replace(capture, load=lambda i: replace(capture[i], mask=mask))
    batch = batches(hidden, size=10_000).draw(0)
    assert len(batch.photo) == 16 * 360
    with pytest.raises(ResectError, match="masks"):
        load_pixels(replace(capture, load=lambda i: replace(capture[i], mask=~(mask | True))), 48)


def test_transparent_photos_are_premultiplied(capture: PhotoSet) -> None:
    alpha = torch.zeros(36, 48)
    alpha[:18] = 1.0
    white = replace(
        capture,
        load=lambda i: replace(
            capture[i], image=capture[i].image * alpha[..., None] + 1 - alpha[..., None], alpha=alpha
        ),
    )
    pool = load_pixels(white, 48)
    clear = pool.colour[:, 3] == 0
    assert clear.mean() == 0.5
    assert np.abs(pool.colour[clear, :3]).max() < 1e-3
