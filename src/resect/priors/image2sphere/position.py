"""The head that tells where the object stands, beside its rotation, as the fork of Image2Sphere for spacecraft has it.

The mean of the feature map goes through two layers to three numbers, less their mean and over their standard deviation
in training, which the network keeps. Its squared error is added to the loss with weight 1, and the encoder learns from
both. What differs: the three numbers are those of `rotations/position`, which hold for any camera, and not metres in
the frame of the one camera of all photos.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.errors import ResectError
from resect.priors.rotations.batches import Pictures

_HIDDEN = 256
_MOST, _BATCH = 512, 32
_LEAST = 1e-3


class PositionHead(nn.Module):
    """Feature maps to the three numbers of `rotations/position`.

    Args:
        channels: of the feature map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 3))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))

    def forward(self, features: Float[Tensor, "b c s s"]) -> Float[Tensor, "b 3"]:
        """Of each picture; in the precision of the weights."""
        with torch.autocast(features.device.type, enabled=False):
            return self.mean + self.std * self.layers(features.mean((2, 3)).to(self.mean))

    def loss(self, found: Float[Tensor, "b 3"], position: Float[Tensor, "b 3"]) -> Float[Tensor, ""]:
        """Mean square of the standardised errors."""
        return ((found - position.to(found)) / self.std).square().mean()

    def standardize(self, position: Float[Tensor, "n 3"]) -> None:
        """Takes mean and standard deviation from what training pictures tell."""
        self.mean.copy_(position.mean(0))
        self.std.copy_(position.std(0, correction=0).clamp_min(_LEAST))


def positions(pictures: Pictures, where: str) -> Float[Tensor, "n 3"]:
    """What at most 512 pictures, spread over a set, tell of where objects stand.

    Args:
        pictures: of the set.
        where: what the set is, for errors.

    Raises:
        ResectError: labels without positions or behind the camera, or pictures whose cameras are not known.
    """
    data = pictures.data
    fix = "Leave --image2sphere.translation away: with a box or a mask the position follows from the rotation."
    if data.translation is None:
        raise ResectError(f"translation: {where}", "labels with a position", f"{data.format}: rotations alone", fix)
    behind = int((data.translation[:, 2] <= 0).sum())
    if behind:
        fix = "Positions are of the object in the camera's frame, z forward; check the labels."
        raise ResectError(f"translation: {where}", "objects in front of the camera", f"{behind} others", fix)
    rows = data.spread(_MOST)
    found: list[Tensor] = []
    for first in range(0, len(rows), _BATCH):
        there = pictures.rows(rows[first : first + _BATCH]).position
        if there is None:
            raise ResectError(f"translation: {where}", "photos with known cameras", f"{data.format}: others", fix)
        found.append(there)
    return torch.cat(found)
