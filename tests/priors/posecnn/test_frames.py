"""The picture that the network looks at: the focal length it knows, as much as the photo's camera shows."""

import pytest
import torch
from tests.priors.posecnn.table import CAMERA, TINY

from resect.geometry.camera import Camera
from resect.priors.posecnn.frames import camera_beside
from resect.priors.posecnn.network import make_network


def test_a_photo_of_the_same_camera_in_any_size_is_seen_as_it_was_learned() -> None:
    for width, height in ((96, 72), (960, 720), (48, 36)):
        found = camera_beside(CAMERA, CAMERA.rescale(width, height))
        assert (found.width, found.height) == (96, 72)
        assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx((CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy))


@pytest.mark.parametrize("k1", [0.0, -0.05])
def test_all_of_a_wider_photo_is_seen(k1: float) -> None:
    wide = Camera(50.0, 51.0, 40.0, 44.0, 100, 80, "opencv", (k1,))
    found = camera_beside(CAMERA, wide)
    assert (found.fx, found.fy) == (CAMERA.fx, CAMERA.fy)
    at, seen = found.project(wide.rays(wide.pixels()))
    assert bool(seen.all())
    assert float(at.min()) > -0.1
    assert bool((at < torch.tensor([found.width, found.height]) + 0.1).all())
    if not k1:
        assert found.width == pytest.approx(100 * CAMERA.fx / 50.0, abs=1)
        assert found.cx == pytest.approx(40 * CAMERA.fx / 50.0, abs=1)


def test_a_narrower_photo_lies_in_the_middle() -> None:
    narrow = Camera(4 * CAMERA.fx, 4 * CAMERA.fy, 10.0, 36.0, 96, 72)
    found = camera_beside(CAMERA, narrow)
    assert (found.width, found.height) == (96, 72)
    corners, _ = found.project(narrow.rays(torch.tensor([[0.0, 0.0], [96.0, 72.0]])))
    assert corners.mean(0).tolist() == pytest.approx([48.0, 36.0], abs=1e-3)


def test_a_picture_is_not_larger_than_a_bound() -> None:
    found = camera_beside(CAMERA, Camera(1.0, 1.0, 50.0, 40.0, 100, 80))
    assert (found.width, found.height) == (4 * 96, 4 * 72)


def test_maps_of_a_larger_picture_have_its_cells() -> None:
    network = make_network(TINY, 2, 0).eval()
    for height, width in ((72, 96), (101, 130)):
        with torch.no_grad():
            labels, centres = network.dense(network.maps(torch.rand(1, 3, height, width)), (height, width))
        assert labels.shape == (1, 3, -(-height // 4), -(-width // 4))
        assert centres.shape == (1, 2, 3, -(-height // 4), -(-width // 4))
