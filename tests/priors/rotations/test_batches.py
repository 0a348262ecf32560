from dataclasses import replace

import pytest
import torch
from tests.priors.rotations.blobs import blobs, draw

from resect.errors import ResectError
from resect.geometry import so3
from resect.priors.rotations.batches import Pictures, digest
from resect.priors.rotations.settings import RotationSettings
from resect.training.loop import Turn

SETTINGS = RotationSettings(side=32, batch=16, tensorboard=False)
READ = replace(blobs(), render=None)


def test_batches_depend_on_seed_and_step_alone() -> None:
    a, b = Pictures(READ, SETTINGS), Pictures(READ, replace(SETTINGS, memory_gb=0.0))
    first = a.batch(Turn(3, 7))
    a.batch(Turn(4, 7))
    for again in (a.batch(Turn(3, 7)), b.batch(Turn(3, 7))):
        assert torch.equal(first.picture, again.picture)
        assert torch.equal(first.rotation, again.rotation)
    assert not torch.equal(first.rotation, a.batch(Turn(3, 8)).rotation)


def test_processes_share_a_batch() -> None:
    pictures = Pictures(READ, replace(SETTINGS, roll_deg=90.0))
    whole = pictures.batch(Turn(1, 0))
    parts = [pictures.batch(Turn(1, 0, rank, 2)) for rank in range(2)]
    assert torch.equal(torch.stack([p.rotation for p in parts], 1).flatten(0, 1), whole.rotation)


@pytest.mark.parametrize("data", [READ, blobs()], ids=["read", "rendered"])
def test_pictures_show_their_rotations_rolled_or_not(data: object) -> None:
    for roll in (0.0, 180.0):
        batch = Pictures(data, replace(SETTINGS, roll_deg=roll)).batch(Turn(0, 0))  # type: ignore[arg-type]
        error = (batch.picture - draw(batch.rotation).permute(0, 3, 1, 2)).abs()
        assert float(error.max()) < 0.15
        assert float(error.mean()) < 0.004


def test_an_equivalent_is_drawn_only_where_asked_for() -> None:
    one = Pictures(READ, SETTINGS).batch(Turn(0, 0)).rotation
    other = Pictures(READ, replace(SETTINGS, equivalents="random")).batch(Turn(0, 0)).rotation
    angle = so3.angle(one, other)
    assert 0 < int((angle > 3).sum()) < len(angle)
    assert bool(((angle < 1e-6) | ((angle - torch.pi).abs() < 1e-6)).all())


def test_bad_sets_are_refused() -> None:
    with pytest.raises(ResectError, match="at least one"):
        Pictures(READ.subset([]), SETTINGS)
    with pytest.raises(ResectError, match="equivalents"):
        Pictures(replace(READ, equivalents=None), replace(SETTINGS, equivalents="random"))
    with pytest.raises(ResectError, match="at least one"):
        Pictures([], SETTINGS)  # type: ignore[arg-type]


def test_a_digest_tells_sets_apart() -> None:
    assert digest(blobs()) != digest(blobs(seed=1))
    assert digest(blobs()) == digest(blobs().subset(range(24)))
