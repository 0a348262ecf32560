"""How alike two shapes are: IoU of occupancies, Chamfer distances, accuracy, completeness, normal consistency.

Distances are exact, between points sampled on the two surfaces, in the units of the points.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError


def occupancy_iou(found: Bool[Tensor, "*b n"], truth: Bool[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    """Points inside both shapes, over points inside either; 1 where there are none."""
    both, either = (found & truth).sum(-1), (found | truth).sum(-1)
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


@dataclass(frozen=True)
class SurfaceDistance:
    """From a found surface to the true one and back.

    Attributes:
        accuracy: mean distance of found points from the nearest true one.
        completeness: mean distance of true points from the nearest found one.
        accuracy_squared: mean squared distance, found to true.
        completeness_squared: the same, true to found.
        accuracy_normals: mean |cosine| of a found normal and that of the nearest true point; `None` without normals.
        completeness_normals: the same, true to found.
    """

    accuracy: float
    completeness: float
    accuracy_squared: float
    completeness_squared: float
    accuracy_normals: float | None = None
    completeness_normals: float | None = None

    @property
    def chamfer_l1(self) -> float:
        """Mean of accuracy and completeness."""
        return 0.5 * (self.accuracy + self.completeness)

    @property
    def chamfer_l2(self) -> float:
        """Mean of the two mean squared distances."""
        return 0.5 * (self.accuracy_squared + self.completeness_squared)

    @property
    def normal_consistency(self) -> float | None:
        """Mean of the two; 1 is best."""
        if self.accuracy_normals is None or self.completeness_normals is None:
            return None
        return 0.5 * (self.accuracy_normals + self.completeness_normals)


def surface_distance(
    found: Float[Tensor, "n 3"],
    truth: Float[Tensor, "m 3"],
    found_normals: Float[Tensor, "n 3"] | None = None,
    truth_normals: Float[Tensor, "m 3"] | None = None,
) -> SurfaceDistance:
    """Distances between two sets of surface points, by exact nearest neighbours.

    The published Chamfer-L1 is `chamfer_l1` of 100 000 points a surface. Normals need not agree in sign.
    """
    for name, points in (("found", found), ("true", truth)):
        if len(points) == 0 or not bool(points.isfinite().all()):
            raise ResectError(f"{name} surface points", "finite points", f"{len(points)}, or not finite")
    to_truth, at_truth = _nearest(found, truth)
    to_found, at_found = _nearest(truth, found)
    cosines: tuple[float | None, float | None] = (None, None)
    if found_normals is not None and truth_normals is not None:
        cosines = (
            float((found_normals * truth_normals[at_truth]).sum(-1).abs().mean()),
            float((truth_normals * found_normals[at_found]).sum(-1).abs().mean()),
        )
    return SurfaceDistance(
        float(to_truth.mean()),
        float(to_found.mean()),
        float((to_truth**2).mean()),
        float((to_found**2).mean()),
        *cosines,
    )


def _nearest(query: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest point, and which it is."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points.detach().double().cpu().numpy())
    distance, index = tree.query(query.detach().double().cpu().numpy())
    return torch.from_numpy(np.asarray(distance)), torch.from_numpy(np.asarray(index))
