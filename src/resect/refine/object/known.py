"""What is known of a pose before the photo is looked at: the start and its spread, or a density of many."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import System
from resect.refine.rows import pose_information, pose_loss
from resect.types import Hypotheses

_ELSEWHERE = -6.0  # log density where none of many hypotheses is, against the likeliest: they may all be wrong
_LEAST = -3.0  # of the weight of a start
_PAIRS = 65_536


@dataclass(frozen=True, eq=False)
class Known:
    """Starts with information; without any, nothing is known.

    Few starts are searched around, and each candidate stays bound to its own. Many are one density: a pose that moves
    on from one of them to the next is none the worse for it, and one that leaves them all is.

    Attributes:
        start: the hypotheses.
        information: of each, if known.
        log_weight: of each.
        many: whether they are a density.
    """

    start: SE3
    information: Float[Tensor, "k 6 6"] | None
    log_weight: Float[Tensor, "k"]
    many: bool

    @classmethod
    def of(cls, starts: Hypotheses, most: int) -> "Known":
        """What is known of the pose; more hypotheses than `most` are a density."""
        weight = starts.log_weight.double().log_softmax(0)
        return cls(starts.cam_from_world, starts.information, weight - weight.max(), len(starts) > most)

    def weight(self, parent: Int[Tensor, "h"]) -> Float[Tensor, "h"]:
        """Logarithm of the weight of the starts `parent` over their greatest; a density holds the weights itself."""
        if self.many and self.information is not None:
            return torch.zeros(len(parent), dtype=torch.float64)
        weight = self.log_weight[parent]
        return (weight - weight.max()).clamp_min(_LEAST)

    def term(self, parent: Int[Tensor, "h"], strength: float) -> System | None:
        """½ eᵀ Λ e · strength of hypotheses that came of the starts `parent`; none of a density."""
        if self.information is None or self.many:
            return None
        return pose_information(self.start[parent], strength * self.information[parent])

    def log_density(self, poses: SE3, parent: Int[Tensor, "h"]) -> Float[Tensor, "h"]:
        """−½ eᵀ Λ e; of a density its logarithm over that of its likeliest part."""
        if self.many and self.information is not None:
            return self._mixture(poses, self.information)
        if self.information is None:
            return torch.zeros(len(poses))
        return -pose_loss(poses, self.start[parent], self.information[parent]).float()

    def _mixture(self, poses: SE3, information: Float[Tensor, "k 6 6"]) -> Float[Tensor, "h"]:
        heavy = (self.log_weight > 2 * _ELSEWHERE).nonzero()[:, 0]
        information, start, weight = information[heavy], self.start[heavy], self.log_weight[heavy].float()
        k, parts = len(heavy), list[Tensor]()
        chunk = max(1, _PAIRS // k)
        for begin in range(0, len(poses), chunk):
            some = poses[begin : begin + chunk]
            n = len(some)
            each = SE3(some.R.repeat_interleave(k, 0), some.t.repeat_interleave(k, 0))
            every = SE3(start.R.repeat(n, 1, 1), start.t.repeat(n, 1))
            near = weight - pose_loss(each, every, information.repeat(n, 1, 1)).float().view(n, k)
            parts.append(torch.logaddexp(near.logsumexp(1), torch.tensor(_ELSEWHERE)))
        return torch.cat(parts) if parts else torch.zeros(0)
