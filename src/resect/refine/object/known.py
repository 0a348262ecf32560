"""What is known of a pose before the photo is looked at: the start and its spread."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import State, System
from resect.refine.rows import pose_information
from resect.types import Hypotheses


@dataclass(frozen=True, eq=False)
class Known:
    """Starts with information; without any, nothing is known.

    Of many hypotheses each is one cell of a cover, and a pose that moves on from one cell to the next is none the worse
    for it; so `of` takes few hypotheses only.
    """

    start: SE3
    information: Float[Tensor, "k 6 6"] | None

    @classmethod
    def of(cls, starts: Hypotheses, most: int) -> "Known":
        """What is known of the pose, if there are at most so many hypotheses."""
        return cls(starts.cam_from_world, starts.information if len(starts) <= most else None)

    def term(self, parent: Int[Tensor, "h"], strength: float) -> System | None:
        """½ eᵀ Λ e · strength of hypotheses that came of the starts `parent`."""
        if self.information is None:
            return None
        return pose_information(self.start[parent], strength * self.information[parent])

    def log_density(self, poses: SE3, parent: Int[Tensor, "h"]) -> Float[Tensor, "h"]:
        """−½ eᵀ Λ e."""
        term = self.term(parent, 1.0)
        if term is None:
            return torch.zeros(len(poses))
        nothing = torch.zeros(len(poses), 0, dtype=torch.float64)
        return -term(State(poses, nothing, torch.arange(len(poses)), 0)).loss.float()
