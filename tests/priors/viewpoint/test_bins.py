import math

import pytest
import torch

from resect.priors.viewpoint.bins import peaks, soft_label_loss, soft_labels, to_bin


def test_the_published_weights() -> None:
    azimuth, other = soft_labels(360, 5, 15, False), soft_labels(360, 3, 5, False)
    assert len(azimuth) == 31
    assert len(other) == 11
    assert float(azimuth.sum()) == pytest.approx(9.584, abs=5e-4)
    assert float(other.sum()) == pytest.approx(5.101, abs=5e-4)
    assert float(azimuth[15 + 5]) == pytest.approx(math.exp(-1))
    assert float(soft_labels(72, 8, 25, True).sum()) == pytest.approx(1)


def test_bins_are_degrees_modulo_360() -> None:
    angle = torch.tensor([0.0, -10.0, 359.6, 725.0], dtype=torch.float64).deg2rad()
    assert to_bin(angle, 360).tolist() == [0, 350, 0, 5]


@pytest.mark.parametrize("normalize", [False, True])
def test_the_gradient_is_sum_w_p_minus_w(normalize: bool) -> None:
    g = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 24, dtype=torch.float64, generator=g, requires_grad=True)
    category, true_bin, weight = torch.tensor([2, 0]), torch.tensor([1, 23]), soft_labels(24, 20, 45, normalize)
    soft_label_loss(scores, category, true_bin, weight).backward()
    expected = torch.zeros(2, 3, 24, dtype=torch.float64)
    for row in range(2):
        p = scores.detach()[row, category[row]].softmax(-1)
        w = torch.zeros(24, dtype=torch.float64)
        for j, value in enumerate(weight.double()):
            w[(true_bin[row] + j - len(weight) // 2) % 24] += value
        expected[row, category[row]] = (weight.double().sum() * p - w) / 2
    assert scores.grad is not None
    assert torch.allclose(scores.grad, expected, atol=1e-7)


def test_the_loss_in_closed_form() -> None:
    scores = torch.zeros(1, 1, 360)
    weight = soft_labels(360, 5, 15, False)
    found = soft_label_loss(scores, torch.tensor([0]), torch.tensor([359]), weight)
    assert float(found) == pytest.approx(9.584 * math.log(360), rel=1e-4)


def lumps(bins: int, *parts: tuple[float, float]) -> torch.Tensor:
    """Mixture of lumps (degrees, weight), 6° wide."""
    at = torch.arange(bins, dtype=torch.float64) * 360 / bins
    p = torch.zeros(bins, dtype=torch.float64)
    for degrees, weight in parts:
        away = (at - degrees + 180) % 360 - 180
        lump = torch.exp(-0.5 * (away / 6) ** 2)
        p += weight * lump / lump.sum()
    return p


@pytest.mark.parametrize("bins", [72, 360])
def test_all_peaks_with_their_masses(bins: int) -> None:
    found = peaks(lumps(bins, (355, 0.5), (100, 0.3), (180, 0.2)), 16, 45, 25)
    strong = found.mass > 0.05
    assert found.angle[strong].rad2deg().tolist() == pytest.approx([355, 100, 180], abs=0.2)
    assert found.mass[strong].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.01)
    assert float(found.spread[0].rad2deg()) == pytest.approx(6, abs=0.5)
    assert float(found.mass.sum()) == pytest.approx(1)


def test_peaks_closer_than_45_degrees_are_one_across_the_wrap_too() -> None:
    found = peaks(lumps(360, (350, 0.6), (20, 0.4)), 16, 45)
    assert float(found.angle[0].rad2deg()) == pytest.approx(350)
    assert float(found.mass[0]) > 0.99  # the lower one's slopes are no peaks of their own


def test_between_bins_the_mean_about_the_peak_is_meant() -> None:
    p = lumps(72, (102, 1.0))
    assert float(peaks(p, 1, 45).angle[0].rad2deg()) == pytest.approx(100)
    assert float(peaks(p, 1, 45, 25).angle[0].rad2deg()) == pytest.approx(102, abs=0.05)


def test_the_last_bins_give_candidates_too() -> None:
    found = peaks(lumps(360, (356, 0.3), (180, 0.7)), 16, 45)
    assert found.angle[:2].rad2deg().tolist() == pytest.approx([180, 356])
