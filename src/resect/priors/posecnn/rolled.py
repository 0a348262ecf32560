"""What the network makes of a picture in several quarter turns, turned back and averaged.

It has learned from pictures rolled by any angle, so each turn is one more opinion; quarter turns need no resampling.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from resect.priors.posecnn.network import PoseCnnNetwork
from resect.priors.posecnn.surface import Surface


def dense(
    network: PoseCnnNetwork, picture: Float[Tensor, "3 y x"], turns: int
) -> tuple[Float[Tensor, "k i j"], Float[Tensor, "k-1 3 i j"]]:
    """Probability of the labels of all cells; by class, direction to the centre (unit vectors where one turn is asked,
    the shorter the less the turns agree where several are) and depth.

    Args:
        network: on any device.
        picture: in [0, 1].
        turns: 1, 2 (upright and upside down) or 4.
    """
    of_each = []
    for k in _quarters(turns):
        rolled = torch.rot90(picture, k, (1, 2))
        labels, centres = network.dense(network.maps(rolled[None]), (rolled.shape[1], rolled.shape[2]))
        probability, centres = labels[0].softmax(0), torch.rot90(centres[0], -k, (2, 3))
        direction, depth = normalize(centres[:, :2], dim=1), centres[:, 2:]
        of_each.append((torch.rot90(probability, -k, (1, 2)), torch.cat([_turned_back(direction, k), depth], 1)))
    probability, centres = (torch.stack(x).mean(0) for x in zip(*of_each, strict=True))
    return probability, centres


def surface(network: PoseCnnNetwork, cuts: Float[Tensor, "n 3 y x"], kind: Int[Tensor, "n"], turns: int) -> Surface:
    """What cuts show, as `PoseCnnNetwork.surface`; `turns` as in `dense`."""
    seen = [(k, network.surface(torch.rot90(cuts, k, (2, 3)), kind)) for k in _quarters(turns)]
    shown = torch.stack([torch.rot90(s.shown, -k, (1, 2)) for k, s in seen]).mean(0)
    patch = torch.stack([torch.rot90(s.patch.softmax(1), -k, (2, 3)) for k, s in seen]).mean(0)
    return Surface(shown, patch.log())


def _quarters(turns: int) -> range:
    return range(0, 4, 4 // turns)


def _turned_back(direction: Float[Tensor, "n 2 i j"], quarters: int) -> Float[Tensor, "n 2 i j"]:
    """Directions (x to the right, y down) of a picture that was turned against the clock by so many quarters."""
    x, y = direction.unbind(1)
    for _ in range(quarters):
        x, y = -y, x
    return torch.stack([x, y], 1)
