"""Quarter turns of a network that does not mind them change nothing; of another one, each counts."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from tests.priors.posecnn.table import TINY
from torch import Tensor

from resect.errors import ResectError
from resect.priors.posecnn import rolled
from resect.priors.posecnn.network import PoseCnnNetwork, make_network
from resect.priors.posecnn.surface import Surface

G = torch.Generator().manual_seed(0)
PICTURE = torch.rand(3, 6, 9, generator=G)


class Indifferent:
    """Says where the brightest pixel is, of every pixel; labels and depths are colours."""

    def maps(self, picture: Tensor) -> list[Tensor]:
        return [picture]

    def dense(self, maps: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        picture = maps[0][0]
        assert picture.shape[1:] == size
        y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
        row, column = divmod(int(picture[0].argmax()), size[1])
        way = torch.stack([column - x, row - y])
        return picture[None, :2], torch.cat([7 * way, picture[2:]])[None, None]

    def surface(self, cuts: Tensor, kind: Tensor) -> Surface:
        return Surface(cuts[:, 0], cuts[:, kind + 1])


INDIFFERENT = cast(PoseCnnNetwork, Indifferent())


@pytest.mark.parametrize("turns", [2, 4])
def test_turns_are_turned_back(turns: int) -> None:
    probability, centres = rolled.dense(INDIFFERENT, PICTURE, 1)
    assert torch.equal(probability, PICTURE[:2].softmax(0))
    also = rolled.dense(INDIFFERENT, PICTURE, turns)
    torch.testing.assert_close(also[0], probability)
    torch.testing.assert_close(also[1], centres)
    cuts, kind = torch.rand(2, 3, 5, 5, generator=G), torch.tensor([0, 1])
    one, all_turns = (rolled.surface(INDIFFERENT, cuts, kind, n) for n in (1, turns))
    torch.testing.assert_close(all_turns.shown, one.shown)
    torch.testing.assert_close(all_turns.patch.softmax(1), one.patch.softmax(1))


def test_each_turn_counts() -> None:
    network = make_network(TINY, 2, 0).eval()
    picture = torch.rand(3, 72, 96, generator=G)
    with torch.no_grad():
        upright, _ = rolled.dense(network, picture, 1)
        over, _ = rolled.dense(network, torch.rot90(picture, 2, (1, 2)), 1)
        both, _ = rolled.dense(network, picture, 2)
    torch.testing.assert_close(both, (upright + torch.rot90(over, 2, (1, 2))) / 2)
    assert not torch.allclose(upright, both, atol=1e-4)


def test_more_turns_than_there_are_are_refused() -> None:
    with pytest.raises(ResectError, match="turns"):
        replace(TINY, turns=cast(Any, 3))
