"""What a regressor remembers of its training pictures: how they look and where they were taken from.

A head that regresses poses follows the path that the photos were taken along and is poor at positions beside it. The
most alike pictures, photos and rendered views alike, are not far off where they look alike, and how their poses change
with their looks tells what is between them: a linear fit to them, the most alike weighing most, which is believed as
far as they reach. An answer is that, moved towards the regressed one, though not far; how much, left-out photos tell.

Cleveland, "Robust locally weighted regression and smoothing scatterplots", JASA 1979 (the weights). Sattler et al.,
"Understanding the limitations of CNN-based absolute camera pose regression", CVPR 2019, found that regression alone
hardly beats retrieval.
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
_ALIKE = 32
_RIDGE = 0.1  # of the mean square of a weighed code
_AT_ONCE = 32  # codes whose neighbours are in memory
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

    def answer(self, code: Float[Tensor, "b d"], frame: PoseFrame) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position and quaternion by a linear fit to the most alike pictures, in a network's frame."""
        found = torch.cat([self._fitted(some, frame) for some in code.split(_AT_ONCE)])
        return found[:, :3], found[:, 3:]

    def _fitted(self, code: Float[Tensor, "b d"], frame: PoseFrame) -> Float[Tensor, "b 7"]:
        """Of some codes: ridge regression of poses on codes about their weighted means, from which an answer is no
        farther than they are, in root mean square.
        """
        far = (2 - 2 * code @ self.codes.to(code).T).clamp_min(0).sqrt()
        far, index = far.topk(min(_ALIKE + 1, len(self.codes)), dim=1, largest=False)
        x, q = frame.encode(self.cam_from_world[index.cpu()])
        known, poses = self.codes[index].to(code), torch.cat([x, _like(q, q[:, :1])], -1).to(code)
        tricube = (1 - (far / far[:, -1:].clamp_min(1e-6)) ** 3).clamp_min(1e-4) ** 3
        weight = (tricube / tricube.sum(1, keepdim=True))[..., None]
        middle, pose = (weight * known).sum(1, keepdim=True), (weight * poses).sum(1, keepdim=True)
        known, poses = weight.sqrt() * (known - middle), weight.sqrt() * (poses - pose)
        gram = known @ known.mT
        ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).mean(1) + 1e-12
        slopes = torch.linalg.solve(gram + torch.diag_embed(ridge[:, None].expand_as(far)), poses)
        way = ((code[:, None] - middle) @ known.mT @ slopes)[:, 0]
        parts = zip(way.split([3, 4], 1), poses.split([3, 4], 2), strict=True)
        return pose[:, 0] + torch.cat([_within(step, spread.flatten(1).norm(dim=1)) for step, spread in parts], 1)

    def blend(
        self, code: Float[Tensor, "b d"], x: Float[Tensor, "b 3"], q: Float[Tensor, "b 4"], frame: PoseFrame
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Their position and quaternion, moved towards the regressed ones by the rest of the share, up to the limit."""
        return self._moved(self.answer(code, frame), x, q)

    def _moved(self, theirs: tuple[Tensor, Tensor], x: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        own = functional.normalize(q, dim=-1)
        kin_q = _like(functional.normalize(theirs[1], dim=-1), own)
        pairs = zip((theirs[0], kin_q), (x, own), self.share, self.limit, strict=True)
        found_x, found_q = (_towards(a, b, 1 - share, limit) for a, b, share, limit in pairs)
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
        theirs = self.answer(code, frame)
        alone = _errors(theirs, truth, frame)
        limit = (2 * float(alone[0].median()), 2 * float(alone[1].median()))
        made, best, least = replace(self, limit=limit), [0.5, 0.5], [torch.inf, torch.inf]
        for step in range(_SHARES):
            share = step / (_SHARES - 1)
            found = _errors(replace(made, share=(share, share))._moved(theirs, x, q), truth, frame)
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
    return a + _within(share * (b - a), torch.full_like(a[:, 0], limit))


def _within(step: Float[Tensor, "b n"], limit: Float[Tensor, "b"]) -> Float[Tensor, "b n"]:
    """Steps, shortened where they are longer than the limit."""
    return step * (limit / step.norm(dim=1).clamp_min(1e-12)).clamp_max(1.0)[:, None]


def _like(q: Float[Tensor, "*b 4"], other: Float[Tensor, "*c 4"]) -> Float[Tensor, "*b 4"]:
    """Quaternions with the sign that is nearer to another one's; q and −q are one rotation."""
    return torch.where((q * other).sum(-1, keepdim=True) < 0, -q, q)
