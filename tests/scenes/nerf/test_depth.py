"""Depth of photos in training: distances of the right pixels, and a fit that gets them right."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.scenes.nerf.toy import TINY

from resect.errors import ResectError
from resect.scenes.nerf.depth import load_distances
from resect.scenes.nerf.fit import fit
from resect.scenes.pixels import load_pixels, tile_order
from resect.types import PhotoSet


def test_distances_are_of_the_pixels(capture: PhotoSet) -> None:
    some = capture.subset(range(3))
    side = max(some.cameras[0].width, some.cameras[0].height)
    pool = load_pixels(some, side)
    found = load_distances(some, pool, side)
    camera, photo = some.cameras[1], some[1]
    assert photo.depth is not None
    row = np.empty(camera.width * camera.height, np.float32)
    row[tile_order(camera.width, camera.height)] = found[pool.first_pixel[1] : pool.first_pixel[2]]
    z = camera.rays(camera.pixels())[:, 2]
    torch.testing.assert_close(torch.from_numpy(row) * z, photo.depth.flatten().float(), atol=1e-4, rtol=1e-4)


def test_depth_is_learned(capture: PhotoSet) -> None:
    small = {"samples": 12, "finer_samples": 12, "batch": 128, "width": 16}
    some, settings = capture.subset(range(6)), replace(TINY, steps=60, **small)  # type: ignore[arg-type]
    errors = []
    for weight in (0.0, 1.0):
        made = fit(some, replace(settings, depth_weight=weight))
        camera, photo = some.cameras[0].fit_within(16), some[0]
        assert photo.depth is not None
        shown = made.render(camera, some.truth.cam_from_world[:1].float(), ("expected_depth",)).expected_depth
        assert shown is not None
        true = torch.nn.functional.interpolate(photo.depth[None, None].float(), (camera.height, camera.width))[0, 0]
        errors.append(float(((shown[0] - true.flatten()).abs() / true.flatten()).median()))
    assert errors[1] < 0.7 * errors[0]


def test_photos_without_depth_are_refused(capture: PhotoSet) -> None:
    load = capture.load
    bare = replace(capture.subset(range(2)), load=lambda i: replace(load(i), depth=None))
    with pytest.raises(ResectError, match="depth"):
        fit(bare, replace(TINY, depth_weight=1.0))
