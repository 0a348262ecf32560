import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
from cube import block

from resect.cli.demo_track import Walk, _film, run_track
from resect.data import read_photo
from resect.data.mask import box_of
from resect.data.trajectory import read_trajectory
from resect.scenes.mesh.scene import MeshScene
from resect.types import Estimate, Hypotheses, Photo, Status

WALK = Walk(frames=3, turn_deg=6.0, side=96)


class Knowing:
    """Objects whose pose in the first frame is known, in place of a search for it."""

    files: ClassVar = {"1": Path("block.ply")}

    def __init__(self, out: Path, *, found: bool) -> None:
        self.out, self.found, self.scene = out, found, MeshScene(block())

    def mesh(self, name: str) -> Any:
        return self.scene.mesh

    def localizer(self, name: str) -> Any:
        return SimpleNamespace(scene=self.scene, estimate=self._estimate)

    def _estimate(self, photo: Photo) -> Estimate:
        assert photo.target is not None
        if not self.found:
            return Estimate(Status.NO_AGREEMENT)
        pose = read_trajectory(self.out / "truth.txt").world_from_cam[0].inverse()
        return Estimate(Status.OK, Hypotheses(pose[None].float(), torch.zeros(1)))


def test_frames_can_be_followed_by_hand(tmp_path: Path) -> None:
    photos, truth = _film(block(), "1", WALK, tmp_path, 0)
    assert [p.name for p in photos] == ["0000.png", "0001.png", "0002.png"]
    again = read_photo(tmp_path / "frames" / "0001.png", camera_file=tmp_path / "camera.json")
    assert float((again.image - photos[1].image).abs().max()) < 0.003
    assert torch.allclose(read_trajectory(tmp_path / "truth.txt").positions, truth.positions, atol=1e-6)
    camera, pose = photos[0].known_camera(), truth.world_from_cam[0].inverse()
    alpha = MeshScene(block()).render(camera, pose[None].float(), ("alpha",)).alpha
    assert alpha is not None
    assert photos[0].target is not None
    seen = box_of(alpha.reshape(camera.height, camera.width) > 0.5)
    assert photos[0].target.box == pytest.approx(seen, abs=1.01)
    assert photos[1].target is None
    assert float(pose.R[1] @ torch.tensor([0.0, 1.0, 0.0]).double()) < -0.5  # y points up


def test_the_path_is_scored(tmp_path: Path) -> None:
    score, report = run_track(Knowing(tmp_path, found=True), WALK, tmp_path, 0)  # type: ignore[arg-type]
    assert score is not None
    assert score.as_json()["matched"] == 3
    assert score.as_json()["ate_rmse"] < 0.05
    assert report.is_file()
    assert len(read_trajectory(tmp_path / "path.txt")) == 3


def test_what_was_not_found_has_no_path(tmp_path: Path) -> None:
    score, report = run_track(Knowing(tmp_path, found=False), WALK, tmp_path, 0)  # type: ignore[arg-type]
    assert score is None
    assert not report.exists()
    assert not (tmp_path / "path.txt").exists()
