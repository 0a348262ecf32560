import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.geometry import so3
from resect.metrics.viewpoint import (
    average_precision,
    average_viewpoint_precision,
    same_azimuth_bin,
    viewpoint_score,
)


def test_errors_are_geodesic_and_not_divided_by_the_root_of_two() -> None:
    truth = torch.from_numpy(Rotation.random(300, random_state=0).as_matrix())
    offset = torch.from_numpy(Rotation.random(300, random_state=1).as_rotvec())
    angle = torch.linspace(0, 50, 300, dtype=torch.float64)
    turned = truth @ so3.exp(torch.deg2rad(angle)[:, None] * offset / offset.norm(dim=-1, keepdim=True))
    found = viewpoint_score(turned, truth)
    assert found.acc_30 == pytest.approx(0.6, abs=0.004)
    assert found.acc_15 == pytest.approx(0.3, abs=0.004)
    assert found.median_deg == pytest.approx(25, abs=1e-6)


def test_a_rotation_that_is_not_finite_is_a_failure() -> None:
    truth = torch.eye(3).repeat(3, 1, 1)
    estimate = truth.clone()
    estimate[:2] = math.nan
    found = viewpoint_score(estimate, truth)
    assert (found.acc_30, found.median_deg) == (pytest.approx(1 / 3), math.inf)


def test_the_first_bin_is_centred_on_zero() -> None:
    degrees = torch.tensor([44.0, -44.0, 46.0, 359.0, 314.0])
    zero = torch.zeros(5)
    assert same_azimuth_bin(torch.deg2rad(degrees), zero, 4).tolist() == [True, True, False, True, False]
    assert same_azimuth_bin(torch.deg2rad(degrees), zero, 24).tolist() == [False, False, False, True, False]


def test_average_precision_is_the_area_under_the_monotone_curve() -> None:
    score = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    right = torch.tensor([True, False, True, True, False])
    # precision at the hits 1, 2/3, 3/4, made monotone 1, 3/4, 3/4; each hit is worth 1/4 of the recall
    assert average_precision(score, right, 4) == pytest.approx((1 + 0.75 + 0.75) / 4)
    shuffled = torch.tensor([3, 0, 4, 1, 2])
    assert average_precision(score[shuffled], right[shuffled], 4) == pytest.approx(0.625)
    assert average_precision(score, right, 0) == 0


def test_a_detection_counts_only_with_box_and_azimuth() -> None:
    score, detected = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([True, True, False])
    azimuth, truth = torch.deg2rad(torch.tensor([10.0, 60.0, 0.0])), torch.deg2rad(torch.tensor([5.0, 20.0, 0.0]))
    assert average_viewpoint_precision(score, detected, azimuth, truth, 3, 4) == pytest.approx(1 / 3)
    assert average_viewpoint_precision(score, detected, azimuth, azimuth, 3, 24) == pytest.approx(2 / 3)
