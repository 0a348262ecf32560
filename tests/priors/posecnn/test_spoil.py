"""Training pictures of objects that look otherwise than their meshes."""

import math

import torch
from tests.priors.posecnn.table import CAMERA, TINY, table

from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.objects import known_objects
from resect.priors.posecnn.spoil import toned
from resect.priors.posecnn.views import joined


def test_each_object_has_a_tone_of_its_own_and_the_background_keeps_its_own() -> None:
    data, most = table(), 0.6
    frames = Frames(data, known_objects(data, 8, 4, torch.Generator().manual_seed(0)), TINY, CAMERA)
    before = joined([frames[0], frames[0]])
    after = toned(before, most, torch.Generator().manual_seed(0))
    nobody = (before.owner == 0)[:, None].expand_as(before.picture)
    assert torch.equal(after.picture[nobody], before.picture[nobody])
    powers = []
    for k in range(len(before.kind)):
        mine = (before.owner == k + 1)[:, None].expand_as(before.picture)
        old, new = before.picture[mine].double(), after.picture[mine].double()
        clear = (old > 20) & (old < 235)
        power = (new[clear] / 255).log() / (old[clear] / 255).log()
        powers.append(float(power.median()))
        assert float((power - powers[-1]).abs().quantile(0.9)) < 0.05  # bytes are rounded
        assert abs(math.log(powers[-1])) <= most + 0.05
    assert max(powers) - min(powers) > 0.1
    assert toned(before, 0.0, torch.Generator()) is before
