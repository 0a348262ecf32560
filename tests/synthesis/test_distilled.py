"""Renders of a scene in the place of photos: at their poses, transparent where the scene is, made once."""

import torch

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.synthesis.distilled import distilled_photos
from resect.types import Render

CAPTURE = SyntheticSettings(path="orbit", photos=4, width=32, height=24)


class Half:
    """Red on black; its left half may be empty."""

    background = (0.0, 0.0, 0.0)

    def __init__(self, empty: bool) -> None:
        self.empty, self.poses = empty, list[SE3]()

    def render(self, camera: Camera, poses: SE3, want: tuple[str, ...]) -> Render:
        del want
        self.poses.append(poses)
        full = ((camera.pixels()[:, 0] > camera.width / 2) | (not self.empty)).float().expand(len(poses), -1)
        return Render(rgb=full[..., None] * torch.tensor([1.0, 0.0, 0.0]), alpha=full)


def test_some_photos_are_renders_at_their_poses() -> None:
    photos, scene = make_capture(CAPTURE), Half(empty=False)
    found = distilled_photos(scene, photos, (0, 2), 16)  # type: ignore[arg-type]
    assert found.names == photos.names
    assert [c.width for c in found.cameras] == [16, 32, 16, 32]
    assert found[2].alpha is None
    assert found[2] is found[2]
    assert len(scene.poses) == 1
    torch.testing.assert_close(scene.poses[0].t, photos.truth.cam_from_world.t[2:3].float())
    assert torch.equal(found[1].image, photos[1].image)
    assert found[0].image[3, 3].tolist() == [1, 0, 0]


def test_what_is_transparent_stays_so() -> None:
    photo = distilled_photos(Half(empty=True), make_capture(CAPTURE), (0,), 16)[0]  # type: ignore[arg-type]
    assert photo.alpha is not None
    assert photo.image[3, 2].tolist() == [1, 1, 1]
    assert photo.image[3, 12].tolist() == [1, 0, 0]
    assert (float(photo.alpha[3, 2]), float(photo.alpha[3, 12])) == (0, 1)
