"""Losses of pictures against their formulas."""

import torch
from torch import Tensor

from resect.refine.category.losses import gmsd, image_loss

G = torch.Generator().manual_seed(0)
SHOWN, SEEN = torch.rand(2, 48, 3, generator=G), torch.rand(48, 3, generator=G)


def test_losses_are_of_colours_between_minus_one_and_one() -> None:
    seen = SEEN.clone()
    seen[:10] = 1.0
    d = (2 * SHOWN - 1) - (2 * seen - 1)
    coloured = int((seen < 1).sum())
    expected = {
        "mse": (d**2).mean((1, 2)),
        "l1": d.abs().mean((1, 2)),
        "norm_l1": d.abs().sum((1, 2)) / (1 + coloured),
        "norm_l2": (d**2).sum((1, 2)) / (1 + coloured),
    }
    for name, value in expected.items():
        torch.testing.assert_close(image_loss(name, SHOWN, seen, (6, 8)), value)  # type: ignore[arg-type]


def test_gmsd_is_the_published_formula() -> None:
    """Written out pixel by pixel; 0 for equal pictures."""

    def magnitude(image: Tensor) -> Tensor:
        grey = (image * torch.tensor([0.299, 0.587, 0.114])).sum(-1)
        half = grey.reshape(3, 2, 4, 2).mean((1, 3))
        wide = torch.zeros(5, 6)
        wide[1:-1, 1:-1] = half
        found = torch.zeros(3, 4)
        for y in range(3):
            for x in range(4):
                part = wide[y : y + 3, x : x + 3]
                gx = (part[:, 0] - part[:, 2]).sum() / 3
                gy = (part[0] - part[2]).sum() / 3
                found[y, x] = (gx**2 + gy**2).sqrt()
        return found

    a, b = magnitude(SHOWN[0].reshape(6, 8, 3)), magnitude(SEEN.reshape(6, 8, 3))
    c = 170 / 255**2
    expected = ((2 * a * b + c) / (a * a + b * b + c)).std(correction=0)
    found = gmsd(SHOWN.reshape(2, 6, 8, 3), SEEN.reshape(6, 8, 3))
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-4)
    assert float(gmsd(SEEN.reshape(1, 6, 8, 3), SEEN.reshape(6, 8, 3))) < 1e-5
