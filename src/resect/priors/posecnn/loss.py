"""What PoseCNN makes small: labels, directions with depths, surfaces."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from resect.priors.posecnn.batches import Batch
from resect.priors.posecnn.objects import KnownObject
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.surface import surface_loss


def loss_of(objects: tuple[KnownObject, ...], s: PoseCnnSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a batch: labels, directions with depths, surfaces."""
    patches = torch.stack([o.seen_from_middle(o.patches) for o in objects])
    most = max(len(o.symmetries) for o in objects)
    turns = [torch.cat([o.symmetries, torch.eye(3).expand(most, 3, 3)])[:most] for o in objects]
    symmetries = torch.stack(turns)
    weight = torch.tensor([1.0] + len(objects) * [s.object_weight])

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        b = batch
        labels, centres, found = network(b.picture, b.cut, b.kind)
        label = functional.cross_entropy(labels, b.label, weight=weight.to(labels))
        centre = _centre_loss(centres, b, everywhere=s.everywhere)
        own, same = (known.to(b.place)[b.kind] for known in (patches, symmetries))
        off = surface_loss(found, b.place, b.shown, own, same)
        surface = off.sum() / max(1, len(off))
        total = s.label_weight * label + s.centre_weight * centre + s.surface_weight * surface
        return {"loss": total, "labels": label.detach(), "centres": centre.detach(), "surfaces": surface.detach()}

    return loss


def _centre_loss(centres: Float[Tensor, "b k 3 i j"], b: Batch, *, everywhere: bool) -> Tensor:
    """L1: of each cell the maps of its own class; or of all maps everywhere, which are 0 elsewhere."""
    inside = b.label > 0
    if everywhere:
        own = functional.one_hot((b.label - 1).clamp_min(0), centres.shape[1]).movedim(-1, 1) * inside[:, None]
        return (centres - b.centre[:, None] * own[:, :, None]).abs().mean()
    index = (b.label - 1).clamp_min(0)[:, None, None].expand(-1, 1, 3, -1, -1)
    mine = centres.gather(1, index)[:, 0]
    return ((mine - b.centre).abs() * inside[:, None]).sum() / (3 * inside.sum()).clamp_min(1)
