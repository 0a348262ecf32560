"""Do the poses agree with the photos? Features matched between two photos must lie on each other's epipolar lines.

This needs nothing but photos and poses, so it is the judge of a dataset's conventions: flipped axes, inverted poses and
swapped quaternions all show as errors of tens of pixels where the right reading gives a fraction of one.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.sift import sift_detector
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo

_RATIO = 0.75
_MAX_FEATURES = 3000


@dataclass(frozen=True, eq=False)
class Features:
    """SIFT features of a photo.

    Attributes:
        pixels: centres, in the photo's pixels.
        descriptors: unit RootSIFT.
    """

    pixels: Float[Tensor, "n 2"]
    descriptors: Float[Tensor, "n 128"]


def find_features(photo: Photo, max_features: int = _MAX_FEATURES) -> Features:
    """SIFT features at the photo's own size."""
    grey = (photo.image.mean(-1) * 255).round().to(torch.uint8).numpy()
    keypoints, descriptors = sift_detector(max_features).detectAndCompute(grey, None)
    if descriptors is None:
        return Features(torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, 128))
    # OpenCV counts from the first pixel's centre.
    pixels = torch.tensor([k.pt for k in keypoints], dtype=torch.float64) + 0.5
    root = torch.nn.functional.normalize(torch.from_numpy(descriptors), p=1.0, dim=1).sqrt()
    return Features(pixels, root)


def match(a: Features, b: Features) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m 2"]]:
    """Pixels of mutual nearest neighbours that pass the ratio test, in the order of photo a."""
    if len(a.pixels) < 2 or len(b.pixels) < 2:
        return a.pixels[:0], b.pixels[:0]
    cosine = a.descriptors @ b.descriptors.T
    best = cosine.topk(2, dim=1)
    distance = (2 - 2 * best.values).clamp_min(0).sqrt()
    mutual = cosine.argmax(0)[best.indices[:, 0]] == torch.arange(len(cosine))
    keep = mutual & (distance[:, 0] < _RATIO * distance[:, 1])
    return a.pixels[keep], b.pixels[best.indices[keep, 0]]


def sampson_error(
    pixels_a: Float[Tensor, "m 2"],
    pixels_b: Float[Tensor, "m 2"],
    camera_a: Camera,
    camera_b: Camera,
    b_from_a: SE3,
) -> Float[Tensor, "m"]:
    """Distance to the epipolar geometry in pixels, to first order (Sampson), lens distortion removed.

    A match whose point would lie behind a camera counts as infinitely wrong, since epipolar lines alone cannot see it.
    """
    ray_a, ray_b = camera_a.rays(pixels_a.double()), camera_b.rays(pixels_b.double())
    x_a, x_b = ray_a / ray_a[:, 2:], ray_b / ray_b[:, 2:]
    pair = b_from_a.double()
    essential = so3.hat(pair.t) @ pair.R
    line_b, line_a = x_a @ essential.T, x_b @ essential
    top = (x_b * line_b).sum(-1)
    error = top.abs() / (line_b[:, :2].square().sum(-1) + line_a[:, :2].square().sum(-1)).sqrt().clamp_min(1e-12)
    focal = (camera_a.fx + camera_a.fy + camera_b.fx + camera_b.fy) / 4
    return torch.where(_in_front(ray_a, ray_b, pair), error * focal, torch.inf)


def _in_front(ray_a: Tensor, ray_b: Tensor, b_from_a: SE3) -> Tensor:
    """Whether both depths of the nearest point to the two rays are positive; far points pass either way.

    Solves depth_b ray_b = depth_a R ray_a + t in the least-squares sense.
    """
    turned = ray_a @ b_from_a.R.T
    cosine = (turned * ray_b).sum(-1)
    sine2 = (1 - cosine * cosine).clamp_min(1e-12)
    along_a, along_b = turned @ b_from_a.t, ray_b @ b_from_a.t
    depth_a = (cosine * along_b - along_a) / sine2
    depth_b = (along_b - cosine * along_a) / sine2
    far = (sine2 < 1e-5) & (cosine > 0)
    return far | ((depth_a > 0) & (depth_b > 0))
