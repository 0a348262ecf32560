"""What cuts show of a surface: each part of a cut says whether it shows the object, and which patch of it.

A number for "how is it turned" has to be learned for every rotation anew. Which patch a part shows is the same however
the camera is rolled, and every part teaches; which rotations make such parts is told by geometry (`patterns`).
Patches, because classes can say "one of these", which a mean of coordinates cannot: Hodaň, Baráth, Matas, "EPOS:
estimating 6D pose of objects with symmetries", CVPR 2020.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Surface:
    """What the network makes of n cuts, of i × j parts each.

    Attributes:
        shown: logit that a part shows the object.
        patch: logits of its patches.
    """

    shown: Float[Tensor, "n i j"]
    patch: Float[Tensor, "n k i j"]

    def row(self, k: int) -> "Surface":
        """Of one cut alone."""
        return Surface(self.shown[k : k + 1], self.patch[k : k + 1])

    def cpu(self) -> "Surface":
        """The same on the CPU."""
        return Surface(self.shown.cpu(), self.patch.cpu())


def surface_loss(
    found: Surface,
    place: Float[Tensor, "n i j 3"],
    shown: Bool[Tensor, "n i j"],
    patches: Float[Tensor, "n k 3"],
    symmetries: Float[Tensor, "n s 3 3"],
) -> Float[Tensor, "n"]:
    """How wrong a surface is: cross-entropies of shown and of the patch.

    Of symmetric objects, the cross-entropy of the nearest equivalent pose: R S shows at Sᵀ x what R shows at x.

    Args:
        found: by the network.
        place: that is truly shown, about the middle, diameters.
        shown: whether any is.
        patches: middles of the patches, as `place`.
        symmetries: rotations that change nothing, identity first.
    """
    here = shown.flatten(1).float()
    area = here.sum(1).clamp_min(1)
    unlikely = -found.patch.log_softmax(1).flatten(2)
    each = []
    for turn in symmetries.unbind(1):
        label = torch.cdist(place.flatten(1, 2), patches @ turn.mT).argmin(-1)
        each.append((unlikely.gather(1, label[:, None])[:, 0] * here).sum(1) / area)
    covered = functional.binary_cross_entropy_with_logits(found.shown.flatten(1), here, reduction="none").mean(1)
    return torch.stack(each).amin(0) + covered
