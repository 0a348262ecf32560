import pytest
import torch

from resect.data.procedural import ROOM_M
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.errors import ResectError
from resect.geometry import so3
from resect.scenes.room import Room
from resect.synthesis.scene_views import SceneViewSettings, joined, plausible_poses, scene_views
from resect.types import PhotoSet

SMALL = SceneViewSettings(count=12, side=32, exposure=0.0, blur_px=0.0, noise=0.0)


def photos() -> PhotoSet:
    return make_capture(SyntheticSettings(photos=10, width=64, height=48, path="orbit"))


def test_a_view_shows_what_the_scene_shows_there() -> None:
    made = scene_views(Room(), photos(), SMALL)
    assert len(made) == 12
    photo = made[3]
    pose = made.truth.cam_from_world[3:4]
    expected = Room().render(made.cameras[3], type(pose)(pose.R.float(), pose.t.float()), ("rgb",)).rgb
    assert expected is not None
    torch.testing.assert_close(photo.image.flatten(0, 1), expected[0], atol=1e-4, rtol=0)
    assert photo.name.startswith("rendered/")
    assert (photo.image.shape[1], photo.image.shape[0]) == (made.cameras[3].width, made.cameras[3].height)


def test_the_same_seed_gives_the_same_views() -> None:
    a, b = scene_views(Room(), photos(), SMALL), scene_views(Room(), photos(), SMALL)
    assert torch.equal(a.truth.cam_from_world.matrix(), b.truth.cam_from_world.matrix())
    assert torch.equal(a[5].image, b[5].image)
    other = scene_views(Room(), photos(), SceneViewSettings(count=12, side=32, seed=1))
    assert not torch.equal(a.truth.cam_from_world.matrix(), other.truth.cam_from_world.matrix())


def test_poses_are_within_reach_and_not_inside_matter() -> None:
    data = photos()
    _, poses = plausible_poses(Room(), data, SceneViewSettings(count=60), torch.Generator().manual_seed(0))
    room = torch.tensor(ROOM_M, dtype=torch.float64)
    assert bool(((poses.center > 0) & (poses.center < room)).all())
    known = data.truth.cam_from_world
    gap = torch.cdist(poses.center, known.center).amin(1)
    spacing = torch.cdist(known.center, known.center).fill_diagonal_(torch.inf).amin(1).max()
    assert float(gap.max()) < 2 * float(spacing)
    off = so3.angle(poses.R[:, None].expand(60, 10, 3, 3), known.R[None].expand(60, 10, 3, 3)).amin(1)
    assert float(off.max()) < 0.8


def test_exposure_blur_and_noise_change_the_picture() -> None:
    plain = scene_views(Room(), photos(), SMALL)[0].image
    for key, value in (("exposure", 0.5), ("blur_px", 2.0), ("noise", 0.05)):
        settings = SceneViewSettings(**{**vars(SMALL), key: value})
        assert float((scene_views(Room(), photos(), settings)[0].image - plain).abs().mean()) > 1e-3, key


def test_joined_photos_keep_their_poses() -> None:
    data = photos()
    views = scene_views(Room(), data, SMALL)
    both = joined(data, views)
    assert len(both) == 22
    assert torch.equal(both[11].image, views[1].image)
    assert torch.equal(both[2].image, data[2].image)
    torch.testing.assert_close(both.truth.cam_from_world.t[12], views.truth.cam_from_world.t[2])


def test_a_demand_that_cannot_be_met_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resect.synthesis.scene_views._TRIES", 1)
    only = len(photos())  # the training cameras have something before them, no other camera has
    sight = lambda scene, camera, poses: (torch.full((len(poses),), float(len(poses) == only)), torch.ones(len(poses)))  # noqa: E731
    monkeypatch.setattr("resect.synthesis.scene_views._sight", sight)
    with pytest.raises(ResectError, match="plausible"):
        scene_views(Room(), photos(), SceneViewSettings(count=3, nearest=1.0))
