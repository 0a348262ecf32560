"""What a regressor remembers of its training pictures: how they look and where they were taken from.

A head that regresses poses follows the path that the photos were taken along and is poor at positions beside it; the
most alike pictures, photos and rendered views alike, are coarse, but not far off where they look alike. So an answer
is theirs, moved towards the regressed one, though not far; how much, photos that were left out tell.

Sattler et al., "Understanding the limitations of CNN-based absolute camera pose regression", CVPR 2019, found that
regression alone hardly beats retrieval.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from resect.geometry.se3 import SE3
from resect.nn.pose_loss import PoseFrame

CELLS = 4
_ALIKE, _SHARPNESS = 8, 50.0
_SHARES = 11


@dataclass(frozen=True, eq=False)
class Kin:
    """Training pictures by their looks.

    Attributes:
        codes: of unit length, half precision.
        cam_from_world: of each picture, float64.
        photo: number of the photo that each shows; several pictures may be of one.
        share: how much of an answer's position, and of its rotation, is theirs: 0 to 1.
        limit: how far from theirs an answer may be: of its position, and of its quaternion, in the network's frame.
    """

    codes: Float[Tensor, "n d"]
    cam_from_world: SE3
    photo: Int[Tensor, "n"]
    share: tuple[float, float] = (0.5, 0.5)
    limit: tuple[float, float] = (math.inf, math.inf)

    def mean(self, code: Float[Tensor, "b d"], frame: PoseFrame) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position and quaternion of the most alike pictures, weighed by how alike they are, in a network's frame."""
        likeness, index = (code @ self.codes.to(code).T).topk(min(_ALIKE, len(self.codes)), dim=1)
        weight = (_SHARPNESS * likeness).softmax(1)[..., None]
        x, q = frame.encode(self.cam_from_world[index.cpu()])
        return (weight * x.to(weight)).sum(1), (weight * _like(q, q[:, :1]).to(weight)).sum(1)

    def blend(
        self, code: Float[Tensor, "b d"], x: Float[Tensor, "b 3"], q: Float[Tensor, "b 4"], frame: PoseFrame
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Their position and quaternion, moved towards the regressed ones by the rest of the share, up to the limit."""
        own, (kin_x, kin_q) = functional.normalize(q, dim=-1), self.mean(code, frame)
        kin_q = _like(functional.normalize(kin_q, dim=-1), own)
        pairs = zip((kin_x, kin_q), (x, own), self.share, self.limit, strict=True)
        found_x, found_q = (_towards(theirs, mine, 1 - share, limit) for theirs, mine, share, limit in pairs)
        return found_x, found_q

    def poses(self, code: Float[Tensor, "d"], count: int) -> SE3:
        """Those of the pictures most alike, float64, at most one of each photo."""
        order = (self.codes.to(code) @ code).argsort(descending=True, stable=True).tolist()
        first: dict[int, int] = {}
        for k in order:
            if len(first) >= count:
                break
            first.setdefault(int(self.photo[k]), k)
        return self.cam_from_world[list(first.values())]

    def shared(
        self, code: Float[Tensor, "b d"], x: Float[Tensor, "b 3"], q: Float[Tensor, "b 4"], truth: SE3, frame: PoseFrame
    ) -> Self:
        """With limits of twice their usual error, and the shares of least mean error, on photos that were left out."""
        alone = _errors(replace(self, share=(1.0, 1.0)).blend(code, x, q, frame), truth, frame)
        usual = tuple(2 * float(e.median()) for e in alone)
        made, best, least = replace(self, limit=(usual[0], usual[1])), [0.5, 0.5], [torch.inf, torch.inf]
        for step in range(_SHARES):
            share = step / (_SHARES - 1)
            found = _errors(replace(made, share=(share, share)).blend(code, x, q, frame), truth, frame)
            for k, error in enumerate(float(e.mean()) for e in found):
                if error < least[k]:
                    best[k], least[k] = share, error
        return replace(made, share=(best[0], best[1]))


def _errors(
    found: tuple[Tensor, Tensor], truth: SE3, frame: PoseFrame
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Distances of positions and of quaternions, in the network's frame."""
    true_x, true_q = (v.to(found[0]) for v in frame.encode(truth))
    turned = _like(functional.normalize(found[1], dim=-1), true_q)
    return (found[0] - true_x).norm(dim=1), (turned - true_q).norm(dim=1)


def _towards(a: Float[Tensor, "b n"], b: Float[Tensor, "b n"], share: float, limit: float) -> Float[Tensor, "b n"]:
    """From a the share of the way to b, but no further than the limit."""
    step = share * (b - a)
    return a + step * (limit / step.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)


def _like(q: Float[Tensor, "*b 4"], other: Float[Tensor, "*c 4"]) -> Float[Tensor, "*b 4"]:
    """Quaternions with the sign that is nearer to another one's; q and −q are one rotation."""
    return torch.where((q * other).sum(-1, keepdim=True) < 0, -q, q)
