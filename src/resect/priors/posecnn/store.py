"""What a PoseCNN's artefact says of its objects, and the checks of it."""

from typing import Any

from torch import Tensor

from resect.errors import ResectError
from resect.priors.posecnn.objects import KnownObject

_MOST_CLASSES = 1000
_OWN = ("points", "patches", "middle", "symmetries")


def object_tensors(objects: tuple[KnownObject, ...]) -> dict[str, Tensor]:
    """Points, patches, middle and symmetries of each, by name."""
    return {f"objects.{i}.{k}": getattr(o, k) for i, o in enumerate(objects) for k in _OWN}


def checked_objects(
    facts: dict[str, Any], tensors: dict[str, Tensor], patches: int, where: str
) -> tuple[tuple[KnownObject, ...], float, float | None]:
    """Objects of so many patches, mean depth and units, as an artefact has them."""
    names, sizes, depth, meters = (facts.get(k) for k in ("names", "diameters", "depth", "meters_per_unit"))
    try:
        rows = list(zip(map(str, names), map(float, sizes), strict=True))  # type: ignore[arg-type]
        objects = tuple(
            KnownObject(name, diameter=size, **{k: tensors[f"objects.{i}.{k}"] for k in _OWN})
            for i, (name, size) in enumerate(rows)
        )
        mean, unit = float(depth), None if meters is None else float(meters)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise ResectError(where, "the objects of a PoseCNN", str(error)[:80] or "others", "Fit it again.") from None
    shaped = all(
        o.points.shape[1:] == o.middle.shape == (3,)
        and o.patches.shape == (patches, 3)
        and o.symmetries.shape[1:] == (3, 3)
        for o in objects
    )
    sound = 0 < mean < float("inf") and all(o.diameter > 0 for o in objects)
    if not (0 < len(objects) <= _MOST_CLASSES and shaped and sound):
        raise ResectError(where, "the objects of a PoseCNN", f"{len(objects)}, mean depth {mean:g}", "Fit it again.")
    return objects, mean, unit
