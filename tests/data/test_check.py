from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import CAMERA, ring
from PIL import Image

from resect.data import make_split, read
from resect.data.agreement import Pair, judge_blur, judge_poses
from resect.data.check import check
from resect.data.draw_cameras import _ahead, draw_cameras
from resect.data.frame import look_at_point, scene_scale
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.conventions import flip_opengl
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, Truth, World

CENTRED = Camera(300.0, 300.0, 200.0, 150.0, 400, 300)


def _poses(count: int = 12) -> SE3:
    angle = torch.arange(count, dtype=torch.float64) * 0.25
    centers = torch.stack([3 * angle.cos(), 3 * angle.sin(), 1 + 0.4 * (5 * angle).sin()], -1)
    return look_at(
        centers, 0.1 * torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )


def _pairs(poses: SE3, noise_px: float = 0.3) -> list[Pair]:
    """Exact projections of points near the origin, with a little noise."""
    generator = torch.Generator().manual_seed(1)
    points = 0.5 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    pairs = []
    for i in range(len(poses) - 1):
        (a, seen_a), (b, seen_b) = (CENTRED.project(poses[k].apply(points)) for k in (i, i + 1))
        both = seen_a & seen_b
        noise = noise_px * torch.randn(2, int(both.sum()), 2, generator=generator, dtype=torch.float64)
        pairs.append(Pair(i, i + 1, CENTRED, CENTRED, a[both] + noise[0], b[both] + noise[1]))
    return pairs


def test_right_poses_agree() -> None:
    verdict = judge_poses(_poses(), _pairs(_poses()))
    assert verdict.finding.level == "ok"
    assert verdict.error_px is not None
    assert 0.1 < verdict.error_px < 0.5


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("flipped", "flipped (OpenGL"),
        ("inverted", "poses inverted (camera-to-world"),
        ("inverted, flipped", "poses inverted (camera-to-world"),
        ("flipped, inverted", "inverted, then y and z flipped"),
        ("xyzw", "other order"),
        ("wxyz", "other order"),
        ("xyzw inverse", "other order"),
    ],
)
def test_the_usual_mistakes_are_named(mistake: str, said: str) -> None:
    right = _poses()
    wrong = {
        "flipped": flip_opengl(right, "cam_from_world"),
        "inverted": right.inverse(),
        "inverted, flipped": flip_opengl(right.inverse(), "cam_from_world"),
        "flipped, inverted": flip_opengl(right, "cam_from_world").inverse(),
        "xyzw": SE3(so3.from_quaternion(so3.to_quaternion(right.R).roll(-1, -1)), right.t),
        "wxyz": SE3(so3.from_quaternion(so3.to_quaternion(right.R).roll(1, -1)), right.t),
        "xyzw inverse": SE3(
            so3.from_quaternion(so3.to_quaternion(right.inverse().R).roll(-1, -1)), right.inverse().t
        ).inverse(),
    }[mistake]
    verdict = judge_poses(wrong, _pairs(right))
    assert verdict.finding.level == "error"
    assert said in verdict.finding.sentence


def test_poses_in_another_order_are_no_usual_mistake() -> None:
    right = _poses()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0)).tolist()
    verdict = judge_poses(right[order], _pairs(right))
    assert verdict.finding.level == "error"
    assert "same order" in verdict.finding.sentence


def test_too_few_matches_are_no_verdict() -> None:
    verdict = judge_poses(_poses(), [])
    assert verdict.error_px is None
    assert verdict.finding.level == "note"


def test_blur_is_relative() -> None:
    assert judge_blur({"a": 1.0, "b": 0.9, "c": 1.2}) == []
    assert "c" in judge_blur({"a": 1.0, "b": 0.9, "c": 0.01})[0].sentence


def test_look_at_point_of_a_ring(photos: PhotoSet) -> None:
    look = look_at_point(photos.truth.cam_from_world)
    assert torch.allclose(look.point, torch.tensor([0.5, 0.0, 0.2], dtype=torch.float64), atol=1e-3)
    assert look.ahead == 1
    assert look.miss_deg < 0.1
    assert look.up[2] > 0.99


