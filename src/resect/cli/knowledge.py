"""What the user knows of a pose: a start for each photo, a pose it is near, what of these is exact, which way is up."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.evaluation.pose_file import PoseRow
    from resect.geometry.se3 import SE3
    from resect.priors.given import Given
    from resect.types import Hypotheses

_POSE_FILES = (".csv", ".txt", ".tum")


@dataclass(frozen=True)
class Sigma:
    """How far off a given pose may be: standard deviations of each angle and of each coordinate of the centre.

    Attributes:
        deg: of each angle.
        units: of each coordinate, world units.
        about: the point that is turned about and whose place is meant; `None` is the camera's centre.
    """

    deg: float
    units: float
    about: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for value in (self.deg, self.units):
            if not (math.isfinite(value) and value > 0):
                raise ResectError("--sigma", "two positive numbers: degrees, part of the scene's scale", str(value))


def read_starts(path: Path, sigma: Sigma) -> "Callable[[str], Hypotheses]":
    """A function from a photo's name to its start: of a JSON file the same for all, of a pose file the photo's own.

    Raises:
        ResectError: the file is none of these, or its poses were made from the truth.
    """
    from resect.priors.given import Given

    if path.suffix.lower() not in _POSE_FILES:
        found = Given.from_file(path, sigma_deg=sigma.deg, sigma_units=sigma.units, about=sigma.about).hypotheses
        return lambda name: found
    from resect.evaluation.pose_file import read_poses

    rows = read_poses(path).rows
    if any(row.oracle for row in rows):
        fix = "To measure with such starts there is 'resect benchmark'."
        raise ResectError(path, "starts that do not know the truth", "oracle starts", fix)
    return lambda name: _hypotheses(_rows_of(path, rows, name), sigma)


def read_near(path: Path, sigma: Sigma) -> "Given":
    """One pose that all photos are near."""
    from resect.priors.given import Given

    start = read_starts(path, sigma)("")
    if len(start) != 1:
        raise ResectError(path, "one pose", str(len(start)), "For a pose per photo there is --start.")
    return Given(start.cam_from_world[0], sigma.deg, sigma.units, source="near")


def lock_names(names: Sequence[str], *, anchored: bool) -> tuple[str, ...]:
    """The degrees of freedom of --lock, apart or joined by commas, checked.

    Args:
        anchored: whether there is a pose to keep them from.
    """
    if not names:
        return ()
    from resect.refine.lock import locked_of

    parts = tuple(part for name in names for part in name.split(",") if part)
    locked_of(parts)
    if not anchored:
        fix = "Give --start POSE, or --near POSE, from which it is kept."
        raise ResectError("--lock", "a pose to keep it from", "neither --start nor --near", fix)
    return parts


def near_term(near: "Given") -> Any:
    """The pose information of `near` as a term that answers are fused with (`refine.rows`)."""
    import torch

    from resect.geometry.se3 import SE3
    from resect.refine.rows import pose_information

    pose, information = near.cam_from_world, _information(near.hypotheses)

    def system(state: Any) -> Any:
        h = len(state.cam_from_world)
        mean = SE3(pose.R.expand(h, 3, 3), pose.t.expand(h, 3))
        return pose_information(mean, information.expand(h, 6, 6))(replace(state, index=torch.arange(h)))

    return system


def narrowed(prior: Any, near: "Given") -> Any:
    """The prior's guesses that are near."""
    from resect.priors.near import Near

    return Near(prior, near.cam_from_world, _information(near.hypotheses))


def sigmas_from(near: "Given", pose: "SE3") -> float:
    """How far a pose is from `near`, in units of σ."""
    from resect.priors.near import squared_distance

    return float(squared_distance(pose[None], near.cam_from_world, _information(near.hypotheses)).sqrt())


def up_term(up_cam: tuple[float, float, float], up_world: tuple[float, float, float], sigma_deg: float) -> Any:
    """Up as the camera saw it, as a term that answers are fused with."""
    import torch

    from resect.refine.rows import up_direction

    for flag, direction in (("--up", up_cam), ("--world-up", up_world)):
        if not (all(map(math.isfinite, direction)) and any(direction)):
            raise ResectError(flag, "a direction: three numbers, not all zero", str(direction))
    if not (math.isfinite(sigma_deg) and sigma_deg > 0):
        raise ResectError("--up-sigma", "a positive number of degrees", str(sigma_deg))
    seen, there = (torch.tensor(d, dtype=torch.float64) for d in (up_cam, up_world))
    return up_direction(there, seen, math.radians(sigma_deg))


def _information(start: "Hypotheses") -> Any:
    assert start.information is not None
    return start.information[0].double()


def _rows_of(path: Path, rows: "tuple[PoseRow, ...]", name: str) -> "list[PoseRow]":
    """The rows of a photo by its path, else by its file name; a file with one photo serves all."""
    names = {row.photo for row in rows}
    same = {n for n in names if n == name} or {n for n in names if n.rpartition("/")[2] == name.rpartition("/")[2]}
    chosen = same if len(same) == 1 else names
    if len(chosen) != 1:
        if not name:
            raise ResectError(path, "the pose of one photo", f"{len(names)} photos", "Keep the rows of one of them.")
        got = f"{len(same) or 'none'} that could be it, among {len(names)} photos"
        raise ResectError(path, f"rows of '{name}'", got, "Give --start another file, or leave the photo out.")
    return [row for row in rows if row.photo in chosen]


def _hypotheses(rows: "list[PoseRow]", sigma: Sigma) -> "Hypotheses":
    """The modes of one photo; those without a covariance get the one that `sigma` amounts to."""
    import torch

    from resect.geometry.se3 import SE3
    from resect.priors.given import Given
    from resect.types import Hypotheses

    known = [row for row in rows if row.cam_from_world is not None]
    if not known:
        return Hypotheses(SE3.identity(0), torch.zeros(0))
    variance = torch.tensor([sigma.units**2] * 3 + [math.radians(sigma.deg) ** 2] * 3, dtype=torch.float64)
    # A covariance that was written with a direction of (nearly) no spread still has an inverse this way.
    least = 1e-9 * torch.diag(variance)
    poses = [row.cam_from_world for row in known if row.cam_from_world is not None]
    information = [
        _information(Given(pose, sigma.deg, sigma.units, about=sigma.about).hypotheses)
        if row.covariance is None
        else torch.linalg.inv(row.covariance.double() + least)
        for row, pose in zip(known, poses, strict=True)
    ]
    weights = torch.tensor([0.0 if row.log_weight is None else row.log_weight for row in known])
    return Hypotheses(SE3.stack(poses), weights, torch.stack(information), source=("given",) * len(known))
