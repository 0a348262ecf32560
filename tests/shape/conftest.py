from pathlib import Path

import pytest

from resect.data.procedural_shapes.make import make_shapes
from resect.data.procedural_shapes.settings import ProceduralSettings
from resect.shape.settings import OccupancySettings

TINY = OccupancySettings(
    encoder_width=4, side=32, code=8, width=8, blocks=1, frequencies=2, points=64, batch=4, steps=8, tensorboard=False
)


@pytest.fixture(scope="session")
def chairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("chairs")
    small = ProceduralSettings(train=6, val=2, test=2, views=2, side=40, points=2000, train_points=1000, surface=300)
    make_shapes("chair", small, out)
    return out


@pytest.fixture
def tiny() -> OccupancySettings:
    return TINY
