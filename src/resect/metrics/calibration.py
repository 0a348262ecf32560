"""Whether stated covariances are true: how often the truth lies inside the ellipsoid that claims to hold it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Share:
    """A share of n things, with the interval that holds the true share 95 times in 100.

    Attributes:
        count: how many things.
        inside: how many of them count.
        low: lower end of the Wilson interval.
        high: upper end of the Wilson interval.
    """

    count: int
    inside: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """inside / count; NaN for none."""
        return self.inside / self.count if self.count else math.nan


def mahalanobis2(estimate: SE3, truth: SE3, covariance: Float[Tensor, "*b 6 6"]) -> Float[Tensor, "*b"]:
    """d² = δᵀ Σ⁻¹ δ with truth = exp(δ) @ estimate, both `cam_from_world`; χ² of six degrees if Σ is true.

    Args:
        estimate: the answers.
        truth: the true poses.
        covariance: Σ of δ = (v, ω), world units and radians; positive definite.
    """
    delta = (truth.double() @ estimate.double().inverse()).log()
    # Metres and radians may differ by many powers of ten; scaling to a unit diagonal keeps the factorisation exact.
    sigma = covariance.double().diagonal(dim1=-2, dim2=-1).sqrt()
    correlation = covariance.double() / (sigma[..., :, None] * sigma[..., None, :])
    factor = torch.linalg.cholesky(correlation)
    white = torch.linalg.solve_triangular(factor, (delta / sigma)[..., None], upper=False)[..., 0]
    return (white * white).sum(-1)


def wilson(inside: int, count: int, z: float = 1.959963984540054) -> Share:
    """The score interval of a share; z is the normal quantile of its confidence.

    Reference: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    if count == 0:
        return Share(0, 0, 0.0, 1.0)
    p, z2 = inside / count, z * z
    center = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = z / (1 + z2 / count) * math.sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    return Share(count, inside, max(0.0, center - half), min(1.0, center + half))


def share_inside(d2: Float[Tensor, "n"], level: float, degrees: int = 6) -> Share:
    """How many truths lie inside the ellipsoid that should hold a share `level` of them.

    Args:
        d2: squared Mahalanobis distances.
        level: of the ellipsoid, e.g. 0.9.
        degrees: of freedom.
    """
    from scipy.special import gammaincinv  # χ²'s quantile; scipy.stats has it too, and takes seconds to import

    return wilson(int((d2 <= 2 * float(gammaincinv(degrees / 2, level))).sum()), len(d2))


def reliability(
    d2: Float[Tensor, "n"], levels: tuple[float, ...] = LEVELS, degrees: int = 6
) -> tuple[tuple[float, Share], ...]:
    """Claimed level → observed share; the diagonal is a perfect calibration, below it is overconfident."""
    return tuple((level, share_inside(d2, level, degrees)) for level in levels)
