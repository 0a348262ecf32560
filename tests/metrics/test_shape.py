import pytest
import torch
from scipy.spatial.distance import cdist

from resect.errors import ResectError
from resect.metrics.shape import occupancy_iou, surface_distance


def test_iou_counts() -> None:
    found = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    truth = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.bool)
    assert occupancy_iou(found, truth).tolist() == pytest.approx([1 / 3, 1.0, 0.0])


def test_iou_of_two_boxes_in_closed_form() -> None:
    points = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0))
    a, b = (points < 0.5).all(-1), (points[:, :2] < 0.5).all(-1) & (points[:, 2] - 0.25).abs().lt(0.25)
    assert float(occupancy_iou(a, b)) == 1.0
    c = (points[:, 1:] < 0.5).all(-1) & ((points[:, 0] - 0.45).abs() < 0.25)
    assert float(occupancy_iou(a, c)) == pytest.approx(0.3 / 0.7, abs=0.01)


def test_two_planes_in_closed_form() -> None:
    grid = torch.cartesian_prod(torch.linspace(0, 1, 30), torch.linspace(0, 1, 30))
    flat = torch.cat([grid, torch.zeros(900, 1)], -1)
    up = torch.tensor([0.0, 0.0, 1.0]).expand(900, 3)
    tilted = torch.tensor([0.0, 0.6, -0.8]).expand(900, 3)
    found = surface_distance(flat, flat + torch.tensor([0, 0, 0.25]), up, tilted)
    assert found.accuracy == found.completeness == found.chamfer_l1 == pytest.approx(0.25)
    assert found.chamfer_l2 == pytest.approx(0.0625)
    assert found.normal_consistency == pytest.approx(0.8)


def test_against_all_pairs() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(200, 3, generator=g), torch.randn(150, 3, generator=g)
    table = cdist(a.double().numpy(), b.double().numpy())
    found = surface_distance(a, b)
    assert found.accuracy == pytest.approx(table.min(1).mean())
    assert found.completeness == pytest.approx(table.min(0).mean())
    assert found.accuracy_squared == pytest.approx((table.min(1) ** 2).mean())
    assert found.chamfer_l2 == pytest.approx(0.5 * ((table.min(1) ** 2).mean() + (table.min(0) ** 2).mean()))
    assert found.normal_consistency is None


def test_a_part_is_accurate_but_not_complete() -> None:
    whole = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0))
    half = whole[whole[:, 0] < 0.5]
    found = surface_distance(half, whole)
    assert found.accuracy == 0
    assert found.completeness > 0.1


def test_bad_points_are_refused() -> None:
    with pytest.raises(ResectError, match="found"):
        surface_distance(torch.zeros(0, 3), torch.zeros(4, 3))
    with pytest.raises(ResectError, match="true"):
        surface_distance(torch.zeros(4, 3), torch.full((4, 3), torch.nan))
