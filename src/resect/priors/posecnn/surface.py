"""Rotations by what cuts show of a surface: each part of a cut says which patch of it it shows, and how deep that lies.

A number for "how is it turned" has to be learned for every rotation anew. Which patch a part shows, and how far it lies
behind the object's middle, is the same however the camera is rolled, and geometry does the rest: the rotation lays the
patches where they are seen. Rotations apart from translations, from coordinates in a zoomed-in box: Li, Wang, Ji,
"CDPN: coordinates-based disentangled pose network", ICCV 2019. Patches, because classes can say "one of these", which
a mean of coordinates cannot: Hodaň, Baráth, Matas, "EPOS: estimating 6D pose of objects with symmetries", CVPR 2020.
What differs: the depth within the object is learned too, so that the rotation has a closed form; no PnP, no RANSAC.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from resect.geometry import so3
from resect.priors.posecnn.cuts import Cuts

_AGREEING = 0.1  # diameters between a patch and where it is seen at which their pair counts half
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class Surface:
    """What the network makes of n cuts, of i × j parts each.

    Attributes:
        shown: logit that a part shows the object.
        relief: how far its surface there lies behind the object's middle along the cut's axis, diameters.
        patch: logits of its patches.
    """

    shown: Float[Tensor, "n i j"]
    relief: Float[Tensor, "n i j"]
    patch: Float[Tensor, "n k i j"]

    def cpu(self) -> "Surface":
        """The same on the CPU."""
        return Surface(self.shown.cpu(), self.relief.cpu(), self.patch.cpu())


def surface_loss(
    found: Surface,
    place: Float[Tensor, "n i j 3"],
    shown: Bool[Tensor, "n i j"],
    rotation: Float[Tensor, "n 3 3"],
    patches: Float[Tensor, "n k 3"],
    symmetries: Float[Tensor, "n s 3 3"],
) -> Float[Tensor, "n"]:
    """How wrong a surface is: cross-entropies of shown and of the patch, and the relief's absolute error.

    Of symmetric objects, the cross-entropy of the nearest equivalent pose: R S shows at Sᵀ x what R shows at x.

    Args:
        found: by the network.
        place: that is truly shown, about the middle, diameters.
        shown: whether any is.
        rotation: of each object in its cut's frame.
        patches: middles of the patches, as `place`.
        symmetries: rotations that change nothing, identity first.
    """
    here = shown.flatten(1).float()
    area = here.sum(1).clamp_min(1)
    relief = torch.einsum("nijc,nc->nij", place, rotation[:, 2])
    relief_off = ((found.relief - relief).abs().flatten(1) * here).sum(1) / area
    unlikely = -found.patch.log_softmax(1).flatten(2)
    each = []
    for turn in symmetries.unbind(1):
        label = torch.cdist(place.flatten(1, 2), patches @ turn.mT).argmin(-1)
        each.append((unlikely.gather(1, label[:, None])[:, 0] * here).sum(1) / area)
    covered = functional.binary_cross_entropy_with_logits(found.shown.flatten(1), here, reduction="none").mean(1)
    return torch.stack(each).amin(0) + 2 * relief_off + covered


def rotations_of(
    found: Surface, cuts: Cuts, distance: Float[Tensor, "n"], patches: Float[Tensor, "n k 3"]
) -> Float[Tensor, "n 3 3"]:
    """The rotation in the cut's frame that lays patches where they are seen, by least squares (Kabsch).

    Every pair of a part and a patch counts by its probability; then, again and again, less the farther apart the last
    rotation leaves them: parts that are unsure agree with one of their patches, not with the mean.

    Args:
        found: by the network.
        cuts: their cameras.
        distance: of the objects' middles along the cut's axis, diameters.
        patches: middles of the patches about the object's middle, diameters.
    """
    depth = distance[:, None, None] + found.relief
    seen = (cuts.rays(depth.shape[-1]) * depth[..., None]).flatten(1, 2)
    likely = found.patch.softmax(1).flatten(2).mT * found.shown.sigmoid().square().flatten(1)[..., None]
    weight = likely
    for _ in range(_ROUNDS):
        weight = weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-12)
        of_part, of_patch = weight.sum(2)[..., None], weight.sum(1)[..., None]
        at, own = (of_part * seen).sum(1, keepdim=True), (of_patch * patches).sum(1, keepdim=True)
        rotation = so3.nearest_rotation((seen - at).mT @ weight @ (patches - own))
        off = torch.cdist(seen - at, (patches - own) @ rotation.mT)
        weight = likely / (1 + (off / _AGREEING).square())
    return rotation
