"""How many procedural shapes, and what is kept of each."""

from dataclasses import dataclass

from resect.errors import ResectError

_MOST = 1_000_000


@dataclass(frozen=True)
class ProceduralSettings:
    """How many shapes, and what is kept of each."""

    train: int = 4000
    """Shapes to learn from."""
    val: int = 100
    """Shapes to choose a checkpoint by."""
    test: int = 100
    """Shapes to report."""
    views: int = 8
    """Pictures of each training and validation shape; test shapes have them too."""
    side: int = 96
    """Pixels of a picture's side."""
    points: int = 100_000
    """Points uniform in the cube, of validation and test shapes."""
    train_points: int = 8192
    """Points uniform in the cube, of training shapes, and as many near the surface."""
    surface: int = 4096
    """Points on the surface."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        limits = {
            "train": 0,
            "val": 0,
            "test": 0,
            "views": 1,
            "side": 16,
            "points": 64,
            "train_points": 64,
            "surface": 64,
        }
        for name, least in limits.items():
            if not least <= getattr(self, name) <= _MOST:
                raise ResectError(f"procedural settings: {name}", f"{least} to {_MOST}", str(getattr(self, name)))
