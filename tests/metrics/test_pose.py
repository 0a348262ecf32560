import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.geometry import so3
from resect.geometry.look_at import look_at, view_sphere
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries
from resect.metrics.pose import RECALLS, SOLVED, median, pose_errors, recall, scene_scale, within


def random_cameras(count: int, seed: int = 0) -> SE3:
    g = torch.Generator().manual_seed(seed)
    rotation = so3.random(count, generator=g, dtype=torch.float64)
    return SE3(rotation, torch.randn(count, 3, generator=g, dtype=torch.float64))


def test_errors_agree_with_scipy():
    a, b = random_cameras(50, 0), random_cameras(50, 1)
    rotation, translation = pose_errors(a, b)
    ra, rb = Rotation.from_matrix(a.R.numpy()), Rotation.from_matrix(b.R.numpy())
    expected = torch.from_numpy((ra.inv() * rb).magnitude()).rad2deg()
    torch.testing.assert_close(rotation, expected, atol=1e-9, rtol=0)
    centers = [-r.inv().apply(x.t.numpy()) for r, x in ((ra, a), (rb, b))]
    torch.testing.assert_close(translation, torch.from_numpy(centers[0] - centers[1]).norm(dim=-1))


def test_turning_about_the_camera_is_no_translation_error():
    truth = random_cameras(20)
    xi = torch.zeros(20, 6, dtype=torch.float64)
    xi[:, 3] = math.radians(7)
    rotation, translation = pose_errors(SE3.exp(xi) @ truth, truth)
    torch.testing.assert_close(rotation, torch.full_like(rotation, 7.0))
    assert float(translation.max()) < 1e-12


def test_a_shifted_camera_has_the_shift_as_error_and_tiny_angles_survive_float32():
    truth = random_cameras(5)
    shift = torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)
    moved = SE3(truth.R, -(truth.R @ (truth.center + shift)[..., None])[..., 0])
    rotation, translation = pose_errors(moved, truth)
    torch.testing.assert_close(translation, torch.full_like(translation, 1.3))
    assert float(rotation.max()) < 1e-6
    xi = torch.tensor([[0, 0, 0, 0, math.radians(0.01), 0]], dtype=torch.float64).expand(5, 6)
    rotation, _ = pose_errors((SE3.exp(xi) @ truth).float(), truth.float())
    torch.testing.assert_close(rotation, torch.full_like(rotation, 0.01), rtol=2e-3, atol=0)


def test_symmetries_forgive_equivalent_poses_only():
    truth = look_at(torch.tensor([[2.0, 0.5, 1.0]], dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64))
    turns = torch.arange(4, dtype=torch.float64) * (math.pi / 2)
    symmetries = so3.exp(torch.stack([0 * turns, 0 * turns, turns], -1))
    for k in range(4):
        seen_alike = SE3(truth.R @ symmetries[k], truth.t)
        rotation, translation = pose_errors(seen_alike, truth, symmetries)
        assert float(rotation) < 1e-6
        assert float(translation) < 1e-9
    between = SE3(truth.R @ so3.exp(torch.tensor([0, 0, math.pi / 4], dtype=torch.float64)), truth.t)
    rotation, _ = pose_errors(between, truth, symmetries)
    assert float(rotation) == pytest.approx(45.0)
    assert float(pose_errors(seen_alike, truth)[0]) == pytest.approx(90.0)


def test_median_counts_failures_as_infinite():
    inf = math.inf
    assert median(torch.tensor([3.0, 1.0, 2.0])) == 2.0
    assert median(torch.tensor([1.0, 2.0, 3.0, 5.0])) == 2.5
    assert median(torch.tensor([1.0, inf, 2.0])) == 2.0
    assert median(torch.tensor([1.0, inf])) == inf
    assert median(torch.tensor([inf, inf, inf])) == inf
    assert median(torch.tensor([])) == inf


def test_recall_units():
    rotation = torch.tensor([1.0, 4.9, 5.0, 1.0, math.inf], dtype=torch.float64)
    translation = torch.tensor([0.04, 0.04, 0.04, 0.09, math.inf], dtype=torch.float64)
    by_name = {r.name: r for r in RECALLS}
    kwargs = {"scene_scale": 2.0, "meters_per_unit": 0.5}
    assert recall(rotation, translation, by_name["5deg_5cm"], **kwargs) == pytest.approx(3 / 5)
    assert recall(rotation, translation, by_name["5deg_0.05scale"], **kwargs) == pytest.approx(3 / 5)
    assert recall(rotation, translation, by_name["5deg_0.05unit"], **kwargs) == pytest.approx(2 / 5)
    assert recall(rotation, translation, by_name["5deg_5cm"], scene_scale=2.0, meters_per_unit=None) is None
    solved = within(rotation, translation, SOLVED, scene_scale=1.0, meters_per_unit=None)
    assert solved is not None
    assert solved.tolist() == [True, True, False, False, False]


def test_scene_scale_of_a_view_sphere_is_its_radius():
    views = view_sphere(20, 3.5, dtype=torch.float64)
    assert scene_scale(views) == pytest.approx(3.5, rel=1e-5)
    assert scene_scale(views[:0]) == 0.0


def test_an_axis_beside_the_origin_forgives_any_turn_about_itself():
    """The camera stays where it was in the world; the object has turned about a line that is not through the origin."""
    axis = Axis(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64), torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64))
    truth = random_cameras(6)
    turned = truth @ axis.turns(torch.linspace(0.1, 6, 6))
    rotation, translation = pose_errors(turned, truth, Symmetries(axes=(axis,)))
    assert float(rotation.max()) < 1e-6
    assert float(translation.max()) < 1e-9
    rotation, translation = pose_errors(turned, truth)
    assert float(rotation.min()) > 5
    assert float(translation.min()) > 0.1
