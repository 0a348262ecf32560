import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from resect.errors import ResectError
from resect.metrics.image import psnr, ssim


def pair(height: int = 40, width: int = 52) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    a = torch.rand(height, width, 3, generator=g)
    return a, (a + 0.1 * torch.randn(height, width, 3, generator=g)).clamp(0, 1)


def test_psnr_closed_form_and_mask():
    a = torch.zeros(4, 5, 3)
    assert psnr(a, a + 0.1) == pytest.approx(20.0, abs=1e-5)
    assert psnr(a, a) == math.inf
    b = a.clone()
    b[0] = 1.0
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[0] = False
    assert psnr(a, b, mask) == math.inf
    with pytest.raises(ResectError, match="at least one pixel"):
        psnr(a, b, torch.zeros(4, 5, dtype=torch.bool))


def test_ssim_agrees_with_scipy():
    a, b = pair()
    values = []
    for c in range(3):
        x, y = (i[..., c].double().numpy() for i in (a, b))

        def blur(z: np.ndarray) -> np.ndarray:
            return gaussian_filter(z, 1.5, truncate=3.5)

        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        full = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
        values.append(full[5:-5, 5:-5].mean())
    assert ssim(a, b) == pytest.approx(float(np.mean(values)), abs=1e-12)
    assert ssim(a, a) == pytest.approx(1.0)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ResectError, match="11×11"):
        ssim(torch.zeros(10, 20, 3), torch.zeros(10, 20, 3))
