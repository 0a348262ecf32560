"""How many photos of objects in clutter to draw, and how. Torch-free."""

from dataclasses import dataclass

from resect.errors import ResectError


@dataclass(frozen=True)
class ClutterSetSettings:
    """How many photos of objects in clutter to draw, and how; see `synthesis/clutter` for the whole specification."""

    images: int = 1600
    """Photos to draw."""
    width: int = 320
    """Of a photo, pixels."""
    height: int = 240
    """Of a photo, pixels."""
    fov_deg: float = 31.3
    """Horizontal field of view. A detector looks at photos of wider cameras in the size that it learned, so half of
    what they see gives it four times the pixels of each object."""
    objects: tuple[int, int] = (4, 8)
    """Least and most objects in a photo."""
    distance: tuple[float, float] = (3.5, 9.0)
    """Least and most distance of an object's middle, in median diameters of the models."""
    visible: float = 0.5
    """Least visible part of an object that is asked for."""
    textured: float = 0.3
    """Share of the photos that lie on random textures although there are pictures."""
    heap: float = 0.5
    """Share of the photos in which the objects lie in a heap: near each other, at nearly one distance."""
    ambient: tuple[float, float] = (0.2, 0.9)
    """Least and most light from everywhere; the rest comes from one side."""
    shadowed: float = 0.5
    """Share of the photos in which objects lie in light and shadow that nothing casts."""
    litter: tuple[int, int] = (6, 20)
    """Least and most further things that lie about in a photo and hide objects; see `synthesis/litter`."""
    exposure: tuple[float, float] = (-0.2, 0.35)
    """Mean and standard deviation of the logarithm of a photo's gain."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {"images": (1, 10_000_000), "width": (16, 4096), "height": (16, 4096)}
        limits |= {"fov_deg": (1, 179), "visible": (0, 1), "textured": (0, 1), "heap": (0, 1), "shadowed": (0, 1)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ResectError(f"clutter settings: {name}", f"{low} to {high}", str(getattr(self, name)))
        if not (abs(self.exposure[0]) <= 3 and 0 <= self.exposure[1] <= 3):
            raise ResectError("clutter settings: exposure", "a mean within ±3, a spread of 0 to 3", str(self.exposure))
        pairs = (
            ("objects", self.objects, 1),
            ("distance", self.distance, 1),
            ("litter", self.litter, 0),
            ("ambient", self.ambient, 0),
        )
        for name, pair, least in pairs:
            if not least <= pair[0] <= pair[1]:
                raise ResectError(f"clutter settings: {name}", f"{least} <= least <= most", str(pair))
