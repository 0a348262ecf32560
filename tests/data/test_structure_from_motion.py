from dataclasses import replace
from pathlib import Path

import pytest
import torch
from captures import write_noise
from PIL import Image

from resect.data import read
from resect.data.frame import look_at_point, scene_scale
from resect.data.structure_from_motion import StructureFromMotionSettings, pose_photos
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.align import umeyama
from resect.types import PhotoSet

SETTINGS = StructureFromMotionSettings(threads=1, max_features=1500, lens="SIMPLE_PINHOLE")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    settings = SyntheticSettings(photos=8, width=320, height=240, path="forward", samples=1, noise=0.005)
    folder = tmp_path_factory.mktemp("capture")
    photos = replace(make_capture(settings), root=folder)
    for i, name in enumerate(photos.names):
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = (photos[i].image * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / name)
    return photos


def test_unposed_photos_get_their_true_poses_up_to_a_similarity(capture: PhotoSet, tmp_path: Path) -> None:
    stages: list[tuple[str, float]] = []
    photos, report = pose_photos(
        capture.root / "images", tmp_path / "out", SETTINGS, progress=lambda *s: stages.append(s)
    )
    assert len(report.registered) == 8
    assert report.left_out == ()
    assert report.reprojection_px < 1
    assert report.points > 100
    true, found = capture.truth.cam_from_world.double(), photos.truth.cam_from_world
    assert [Path(n).name for n in photos.names] == [Path(n).name for n in capture.names]
    true_from_found = umeyama(found.center, true.center)
    moved = true_from_found.move_camera(found)
    scale = scene_scale(capture)
    assert (moved.center - true.center).norm(dim=-1).max() < 0.02 * scale
    assert torch.rad2deg(so3.angle(moved.R, true.R)).max() < 1
    assert photos.cameras[0].fx == pytest.approx(capture.cameras[0].fx, rel=0.05)
    assert scene_scale(photos) == pytest.approx(1, abs=1e-6)
    look = look_at_point(found)
    assert look.point.norm() < 1e-6
    assert look.up[2] > 1 - 1e-6
    order = list(dict.fromkeys(name for name, _ in stages))
    assert order == ["photos", "features", "matching", "mapping", "done"]
    assert all(0 <= share <= 1 for _, share in stages)
    assert stages[-1] == ("done", 1.0)
    again = read(tmp_path / "out")
    assert again.format == "nerfstudio"
    assert again.cameras == photos.cameras
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "images",
        "sparse",
        "structure_from_motion.json",
        "transforms.json",
    ]
    with pytest.raises(ResectError, match="--overwrite"):
        pose_photos(capture.root / "images", tmp_path / "out", SETTINGS)
    twice, _ = pose_photos(capture.root / "images", tmp_path / "out", SETTINGS, overwrite=True)
    gap = twice.truth.cam_from_world.matrix() - found.matrix()
    assert gap.abs().max() < 1e-9


def test_photos_without_overlap_are_an_error(tmp_path: Path) -> None:
    for i in range(3):
        write_noise(tmp_path / "in" / f"{i}.png", 120, 90, seed=i)
    with pytest.raises(ResectError, match="overlap by two thirds"):
        pose_photos(tmp_path / "in", tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out" / ".structure-from-motion").exists()


def test_one_photo_is_an_error(tmp_path: Path) -> None:
    write_noise(tmp_path / "in" / "a.png")
    with pytest.raises(ResectError, match="at least two photos"):
        pose_photos(tmp_path / "in", tmp_path / "out", SETTINGS)


def test_nothing_of_someone_else_is_replaced(capture: PhotoSet, tmp_path: Path) -> None:
    write_noise(tmp_path / "out" / "images" / "mine.png")
    with pytest.raises(ResectError, match="another --out"):
        pose_photos(capture.root / "images", tmp_path / "out", SETTINGS, overwrite=True)
    assert (tmp_path / "out" / "images" / "mine.png").exists()
