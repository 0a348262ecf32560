import math
from dataclasses import replace

import pytest
import torch
from photo_sets import make_photos, shuffled, split_of
from scipy.stats import kstest

from resect.evaluation.protocols import basin, gsfeatloc, inerf, parallel_inversion
from resect.evaluation.protocols.spoil import Spoil
from resect.evaluation.protocols.starts import Start, euler_zyx, turned_and_shifted, turned_in_world
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.metrics.pose import pose_errors
from resect.types import PhotoSet, Split


def errors(photos: PhotoSet, starts: list[Start]) -> tuple[torch.Tensor, torch.Tensor]:
    truth = photos.truth.cam_from_world[[s.photo for s in starts]]
    return pose_errors(SE3.cat([s.cam_from_world[:1] for s in starts]), truth)


def many(count: int = 40) -> tuple[PhotoSet, Split]:
    photos = make_photos(count)
    return photos, split_of(photos)


def test_turns_do_not_move_the_camera_and_shifts_do_not_turn_it():
    truth = make_photos(5).truth.cam_from_world
    turn = torch.tensor([[0.1, -0.2, 0.3]], dtype=torch.float64).expand(5, 3)
    shift = torch.tensor([[1.0, 2.0, -0.5]], dtype=torch.float64).expand(5, 3)
    moved = turned_and_shifted(truth, turn, shift)
    torch.testing.assert_close(moved.center, truth.center + shift)
    torch.testing.assert_close(moved.R, so3.exp(turn) @ truth.R)
    world = so3.exp(turn)
    moved = turned_in_world(truth, world, shift)
    torch.testing.assert_close(moved.center, truth.center + shift)
    torch.testing.assert_close(moved.inverse().R, world @ truth.inverse().R)


def test_euler_order_agrees_with_scipy():
    from scipy.spatial.transform import Rotation

    psi, theta, phi = torch.tensor([[0.2], [-0.5], [0.9]], dtype=torch.float64)
    expected = Rotation.from_euler("ZYX", [0.9, -0.5, 0.2]).as_matrix()
    torch.testing.assert_close(euler_zyx(psi, theta, phi)[0], torch.from_numpy(expected))


def test_basin_is_distributed_as_stated():
    photos, split = many()
    settings = basin.BasinSettings(40.0, 0.2, starts=100, seed=3)
    starts = basin.make_starts(photos, split, settings)
    rotation, translation = errors(photos, starts)
    assert len(starts) == 2000
    assert kstest((rotation / 40).numpy(), "uniform").pvalue > 1e-3
    truth = photos.truth.cam_from_world[[s.photo for s in starts]]
    shift = SE3.cat([s.cam_from_world for s in starts]).center - truth.center
    reach = 0.2 * 2.0  # the cameras stand on a sphere of radius 2 about what they look at
    for k in range(3):
        assert kstest((shift[:, k] / (2 * reach) + 0.5).numpy(), "uniform").pvalue > 1e-3
    assert float(translation.max()) <= reach * math.sqrt(3) + 1e-9
    assert "camera's own centre" in basin.words(settings)
    assert "seed 3" in basin.words(settings)


def test_starts_of_a_photo_depend_on_its_name_and_the_seed_only():
    photos, split = many(8)
    all_starts = basin.make_starts(photos, split, basin.BasinSettings())
    alone = basin.make_starts(photos, replace(split, test=(4,)), basin.BasinSettings())
    same = [s for s in all_starts if s.photo == 4]
    assert torch.equal(alone[7].cam_from_world.t, same[7].cam_from_world.t)
    other = basin.make_starts(photos, replace(split, test=(4,)), basin.BasinSettings(seed=1))
    assert not torch.equal(alone[7].cam_from_world.t, other[7].cam_from_world.t)