def test_scene_scale_takes_training_photos_alone(photos: PhotoSet) -> None:
    split = make_split(photos, "every:2")
    centers = photos.truth.cam_from_world.center[list(split.train)]
    expected = (centers - torch.tensor([0.5, 0.0, 0.2])).norm(dim=-1).mean()
    assert scene_scale(photos, split) == pytest.approx(float(expected), rel=1e-3)
    assert scene_scale(photos, split) == scene_scale(photos.subset(split.train))


def _sentences(photos: PhotoSet) -> str:
    return " ".join(f"{f.level}: {f.sentence}" for f in check(photos, matches=False).findings)


def test_report_of_a_good_ring(photos: PhotoSet) -> None:
    report = check(photos, matches=False)
    assert report.ok
    assert (report.photos, report.train, report.test) == (10, 8, 2)
    assert report.sizes == ((40, 30),)
    assert report.fov_deg[0] == pytest.approx(np.degrees(2 * np.arctan(20 / 50)))
    assert "look at a common place" in _sentences(photos)
    assert "Length of a unit is unknown" in _sentences(photos)
    assert report.as_json()["ok"] is True


def test_flipped_axes_look_away(photos: PhotoSet) -> None:
    flipped = replace(photos, truth=Truth(flip_opengl(photos.truth.cam_from_world, "cam_from_world")))
    assert "look away from each other" in _sentences(flipped)


def test_odd_cameras_and_units_are_said(photos: PhotoSet) -> None:
    odd = replace(CAMERA, fx=800.0, cx=2.0)
    said = _sentences(replace(photos, cameras=(odd,) * 10, world=World(meters_per_unit=1e6)))
    assert "sees 3 degrees" in said
    assert "so oblong" in said
    assert "principal point" in said
    assert "is the unit really" in said


def test_duplicates_and_far_worlds(photos: PhotoSet) -> None:
    poses = photos.truth.cam_from_world
    twins = photos.subset([0, 0, *range(10)])
    assert "2 photos have the same pose" in _sentences(twins)
    shift = SE3.identity(dtype=torch.float64)
    far = poses @ SE3(shift.R, torch.tensor([4e5, 5e6, 0.0], dtype=torch.float64))
    assert "from the origin" in _sentences(replace(photos, truth=Truth(far)))


def test_one_photo(photos: PhotoSet) -> None:
    report = check(photos.subset([0]))
    assert not report.ok


def test_drawing_shows_each_camera(photos: PhotoSet, tmp_path: Path) -> None:
    draw_cameras(photos, tmp_path / "cameras.png", make_split(photos, "every:2"))
    picture = np.asarray(Image.open(tmp_path / "cameras.png").convert("RGB")).reshape(-1, 3)
    for color in ((36, 99, 168), (214, 98, 26)):
        assert (picture == color).all(-1).sum() > 200
    draw_cameras(photos.subset([3]), tmp_path / "one.png")
    flat = ring(3, tmp_path / "b")
    forward = SE3(torch.eye(3, dtype=torch.float64).expand(3, 3, 3), torch.zeros(3, 3, dtype=torch.float64))
    draw_cameras(replace(flat, truth=Truth(forward)), tmp_path / "same.png")


def test_the_view_from_the_side_is_not_along_the_view() -> None:
    up, side = torch.tensor([0.0, 0, 1]).double(), torch.tensor([1.0, 0, 0]).double()
    centers = torch.cartesian_prod(torch.arange(5), torch.tensor([0]), torch.arange(3)).double()
    facing = look_at(centers, centers + torch.tensor([0.0, 5, -1]).double())
    torch.testing.assert_close(_ahead(facing, up, side), torch.tensor([0.0, 1, 0]).double(), atol=1e-6, rtol=0)
    around = look_at(centers[:2], centers[:2].flip(0))
    assert torch.equal(_ahead(around, up, side), side)


@pytest.mark.real
def test_fern_agrees_and_its_mirror_reading_does_not(real: Path) -> None:
    photos = read(real / "llff_fern")
    report = check(photos)
    assert report.ok
    assert report.epipolar_px is not None
    assert report.epipolar_px < 0.4
    flipped = replace(photos, truth=Truth(flip_opengl(photos.truth.cam_from_world, "cam_from_world")))
    assert "OpenGL" in " ".join(f.sentence for f in check(flipped).findings if f.level == "error")
