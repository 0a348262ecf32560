"""The score of the SPEED+ challenge: relative position error plus rotation error, small ones forgiven.

Reference: Park et al., "Satellite pose estimation competition 2021: results and analyses", Acta Astronautica 2023.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3

FORGIVEN_POSITION = 2.173e-3
"""Relative position errors below this are taken for the measuring system's and count as 0."""
FORGIVEN_ANGLE_DEG = 0.169
"""Likewise for rotations."""


@dataclass(frozen=True, eq=False)
class SpacecraftScores:
    """Of each image; 0 is perfect.

    Attributes:
        position: ‖t − t̂‖ / ‖t‖.
        orientation: angle in radians.
    """

    position: Float[Tensor, "n"]
    orientation: Float[Tensor, "n"]

    @property
    def total(self) -> float:
        """Mean over the images of both together."""
        return float((self.position + self.orientation).mean())


def spacecraft_scores(estimate: SE3, truth: SE3) -> SpacecraftScores:
    """Scores of `cam_from_obj` poses."""
    a, b = estimate.double(), truth.double()
    position = (a.t - b.t).norm(dim=-1) / b.t.norm(dim=-1)
    angle = so3.angle(a.R, b.R)
    return SpacecraftScores(
        torch.where(position < FORGIVEN_POSITION, 0.0, position),
        torch.where(angle.rad2deg() < FORGIVEN_ANGLE_DEG, 0.0, angle),
    )
