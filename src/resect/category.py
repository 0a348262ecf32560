"""A category: one network of many instances, opened as a `Localizer` that finds the pose of any of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from resect import zoo
from resect.errors import unknown_name
from resect.localizer import Localizer
from resect.priors.view_grid import Centered, ViewGrid
from resect.protocols import Prior, Refiner
from resect.refine.category.inversion import CategoryInversion
from resect.refine.category.settings import CategorySettings
from resect.refine.judge import ErrorModel

GRID = "view-grid"
_TYPICAL_TURN = 0.02  # standard deviation, radians, of poses in a category that are right


def is_category(scene: Any) -> bool:
    """Whether a scene holds the instances of a category, seen from around."""
    return hasattr(scene, "learned")


def open_category(
    scene: Any,
    prior: Sequence[str] | None = None,
    count: int = 64,
    seed: int = 0,
    settings: CategorySettings | None = None,
) -> Localizer:
    """The localizer of a category.

    Args:
        scene: the network.
        prior: in the order to try them: "view-grid", views from all around at the heights that it was learned from, or
            folders of priors of rotations, which are put before the middle; an empty sequence needs a start for each
            photo.
        count: hypotheses to ask a prior for.
        seed: of all randomness.
        settings: of the inversion.
    """
    orbit, guesses = scene.learned.orbit, list[Prior]()
    for name in (GRID,) if prior is None else prior:
        if name == GRID:
            guesses.append(ViewGrid(orbit.center, orbit.radius, orbit.up, orbit.elevation_rad, inside=True))
        elif (Path(name) / "artifact.json").is_file():
            guesses.append(Centered(zoo.load(name, role="prior"), orbit.center, orbit.radius))
        else:
            raise unknown_name("--prior", name, [GRID, "a folder of a fitted prior"])
    errors = ErrorModel(scene.learned.residual, turn_rad=_TYPICAL_TURN, shift=_TYPICAL_TURN * orbit.radius)
    # The refiner asks more of its scene than that it renders, which the scene that was just read has.
    refiner = cast(Refiner, CategoryInversion(settings or CategorySettings(), errors))
    return Localizer(scene, guesses, refiner, scene.learned.camera, count, seed)
