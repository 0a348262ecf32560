"""How many crops of models to draw, and how."""

from dataclasses import dataclass

from resect.errors import ResectError


@dataclass(frozen=True)
class ViewSettings:
    """How many crops of models to draw, and how; see `synthesis/views` for the whole specification."""

    images: int = 6000
    """Crops to draw; models take turns."""
    side: int = 96
    """Pixels of a crop's side."""
    elevation_deg: tuple[float, float] = (-5.0, 50.0)
    """Least and greatest elevation, where no views are given to draw like."""
    tilt_deg: float = 5.0
    """Standard deviation of the tilt, where no views are given."""
    distance: tuple[float, float] = (1.6, 2.6)
    """Least and greatest distance of the camera, in longest sides of the model."""
    spread_deg: tuple[float, float, float] = (10.0, 5.0, 3.0)
    """Bandwidths of the kernels about given views: azimuth, elevation, tilt."""
    cluttered: float = 0.8
    """Share of the backgrounds that are pictures or textures; the others are of one colour."""
    truncated: float = 0.3
    """Share of the crops that cut something off."""
    cut: float = 0.3
    """Most that is cut off a side, part of the box."""
    margin: float = 0.1
    """Most that is added to a side that is not cut, part of the box."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {"images": (1, 10_000_000), "side": (16, 1024), "cluttered": (0, 1)}
        limits |= {"truncated": (0, 1), "cut": (0, 0.45), "margin": (0, 1), "tilt_deg": (0, 180)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ResectError(f"view settings: {name}", f"{low} to {high}", str(getattr(self, name)))
        if not -90 <= self.elevation_deg[0] <= self.elevation_deg[1] <= 90:
            raise ResectError("view settings: elevation_deg", "-90 <= least <= greatest <= 90", str(self.elevation_deg))
        if not 1 < self.distance[0] <= self.distance[1]:
            raise ResectError("view settings: distance", "1 < least <= greatest", str(self.distance))
