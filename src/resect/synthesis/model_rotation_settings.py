"""How many pictures of models at uniform rotations to draw, and how large. Torch-free."""

from dataclasses import dataclass

from resect.errors import ResectError


@dataclass(frozen=True)
class ModelRotationSettings:
    """How many pictures of models to draw, and how large."""

    views: int = 100
    """Pictures of each model; published: 100 or 20 to learn from, 20 to test with."""
    side: int = 224
    """Pixels of a picture's side."""
    seed: int = 0
    """Of the rotations; take 0 to learn from and 1 to test with."""

    def __post_init__(self) -> None:
        for name, (low, high) in {"views": (1, 100_000), "side": (16, 1024)}.items():
            if not low <= getattr(self, name) <= high:
                raise ResectError(f"model rotations: {name}", f"{low} to {high}", str(getattr(self, name)))
