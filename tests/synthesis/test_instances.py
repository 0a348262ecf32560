"""Views of a category's instances: the layout is read back, and one can see which way they face."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.instances import read_instances
from resect.errors import ResectError
from resect.synthesis.instance_settings import InstanceSettings
from resect.synthesis.instances import (
    Picture,
    draw_poses,
    facing_share,
    instance,
    make_instances,
    picture_of_mesh,
    picture_of_solid,
)

FEW = InstanceSettings(train=2, unseen=1, views=3, other_views=2, unseen_views=2, side=16)


def load(index: int) -> Picture:
    return picture_of_solid(instance("chair", "train", index))


@pytest.mark.parametrize("category", ["chair", "table", "car"])
def test_front_and_back_differ_by_a_twentieth_of_the_pixels(category: str) -> None:
    assert min(facing_share(picture_of_solid(instance(category, "train", i)), side=48) for i in range(5)) >= 0.05


def test_what_is_written_is_read_and_shows_what_its_poses_say(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    make_instances(names, load, frozenset({2}), FEW, tmp_path)
    train, val, unseen = (read_instances(tmp_path / name) for name in ("train", "val", "unseen"))
    assert (train.names, val.names, unseen.names) == (("a", "b"), ("a", "b"), ("c",))
    assert (len(train.photos), len(val.photos), len(unseen.photos)) == (6, 4, 2)
    pose = train.photos.truth.cam_from_world
    assert torch.allclose(pose.center.norm(dim=-1), torch.tensor(1.7).double(), atol=1e-6)
    again = load(1)(train.photos.cameras[4], pose[4:5])[0]
    assert float((again - train.photos[4].image).abs().max()) < 1.5 / 255


def test_it_goes_on_where_it_stopped_and_refuses_other_settings(tmp_path: Path) -> None:
    make_instances(("a", "b"), load, frozenset({1}), FEW, tmp_path)
    kept = tmp_path / "train" / "a" / "rgb" / "000000.png"
    before, stamp = kept.read_bytes(), kept.stat().st_mtime_ns
    (tmp_path / "unseen" / "b" / "intrinsics.txt").unlink()
    for left in (tmp_path / "unseen" / "b").rglob("*.*"):
        left.unlink()
    (tmp_path / "unseen" / "b" / "rgb").rmdir()
    (tmp_path / "unseen" / "b" / "pose").rmdir()
    (tmp_path / "unseen" / "b").rmdir()
    make_instances(("a", "b"), load, frozenset({1}), FEW, tmp_path)
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (before, stamp)
    assert len(read_instances(tmp_path / "unseen").photos) == 2
    with pytest.raises(ResectError, match="something else"):
        make_instances(("a", "b"), load, frozenset({1}), replace(FEW, views=4), tmp_path)
    with pytest.raises(ResectError, match="unseen"):
        make_instances(("a",), load, frozenset({0}), FEW, tmp_path / "none")


def test_views_are_upright_within_the_elevations_and_the_seed_decides() -> None:
    import numpy as np

    settings = replace(FEW, elevation_deg=(10.0, 30.0))
    poses = draw_poses(settings, 200, np.random.default_rng(0))
    elevation = (poses.center[:, 1] / 1.7).asin().rad2deg()
    assert 10 <= float(elevation.min()) < 11
    assert 29 < float(elevation.max()) <= 30
    assert float(poses.R[:, 0, 1].abs().max()) < 1e-9  # the image's x axis is level
    azimuth = torch.atan2(poses.center[:, 2], poses.center[:, 0])
    counts = torch.histc(azimuth, 4, -math.pi, math.pi)
    assert float(counts.min()) > 30
    assert torch.equal(poses.t, draw_poses(settings, 200, np.random.default_rng(0)).t)


def test_a_mesh_looks_like_the_solid_it_was_made_of() -> None:
    solid = instance("table", "test", 0)
    one, other = picture_of_solid(solid), picture_of_mesh(solid.mesh())
    import numpy as np

    from resect.geometry.camera import Camera

    camera = Camera.from_fov(0.8, 32, 32)
    poses = draw_poses(FEW, 2, np.random.default_rng(1))
    seen, drawn = (picture(camera, poses).amin(-1) < 0.95 for picture in (one, other))
    assert float((seen & drawn).sum() / (seen | drawn).sum()) > 0.85


@pytest.mark.parametrize("wrong", [{"views": 0}, {"side": 2}, {"distance": 0.1}, {"elevation_deg": (30.0, 10.0)}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ResectError):
        replace(FEW, **wrong)  # type: ignore[arg-type]
