"""How alike two images are: PSNR and SSIM, for colours in [0, 1]."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(a: Float[Tensor, "h w c"], b: Float[Tensor, "h w c"], mask: Bool[Tensor, "h w"] | None = None) -> float:
    """Peak signal-to-noise ratio −10 log₁₀ mean (a − b)², dB; infinite for equal images.

    Args:
        a: an image in [0, 1].
        b: an image in [0, 1].
        mask: pixels that count; all of them when `None`.
    """
    squared = (a.double() - b.double()) ** 2
    if mask is not None:
        squared = squared[mask]
    if squared.numel() == 0:
        raise ResectError("psnr", "at least one pixel to compare", "none")
    error = float(squared.mean())
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(a: Float[Tensor, "h w c"], b: Float[Tensor, "h w c"]) -> float:
    """Structural similarity, mean over channels and over the places where the whole 11×11 window lies in the image.

    Reference: Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004,
    eq. 13, with its Gaussian window (σ 1.5), K₁ 0.01, K₂ 0.03 and population variances; on colour channels apart,
    where the paper has grey images.
    """
    height, width = a.shape[:2]
    if min(height, width) < _WINDOW:
        raise ResectError("ssim", f"images of at least {_WINDOW}×{_WINDOW} pixels", f"{width}×{height}")
    x, y = (i.double().permute(2, 0, 1)[:, None] for i in (a, b))
    offset = torch.arange(_WINDOW, dtype=torch.float64, device=a.device) - _WINDOW // 2
    g = torch.exp(-0.5 * (offset / _SIGMA) ** 2)
    g = g / g.sum()

    def blur(image: Tensor) -> Tensor:
        rows = torch.nn.functional.conv2d(image, g[None, None, :, None])
        return torch.nn.functional.conv2d(rows, g[None, None, None, :])

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    value = (2 * mx * my + _C1) * (2 * cov + _C2) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return float(value.mean())