@pytest.mark.parametrize(
    ("variant", "angle", "reach", "each"),
    [
        ("synthetic", (0, 40), (0, 0.2), True),
        ("real", (0, 40), (0, 0.1), True),
        ("chen", (10, 40), (0, 0.2), False),
        ("delta-s", (0, 20), (0, 0.1), True),
        ("delta-m", (20, 40), (0.1, 0.2), True),
    ],
)
def test_inerf_variants(variant: inerf.Variant, angle, reach, each: bool):
    photos, split = many()
    settings = inerf.InerfSettings(variant, photos=20, starts=50, unit=3.0)
    starts = inerf.make_starts(photos, split, settings)
    rotation, translation = errors(photos, starts)
    assert len(starts) == 1000
    assert kstest(((rotation - angle[0]) / (angle[1] - angle[0])).numpy(), "uniform").pvalue > 1e-3
    shift = (
        SE3.cat([s.cam_from_world for s in starts]).center
        - photos.truth.cam_from_world[[s.photo for s in starts]].center
    ) / 3
    size = shift.abs().flatten() if each else translation / 3
    assert float(size.min()) >= reach[0] - 1e-9
    assert kstest(((size - reach[0]) / (reach[1] - reach[0])).numpy(), "uniform").pvalue > 1e-3
    assert abs(float(shift.sign().mean())) < 0.1
    few = inerf.make_starts(photos, split, inerf.InerfSettings(variant))
    assert len(few) == 25
    assert len({s.photo for s in few}) == 5
    assert {s.photo for s in few} <= set(split.test)


def test_parallel_inversion():
    photos, split = many()
    settings = parallel_inversion.ParallelInversionSettings(photos=40, starts=5)
    starts = parallel_inversion.make_starts(photos, split, settings)
    assert len(starts) == 200
    assert len({(s.photo, s.number) for s in starts}) == 200
    assert all(len(s.cam_from_world) == 64 for s in starts)
    first = SE3.cat([s.cam_from_world[:1] for s in starts])
    truth = photos.truth.cam_from_world[[s.photo for s in starts]]
    shift = first.center - truth.center
    assert 0.2 < float(shift.abs().max()) <= 0.25
    turn = first.inverse().R @ truth.R  # Rz Ry Rx in the world
    pitch = torch.rad2deg(torch.asin(-turn[:, 2, 0]))
    assert kstest((pitch / 30 + 0.5).numpy(), "uniform").pvalue > 1e-3
    spread = torch.stack([s.cam_from_world.center[1:] - s.cam_from_world.center[:1] for s in starts])
    assert 0.29 < float(spread.abs().max()) <= 0.3
    single = parallel_inversion.ParallelInversionSettings("real", hypotheses=1, unit=2.0)
    found = parallel_inversion.make_starts(photos, split, single)
    assert len(found) == 25
    truth = photos.truth.cam_from_world[[s.photo for s in found]]
    shift = SE3.cat([s.cam_from_world for s in found]).center - truth.center
    assert 0.2 < float(shift.abs().max()) <= 0.3


def test_gsfeatloc_uses_every_photo_and_a_normal_spread():
    photos, split = many()
    settings = gsfeatloc.GsfeatlocSettings(starts=50)
    starts = gsfeatloc.make_starts(photos, split, settings)
    assert {s.photo for s in starts} == set(split.test)
    rotation, translation = errors(photos, starts)
    assert kstest((rotation / 12.10).numpy(), "halfnorm").pvalue > 1e-3
    center = photos.truth.cam_from_world.center
    unit = float((center - center.mean(0)).norm(dim=-1).mean())
    assert gsfeatloc.unit(photos) == pytest.approx(unit)
    assert kstest((translation / unit / 0.87).numpy(), "halfnorm").pvalue > 1e-3


def test_starts_say_that_they_know_the_truth():
    photos, split = many(4)
    start = basin.make_starts(photos, split, basin.BasinSettings())[3]
    hypotheses = start.hypotheses()
    assert hypotheses.oracle
    assert hypotheses.source == ("oracle:3",)
    assert start.label == "start:3"
    other = basin.make_starts(shuffled(photos), split, basin.BasinSettings())[3]
    assert not torch.equal(other.cam_from_world.t, start.cam_from_world.t)


def test_spoiled_photos():
    photo = make_photos(4)[1]
    assert Spoil()(photo) is photo
    brighter = Spoil(brightness=0.2)(photo).image
    torch.testing.assert_close(brighter, (photo.image + 0.2).clamp(0, 1))
    noisy = Spoil(noise=0.05)(replace(photo, image=torch.full((200, 200, 3), 0.5))).image
    assert float((noisy - 0.5).std()) == pytest.approx(0.05, rel=0.02)
    torch.testing.assert_close(noisy, Spoil(noise=0.05)(replace(photo, image=torch.full((200, 200, 3), 0.5))).image)
    holes = Spoil(discs=1, disc_radius_px=10)(replace(photo, image=torch.ones(400, 400, 3))).image
    assert 0 < float((holes == 0).all(-1).sum()) <= math.pi * 100 * 1.1
