"""Features of a held backbone in place of pictures."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.posecnn.table import CAMERA, TINY, table

from resect.errors import ResectError
from resect.nn.freeze import Frozen
from resect.priors.posecnn.batches import Batches
from resect.priors.posecnn.fit import fit
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.looks import Looks
from resect.priors.posecnn.loss import loss_of
from resect.priors.posecnn.network import make_network
from resect.priors.posecnn.objects import known_objects
from resect.training.loop import Turn

HELD = replace(TINY, held=("backbone.",), looks=2, batch=3)


def test_features_stand_for_the_pictures_they_were_made_of() -> None:
    objects = known_objects(table(), HELD.points, HELD.patches, torch.Generator().manual_seed(0))
    network = make_network(HELD, len(objects), 0).eval()
    Frozen(network, HELD.held)
    pictures = Batches(Frames(table(), objects, HELD, CAMERA), HELD, 1.3, objects)
    looks = Looks(pictures, network)
    one = looks._one(7, 1)
    again = pictures.of([0], torch.Generator().manual_seed(7 * 1_000_000_007 + 1))
    assert torch.equal(one.label, again.label)
    loss = loss_of(objects, HELD)
    as_float = replace(one, picture=[x.float() for x in one.picture], cut=[x.float() for x in one.cut])
    with torch.no_grad():
        mine, true = (float(loss(network, b)["loss"]) for b in (as_float, again))
    assert mine == pytest.approx(true, rel=1e-3)  # half precision


def test_a_photo_is_looked_at_in_so_many_ways_and_no_more() -> None:
    objects = known_objects(table(), HELD.points, HELD.patches, torch.Generator().manual_seed(0))
    network = make_network(HELD, len(objects), 0)
    Frozen(network, HELD.held)
    pictures = Batches(Frames(table(), objects, HELD, CAMERA), HELD, 1.3, objects)
    seen, of = list[int](), pictures.of

    def counted(rows: list[int], g: torch.Generator) -> object:
        seen.extend(rows)
        return of(rows, g)

    pictures.of = counted  # type: ignore[method-assign, assignment]
    looks = Looks(pictures, network)
    first = looks.batch(Turn(0, 0))
    for step in range(1, 20):
        looks.batch(Turn(step, 0))
    assert len(seen) == 2 * len(pictures.frames)
    assert torch.equal(first.picture[0], looks.batch(Turn(0, 0)).picture[0])
    assert len(first.label) == 3
    forgetful = Looks(pictures, network)
    forgetful._left = 0
    assert torch.equal(first.picture[0], forgetful.batch(Turn(0, 0)).picture[0])


def test_a_held_backbone_stays_and_the_rest_learns(tmp_path: Path) -> None:
    made = fit(table(), HELD, out=tmp_path / "whole")
    first = make_network(HELD, 2, HELD.seed).state_dict()
    now = made.network.state_dict()
    moved = {k.partition(".")[0] for k in now if not torch.equal(now[k], first[k])}
    assert moved == {"labels", "centres", "surfaces"}


def test_a_backbone_that_learns_is_looked_at_anew() -> None:
    with pytest.raises(ResectError, match="held"):
        fit(table(), replace(HELD, held=("backbone.body.features.0.",)))
