"""How an object may be turned, by how likely each of thousands of rotations makes what its cut shows.

A least-squares rotation of patches that are unsure is a mean of several rotations, and right for none. The likelihood
of each keeps them apart, and says how large the object is and where in the cut, whatever the box that it was cut by.
Poses scored by dense predictions in place of RANSAC and PnP: compare Haugaard, Buch, "SurfEmb: dense and continuous
correspondence distributions for object pose estimation with learnt surface embeddings", CVPR 2022. What differs: all
rotations of a grid are asked, and labels are compared, not embeddings, so that nothing is rendered for a photo.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int16
from torch import Tensor
from torch.nn import functional

from resect.priors.posecnn.cuts import MARGIN, Cuts, shown_surface, turn_to
from resect.priors.posecnn.objects import KnownObject
from resect.priors.posecnn.surface import Surface
from resect.priors.views import every_rotation

ROTATIONS = 4000  # some 15° apart
_SIDE = 16  # parts along a side of a pattern
_POINTS = 2048
_CHUNK = 64
_DISTANCE = 6.0  # diameters from the camera, where patterns are made; nearer or farther they differ little
_SURE = 0.5  # power of what the network says of patches
_HIDDEN = 0.3  # likelihood of a part that should show the object and does not, over that of its showing anything
_STRAY = 0.05  # of one that shows the object and should not
_ALONE = 20.0  # parts that say the same: neighbours are wrong together
_COARSE = (0.85, 1.0, 1.18), (-0.2, 0.0, 0.2)  # sizes of the pattern in that of the box; shifts, halves of the cut
_FINE = (0.75, 0.83, 0.91, 1.0, 1.1, 1.21, 1.33), (-0.2, -0.1, 0.0, 0.1, 0.2)
_AGAIN = 4, 40  # times as many as are asked for are looked at again, at least so many


@dataclass(frozen=True, eq=False)
class Patterns:
    """What an object shows at n rotations, in squares that just hold its silhouette.

    Attributes:
        rotation: in the frame of a cut whose axis goes through the middle of the silhouette.
        patch: that each part shows; the number of patches where it shows none.
        middle: where the object's middle is seen, halves of the square.
        reach: half of the square at the object's middle, diameters.
    """

    rotation: Float[Tensor, "n 3 3"]
    patch: Int16[Tensor, "n i j"]
    middle: Float[Tensor, "n 2"]
    reach: Float[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class Turned:
    """Rotations of one object, the likeliest first.

    Attributes:
        rotation: in the cut's frame.
        middle: of the object in the cut's frame, diameters.
        log_weight: logarithm of the likelihood, up to a constant.
    """

    rotation: Float[Tensor, "k 3 3"]
    middle: Float[Tensor, "k 3"]
    log_weight: Float[Tensor, "k"]


def patterns_of(known: KnownObject, count: int = ROTATIONS) -> Patterns:
    """Of an object, at rotations spread evenly over SO(3).

    Args:
        known: the object.
        count: at most so many rotations.
    """
    rotation = every_rotation(count).float()
    points = known.seen_from_middle(known.points)[:: -(-len(known.points) // _POINTS)].float()
    own = known.seen_from_middle(known.patches).float()
    parts = [_patterns(points, own, some) for some in rotation.split(_CHUNK)]
    patch, middle, reach = (torch.cat(x) for x in zip(*parts, strict=True))
    return Patterns(rotation, patch, middle, reach)


def _patterns(
    points: Float[Tensor, "m 3"], own: Float[Tensor, "k 3"], rotation: Float[Tensor, "n 3 3"]
) -> tuple[Tensor, Tensor, Tensor]:
    n, at = len(rotation), points @ rotation.mT
    seen = at[..., :2] / (_DISTANCE + at[..., 2:])
    low, high = seen.aminmax(dim=1)
    middle, reach = -(low + high) / 2, (high - low).amax(-1) / 2
    place = _DISTANCE * torch.cat([middle, torch.ones_like(middle[:, :1])], 1)
    cuts = Cuts(torch.eye(3).expand(n, 3, 3), reach)
    shown, hit = shown_surface(cuts, points.expand(n, -1, -1), rotation, place, _SIDE)
    patch = torch.cdist(shown.flatten(1, 2), own.expand(n, -1, -1)).argmin(-1).view_as(hit)
    return torch.where(hit, patch, len(own)).to(torch.int16), middle / reach[:, None], reach * _DISTANCE


def turned(surface: Surface, cuts: Cuts, patterns: Patterns, count: int) -> Turned:
    """The likeliest rotations of one object, each at its likeliest place.

    Args:
        surface: what the network makes of its cut.
        cuts: the cut's camera.
        patterns: of the object.
        count: at most so many.
    """
    table = _table(surface)
    again = min(max(_AGAIN[0] * count, _AGAIN[1]), len(patterns.rotation))
    some = _fitted(table, patterns.patch, *_COARSE)[0].topk(again).indices
    score, window = _fitted(table, patterns.patch[some], *_FINE)
    order = score.argsort(descending=True)[:count]
    chosen, (size, x, y) = some[order], window[order].unbind(-1)
    shift = torch.stack([x, y], -1) + patterns.middle[chosen] * size[:, None]
    away = patterns.reach[chosen] / (size * cuts.reach)
    middle = torch.cat([shift * cuts.reach, torch.ones_like(away[:, None])], -1) * away[:, None]
    axis = torch.cat([torch.stack([x, y], -1) * cuts.reach, torch.ones_like(away[:, None])], -1)
    return Turned(turn_to(axis) @ patterns.rotation[chosen], middle, score[order] / _ALONE)


def _table(surface: Surface) -> Float[Tensor, "k+1 i j"]:
    """Log likelihood of each part to show each patch, and to show none."""
    shown, patches = surface.shown[0].sigmoid(), surface.patch.shape[1]
    patch = patches * (_SURE * surface.patch[0]).softmax(0)
    inside = (shown * patch + _HIDDEN * (1 - shown)).log()
    return torch.cat([inside, (1 - shown + _STRAY * shown).log()[None]])


def _fitted(
    table: Float[Tensor, "k+1 u v"], patch: Int16[Tensor, "n i j"], sizes: tuple[float, ...], shifts: tuple[float, ...]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
    """Log likelihood of a cut by each pattern where it fits best: its size in the cut, and its shift along x and y."""
    windows = torch.cartesian_prod(torch.tensor(sizes) / MARGIN, torch.tensor(shifts), torch.tensor(shifts))
    size, x, y = windows.unbind(-1)
    nil = torch.zeros_like(size)
    motion = torch.stack([torch.stack([size, nil, x], -1), torch.stack([nil, size, y], -1)], 1)
    grid = functional.affine_grid(motion, [len(windows), 1, *patch.shape[1:]], align_corners=False)
    # Outside of the window nothing should be shown; of parts inside, the ratio to that counts, by their area.
    nothing, ratio = table[-1], table[:-1] - table[-1]
    seen = functional.grid_sample(
        ratio[None].expand(len(windows), -1, -1, -1), grid, padding_mode="border", align_corners=False
    )
    area = size.square() * nothing.numel() / patch[0].numel()
    values = functional.pad(seen.flatten(2) * area[:, None, None], (0, 0, 0, 1))
    index = patch.flatten(1).long()
    score, best = torch.full((len(patch),), -torch.inf), torch.zeros(len(patch), dtype=torch.long)
    for k, value in enumerate(values):
        here = value.gather(0, index).sum(1)
        best = torch.where(here > score, k, best)
        score = torch.maximum(here, score)
    return score + nothing.sum(), windows[best]
