"""The synthetic capture: repeatable, read back as it was written, and worth learning from."""

import dataclasses
from pathlib import Path

import pytest
import torch

from resect.data.procedural import clearance
from resect.data.synthetic import SyntheticSettings, capture_poses, make_capture
from resect.data.transforms import read_transforms
from resect.errors import ResectError
from resect.geometry import so3

SMALL = SyntheticSettings(photos=4, width=64, height=48)


@pytest.mark.parametrize("path", ["around", "orbit", "forward"])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_cameras_keep_clear_and_look_somewhere(path: str, seed: int) -> None:
    settings = SyntheticSettings(photos=60, path=path, seed=seed)  # type: ignore[arg-type]
    poses = capture_poses(settings)
    assert len(poses) == 60
    assert clearance(poses.center).min() > 0.15
    torch.testing.assert_close(so3.nearest_rotation(poses.R), poses.R)
    assert poses.R[:, 1, 2].max() < -0.3  # the image's down is roughly the world's down in every photo


def test_same_settings_same_photos_bit_for_bit() -> None:
    settings = dataclasses.replace(SMALL, exposure=0.2, blur_px=0.7, noise=0.02, distortion=True)
    one, again = make_capture(settings), make_capture(settings)
    for a, b in zip(one, again, strict=True):
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.depth, b.depth)  # type: ignore[arg-type]
    assert torch.equal(one.truth.cam_from_world.t, again.truth.cam_from_world.t)
    other = make_capture(dataclasses.replace(settings, seed=1))
    assert not torch.equal(one[0].image, other[0].image)


def test_a_photo_is_rendered_once() -> None:
    photos = make_capture(SMALL)
    assert photos[2] is photos[2]


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("distortion", [False, True])
def test_what_is_written_is_what_is_read(tmp_path: Path, encoding: str, distortion: bool) -> None:
    settings = dataclasses.replace(SMALL, encoding=encoding, distortion=distortion)
    made = make_capture(settings, tmp_path / "capture")
    read = read_transforms(tmp_path / "capture")
    assert read.names == made.names
    assert read.cameras == made.cameras
    assert read.world.meters_per_unit == 1.0
    torch.testing.assert_close(read.truth.cam_from_world.t, made.truth.cam_from_world.t, atol=1e-12, rtol=0)
    torch.testing.assert_close(read.truth.cam_from_world.R, made.truth.cam_from_world.R, atol=1e-12, rtol=0)
    for a, b in zip(made, read, strict=True):
        assert torch.equal(a.image, b.image)
        assert (a.depth - b.depth).abs().max() < 0.00051  # type: ignore[operator]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ResectError, match="new or empty"):
        make_capture(SMALL, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_degradations_do_what_they_say() -> None:
    clean = make_capture(dataclasses.replace(SMALL, noise=0.0))
    noisy = make_capture(dataclasses.replace(SMALL, noise=0.05))
    difference = torch.cat([(b.image - a.image).flatten() for a, b in zip(clean, noisy, strict=True)])
    assert abs(float(difference.std()) - 0.05) < 0.003
    exposed = make_capture(dataclasses.replace(SMALL, noise=0.0, exposure=0.1))
    gains = [float((b.image.mean() / a.image.mean()).log()) for a, b in zip(clean, exposed, strict=True)]
    assert 0.01 < float(torch.tensor(gains).std()) < 0.3
    blurred = make_capture(dataclasses.replace(SMALL, noise=0.0, blur_px=1.5))
    steps = [float(p.image.diff(dim=1).abs().mean()) for s in (clean, blurred) for p in s]
    assert max(steps[4:]) < 0.7 * max(steps[:4])
    assert abs(float(clean[0].image.mean() - blurred[0].image.mean())) < 0.01


def test_plain_walls_leave_the_furniture() -> None:
    plain = make_capture(dataclasses.replace(SMALL, noise=0.0, wall_texture=0.0, path="forward"))
    full = make_capture(dataclasses.replace(SMALL, noise=0.0, path="forward"))
    corner = (slice(0, 5), slice(30, 40))  # wall between the two pictures
    assert plain[0].image[corner].std(dim=(0, 1)).max() < 0.02
    assert full[0].image.std() > plain[0].image[corner].std()
    assert plain[0].image.diff(dim=1).abs().max() > 0.2


def test_enough_keypoints_for_matching() -> None:
    cv2 = pytest.importorskip("cv2")
    photos = make_capture(SyntheticSettings(photos=40))
    for i in (0, 27):
        grey = (photos[i].image.mean(-1) * 255).byte().numpy()
        points = cv2.SIFT_create().detect(grey, None)
        assert len(points) > 250
        cells = {(int(p.pt[0] // 80), int(p.pt[1] // 80)) for p in points}
        assert len(cells) == 12  # every 80 × 80 block of the picture holds some


@pytest.mark.parametrize(("name", "value"), [("photos", 0), ("width", 4), ("fov_deg", 180.0), ("noise", float("nan"))])
def test_settings_are_bounded(name: str, value: float) -> None:
    with pytest.raises(ResectError, match=name):
        SyntheticSettings(**{name: value})
