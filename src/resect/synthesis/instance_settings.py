"""How many instances of a category to picture, and how. Torch-free."""

from dataclasses import dataclass

from resect.errors import ResectError


@dataclass(frozen=True)
class InstanceSettings:
    """How many instances and views; docs/decisions/category-views.md has the whole specification."""

    train: int = 200
    """Procedural instances to learn; of a folder of meshes all that are not unseen."""
    unseen: int = 20
    """Instances kept apart."""
    views: int = 50
    """Views to learn of each instance."""
    other_views: int = 10
    """Other views of the same instances."""
    unseen_views: int = 20
    """Views of each unseen instance."""
    side: int = 64
    """Pixels of a view's side."""
    distance: float = 1.7
    """Of the camera from the middle, in longest sides of the instance."""
    elevation_deg: tuple[float, float] = (0.0, 60.0)
    """Least and greatest; the sine of the elevation is uniform between."""

    def __post_init__(self) -> None:
        limits = {
            "train": (1, 10**5), "unseen": (0, 10**5), "views": (1, 10**4), "other_views": (0, 10**4),
            "unseen_views": (1, 10**4), "side": (4, 2048), "distance": (0.9, 100),
        }  # fmt: skip
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                fix = f"Give --instances.{name.replace('_', '-')} within these bounds."
                raise ResectError(f"instances.{name}", f"{least} to {most}", str(getattr(self, name)), fix)
        low, high = self.elevation_deg
        if not -89 <= low < high <= 89:
            fix = "Give --instances.elevation-deg 0 60: heights of the cameras over the object."
            raise ResectError("instances.elevation-deg", "two angles within ±89, the least first", f"{low} {high}", fix)
