"""SIFT features of a photo: where, how large, and a RootSIFT descriptor."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.sift import sift_detector
from resect.errors import NotInstalledError
from resect.types import Photo


@dataclass(frozen=True, eq=False)
class Features:
    """Points that look the same from nearby places, strongest first.

    Attributes:
        pixels: (x, y) in the photo's own pixels.
        sizes: diameter of each feature's neighbourhood, photo pixels.
        scale: photo pixels per working pixel; an error of one working pixel is this many of the photo.
        descriptors: unit vectors (RootSIFT).
    """

    pixels: Float[Tensor, "n 2"]
    sizes: Float[Tensor, "n"]
    scale: float
    descriptors: Float[Tensor, "n 128"]

    def __len__(self) -> int:
        return len(self.pixels)


def detect(photo: Photo, *, max_side: int, max_features: int, contrast: float) -> Features:
    """The strongest features of a photo's opaque, unmasked pixels.

    Raises:
        NotInstalledError: without opencv-python-headless.
    """
    cv2 = _opencv()
    height, width = photo.image.shape[:2]
    ratio = max(1.0, max(height, width) / max_side)
    size = (max(1, round(width / ratio)), max(1, round(height / ratio)))
    grey = cv2.cvtColor(photo.image.detach().cpu().contiguous().numpy(), cv2.COLOR_RGB2GRAY)
    if ratio > 1:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    points, found = sift_detector(max_features, contrast).detectAndCompute(cv2.convertScaleAbs(grey, alpha=255), None)
    stretch = torch.tensor([width / size[0], height / size[1]])
    if not points:
        return Features(torch.zeros(0, 2), torch.zeros(0), ratio, torch.zeros(0, 128))
    strength = torch.tensor([p.response for p in points])
    pixels = (torch.from_numpy(cv2.KeyPoint_convert(points)) + 0.5) * stretch
    order = strength.argsort(descending=True, stable=True)
    order = order[_usable(photo, pixels[order])][:max_features]
    sizes = torch.tensor([p.size for p in points]) * ratio
    return Features(pixels[order], sizes[order], ratio, _root(torch.from_numpy(found)[order]))


def _root(sift: Float[Tensor, "n 128"]) -> Float[Tensor, "n 128"]:
    """Arandjelović & Zisserman, "Three things everyone should know", CVPR 2012: root of the L1-normalised vector."""
    return (sift / sift.sum(-1, keepdim=True).clamp_min(1e-6)).sqrt()


def _usable(photo: Photo, pixels: Float[Tensor, "n 2"]) -> Bool[Tensor, "n"]:
    height, width = photo.image.shape[:2]
    x = pixels[:, 0].long().clamp(0, width - 1)
    y = pixels[:, 1].long().clamp(0, height - 1)
    keep = torch.ones(len(pixels), dtype=torch.bool)
    if photo.mask is not None:
        keep &= photo.mask[y, x]
    if photo.target is not None and photo.target.mask is not None:
        keep &= photo.target.mask[y, x]
    if photo.alpha is not None:
        keep &= photo.alpha[y, x] > 0.5
    return keep


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise NotInstalledError("opencv-python-headless", "all", "SIFT features") from None
    return cv2
