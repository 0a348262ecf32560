"""From the network's maps to objects: every class votes for its centres."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from resect.geometry.camera import Camera
from resect.priors.posecnn.hough import Vote, agreement, find_centres
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.views import cell_pixels

_FARTHER = 1.25  # than its size says may a cell of an object be from its centre: depths are estimates
_NEAREST = 0.1  # depth of a cell in that of the mean object: nearer ones are not believed


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network makes of a picture.

    Attributes:
        probability: of the labels of all cells, background first.
        centres: direction to the centre and depth of all cells, by class.
        picture: itself, which boxes are cut from.
        camera: of the picture.
    """

    probability: Float[Tensor, "k i j"]
    centres: Float[Tensor, "k-1 3 i j"]
    picture: Float[Tensor, "3 y x"]
    camera: Camera


@dataclass(frozen=True, eq=False)
class Found:
    """One object in the network's picture.

    Attributes:
        kind: class, from 0.
        cells: that show it.
        centre: projection of its middle, pixels of the picture.
        depth: of its middle, object units.
        score: mean probability of its cells times the share that votes for the centre.
    """

    kind: int
    cells: Bool[Tensor, "i j"]
    centre: Float[Tensor, "2"]
    depth: float
    score: float


@dataclass(frozen=True)
class PoseSpread:
    """Standard deviations of the nearest of an object's poses, as measured on training photos.

    Attributes:
        turn_rad: of each angle of the rotation.
        across: of the middle's place across the ray, parts of the diameter.
        away: along it, parts of the depth.
    """

    turn_rad: float = 0.15
    across: float = 0.05
    away: float = 0.08


def find(seen: Seen, s: PoseCnnSettings, unit: float, radii: Sequence[float]) -> list[Found]:
    """Objects in a picture; those behind the camera are none.

    Args:
        seen: the network's maps.
        s: how votes are counted.
        unit: that depths count in.
        radii: how far from its centre an object reaches, by class.
    """
    odds = torch.cat([s.background * seen.probability[:1], seen.probability[1:]])
    label, found = odds.argmax(0), list[Found]()
    cells = cell_pixels(seen.camera, s.cell)
    for kind in range(len(seen.centres)):
        index = (label == kind + 1).flatten().nonzero()[:, 0]
        if len(index) < s.least_cells:
            continue
        values = seen.centres[kind].flatten(1).T[index]
        at, direction, depth = cells[index], normalize(values[:, :2], dim=-1), unit * values[:, 2]
        reach = _FARTHER * seen.camera.fx * radii[kind] / depth.clamp_min(_NEAREST * unit)
        votes = find_centres(
            at,
            direction,
            torch.Generator().manual_seed(kind),
            reach=reach,
            agreeing=s.agreeing,
            least=s.least_cells,
            least_share=s.least_votes,
            most=s.instances,
        )
        if votes:
            agree = agreement(torch.stack([v.centre for v in votes]), at, direction, reach)
            owner = torch.where(agree.amax(0) > -1, agree.argmax(0), -1)
            own = [index[owner == k] for k in range(len(votes))]
            found += [_found(seen, s, kind, own[k], v, depth[v.voters]) for k, v in enumerate(votes) if len(own[k])]
    return [f for f in found if f.depth > 0]


def _found(
    seen: Seen,
    s: PoseCnnSettings,
    kind: int,
    own: Int[Tensor, "n"],
    vote: Vote,
    depths: Float[Tensor, "m"],
) -> Found:
    """An instance by the label's cells that can be its own and agree more with it than with another.

    What is found by few cells is shown by those that are surer, if any is: the rest makes masks and boxes too large.
    """
    probability, nothing = (seen.probability[k].flatten()[own] for k in (kind + 1, 0))
    sure = probability >= s.shown * nothing
    cells = torch.zeros(seen.probability[0].numel(), dtype=torch.bool)
    cells[own[sure] if bool(sure.any()) else own] = True
    score = float(probability.mean()) * min(1.0, len(depths) / len(own))
    return Found(kind, cells.view(seen.probability.shape[1:]), vote.centre, float(depths.median()), score)
