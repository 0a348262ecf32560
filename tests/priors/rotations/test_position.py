from dataclasses import replace

import torch
from tests.priors.rotations.placed import draw, placed

from resect.geometry.camera import Camera
from resect.priors.rotations.batches import Pictures
from resect.priors.rotations.position import covariance_of, position_of, told
from resect.priors.rotations.settings import RotationSettings
from resect.training.loop import Turn

SETTINGS = RotationSettings(side=32, batch=8, tensorboard=False)
THERE = torch.tensor([[0.3, -0.2, 5.0], [-1.0, 0.5, 2.0]], dtype=torch.float64)
FOCAL = torch.tensor([2.0, 0.7], dtype=torch.float64)


def test_positions_are_told_and_understood() -> None:
    torch.testing.assert_close(position_of(told(THERE, FOCAL), FOCAL), THERE)
    # Seen at the edge of the picture, half as wide as far.
    assert told(torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([2.0]))[0].tolist() == [1.0, 0.0, 0.0]


def test_twice_as_far_through_twice_the_focal_length_is_told_alike() -> None:
    twice = THERE * torch.tensor([1.0, 1.0, 2.0])
    torch.testing.assert_close(told(twice, 2 * FOCAL), told(THERE, FOCAL))


def test_covariance_is_that_of_finite_differences() -> None:
    numbers, spread, step = told(THERE, FOCAL), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), 1e-5
    moves = step * torch.eye(3, dtype=torch.float64)
    columns = [(position_of(numbers + m, FOCAL) - position_of(numbers - m, FOCAL)) / (2 * step) for m in moves]
    slope = torch.stack(columns, -1)
    torch.testing.assert_close(covariance_of(numbers, FOCAL, spread), slope * spread.square() @ slope.mT)


def test_pictures_show_their_positions_rolled_or_not() -> None:
    """Drawn anew by the picture's own camera from what the batch says, they are the same pictures."""
    data = placed()
    focal = Pictures(data, SETTINGS).view(0).focal
    assert focal is not None
    own = Camera(focal * 16, focal * 16, 16.0, 16.0, 32, 32)
    for roll in (0.0, 180.0):
        batch = Pictures(data, replace(SETTINGS, roll_deg=roll)).batch(Turn(0, 0))
        assert batch.position is not None
        stands = position_of(batch.position, torch.full((8,), focal, dtype=torch.float64))
        again = torch.stack([draw(r, t, own) for r, t in zip(batch.rotation, stands, strict=True)])
        elsewhere = torch.stack([draw(r, t + 0.3, own) for r, t in zip(batch.rotation, stands, strict=True)])
        # A photo is wider than high: beyond it the picture goes on as its edge.
        off, far = (
            float((batch.picture.permute(0, 2, 3, 1) - it)[:, 10:22, 10:22].abs().mean()) for it in (again, elsewhere)
        )
        assert off < 0.02
        assert far > 3 * off


def test_positions_are_not_made_up() -> None:
    data = placed()
    assert Pictures(replace(data, translation=None), SETTINGS).rows([0]).position is None
    unknown = replace(data, load=lambda i: replace(data.photo(i), camera=None))
    assert Pictures(unknown, SETTINGS).rows([0, 1]).position is None
