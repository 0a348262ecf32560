"""What is kept of each mesh of a category."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]


@dataclass(frozen=True)
class PrepareSettings:
    """What is kept of each mesh."""

    up: Axis = "+y"
    """Axis of the files that points upwards."""
    front: Axis = "+x"
    """Axis of the files that the objects face."""
    views: int = 24
    """Pictures of each shape."""
    side: int = 137
    """Pixels of a picture's side."""
    points: int = 100_000
    """Points uniform in the cube."""
    near: int = 100_000
    """Points near the surface; 0 writes none, as in the released data."""
    surface: int = 100_000
    """Points on the surface."""
    lines: int = 64
    """Lines of sight through each point, for meshes that are not closed."""
    thickness: float = 0.01
    """Of sheets in meshes that are not closed, in longest sides of the object."""
    val: float = 0.1
    """Share of the meshes to validate on."""
    test: float = 0.2
    """Share of the meshes to report on."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        if self.up[1] == self.front[1]:
            raise ResectError("prepare settings", "up and front along different axes", f"{self.up}, {self.front}")
        limits = {"views": 1, "side": 16, "points": 64, "near": 0, "surface": 64, "lines": 1}
        for name, least in limits.items():
            if not least <= getattr(self, name) <= 10_000_000:
                raise ResectError(f"prepare settings: {name}", f"{least} to 10000000", str(getattr(self, name)))
        if min(self.val, self.test) < 0 or self.val + self.test > 1 or not 0 <= self.thickness < 1:
            got = f"{self.val}, {self.test}, {self.thickness}"
            raise ResectError("prepare settings", "val + test in [0, 1], thickness in [0, 1)", got)
