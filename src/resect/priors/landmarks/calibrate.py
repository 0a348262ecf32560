"""How exact the poses from a map are: every training photo, solved from points that were triangulated without it."""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.priors.landmarks.resection import Seen, refine
from resect.priors.landmarks.triangulate import Observations, residuals
from resect.types import PhotoSet

_LEVEL, _CHI2 = 0.9, 10.6446  # that share of squared Mahalanobis errors of six degrees of freedom is below this
_LEAST_POINTS = 20
_OPTIMISM = 1.6  # matches of a photo left out here were made with its pose known; of new photos they are not


def inflation(seen: Observations, points: Float[Tensor, "n 3"], pixels: Float[Tensor, "m 2"], data: PhotoSet) -> float:
    """By how much the 90 % ellipsoids must grow, in squares, to hold 90 % of new photos' poses; more than 1.

    Leaving a photo out changes each of its points by one Gauss–Newton step of the other observations; points that keep
    fewer than two are not used.
    """
    r, j, _ = residuals(seen, points[seen.track])
    sigma = float(r.abs().median() * 1.4826)
    normal = torch.zeros(len(points), 3, 3, dtype=torch.float64).index_add_(0, seen.track, j.mT @ j)
    gradient = torch.zeros(len(points), 3, dtype=torch.float64)
    gradient.index_add_(0, seen.track, (j.mT @ r[:, :, None])[..., 0])
    views = torch.bincount(seen.track, minlength=len(points))
    excess = []
    for photo in range(len(data)):
        rows = ((seen.photo == photo) & (views[seen.track] > 2)).nonzero()[:, 0]
        if len(rows) < _LEAST_POINTS:
            continue
        track = seen.track[rows]
        rest = normal[track] - j[rows].mT @ j[rows]
        pull = gradient[track] - (j[rows].mT @ r[rows][:, :, None])[..., 0]
        spread = torch.linalg.inv(rest + 1e-12 * torch.eye(3, dtype=rest.dtype))
        moved = points[track] - (spread @ pull[:, :, None])[..., 0]
        pixel = sigma * float(seen.pixel_rad[rows[0]]) / data.cameras[photo].pixel_rad
        truth = data.truth.cam_from_world[photo].double()
        answer = refine(
            Seen(moved, spread * sigma**2, pixels[rows].double(), pixel), truth, data.cameras[photo], find_focal=False
        )
        error = (truth @ answer.cam_from_world.inverse()).log()
        excess.append(float(error @ answer.information @ error))
    if not excess:
        return _OPTIMISM
    return _OPTIMISM * max(1.0, float(torch.tensor(excess).quantile(_LEVEL)) / _CHI2)
