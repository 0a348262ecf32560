"""Several static objects in one sequence: each is followed alone, then the path and the map are solved together.

Object 0 is the world. Another object is registered to it in the frames that show both (or through a third one), as in
the object-centric odometry of "Reconstruct, Rasterize and Backprop" (systems: C60); differs: all frames register it,
and the places are solved again with the whole path.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.align import mean_rotation
from resect.geometry.se3 import SE3
from resect.geometry.trajectory import Trajectory
from resect.tracking.smooth import Measurement, Smoothed, SmoothSettings, smooth
from resect.tracking.tracker import TrackedFrame


@dataclass(frozen=True, eq=False)
class Track:
    """A sequence's answer.

    Attributes:
        seconds: of every frame, in the tracker's clock.
        names: of every frame.
        objects: what became of each object in every frame.
        rows: the frames that have a pose.
        cam_from_world: of those, the camera's pose with object 0 as the world.
        covariance: of δ in exp(δ) @ cam_from_world.
        world_from_obj: where each object is; objects that were never registered are left out.
        registered: which objects those are.
        notes: what a reader should know.
    """

    seconds: Float[Tensor, "n"]
    names: tuple[str, ...]
    objects: tuple[tuple[TrackedFrame, ...], ...]
    rows: tuple[int, ...]
    cam_from_world: SE3
    covariance: Float[Tensor, "r 6 6"]
    world_from_obj: SE3
    registered: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def trajectory(self, stamps: Sequence[str] | None = None) -> Trajectory:
        """The camera's path, without the frames that have no pose; `stamps` are the frames' own times, as text."""
        text = stamps or [f"{s:.6f}".rstrip("0").rstrip(".") for s in self.seconds.tolist()]
        kept = tuple(text[k] for k in self.rows)
        seconds = torch.tensor([float(s) for s in kept], dtype=torch.float64)
        return Trajectory(seconds, self.cam_from_world.inverse(), kept)


def combine(
    tracked: Sequence[Sequence[TrackedFrame]], settings: SmoothSettings | None = None, *, smoothed: bool = True
) -> Track:
    """The camera's path from the objects' poses.

    Args:
        tracked: of each object, its frames; the same frames for all.
        settings: how the path is smoothed.
        smoothed: without it, a frame's pose is what object 0 says (else the first registered object that was seen).

    Raises:
        ResectError: the world's object was never found.
    """
    frames = [list(t) for t in tracked]
    if not frames or any([f.name for f in t] != [f.name for f in frames[0]] for t in frames):
        raise ResectError("combine", "the same frames of every object", "different ones")
    if not any(f.fate.ok for f in frames[0]):
        why = ", ".join(sorted({f"{f.fate.name} ({f.status.name})" for f in frames[0]})) or "no frames"
        fix = "Give a start or a mask of the first frame, and check the camera and the mesh's units."
        raise ResectError("track", "the first object found in some frame", why, fix)
    seconds = torch.tensor([f.seconds for f in frames[0]], dtype=torch.float64)
    places = _register(frames)
    poses = {
        t: cam @ places[k].inverse()
        for t in range(len(seconds))
        for k in sorted(places, reverse=True)
        if (cam := frames[k][t].cam_from_world) is not None
    }
    rows = tuple(sorted(poses))
    start = SE3.stack([poses[t] for t in rows])
    names = tuple(f.name for f in frames[0])
    lost = tuple(k for k in range(len(frames)) if k not in places)
    notes = tuple(f"Object {k} was never seen together with a registered one: it is not part of the map." for k in lost)
    order = tuple(sorted(places))
    measured = _measurements(frames, rows, order)
    track = Track(
        seconds, names, tuple(tuple(t) for t in frames), rows, start, _raw_covariance(measured, len(rows)),
        SE3.stack([places[k] for k in order]), order, notes,
    )  # fmt: skip
    if not smoothed:
        return track
    found = smooth(seconds[list(rows)], start, track.world_from_obj, measured, settings)
    return _with(track, found, measured)


def _with(track: Track, found: Smoothed, measured: Measurement) -> Track:
    doubted = int((found.weight < 0.5).sum())
    notes = list(track.notes)
    if doubted:
        notes.append(
            f"{doubted} of {len(found.weight)} measured poses disagree with the path and count less than half."
        )
    if not found.converged:
        notes.append("Smoothing did not converge; the path is where its steps ended.")
    return replace(
        track,
        cam_from_world=found.cam_from_world,
        covariance=found.covariance,
        world_from_obj=found.world_from_obj,
        notes=tuple(notes),
    )


def _register(frames: Sequence[Sequence[TrackedFrame]]) -> dict[int, SE3]:
    """`world_from_obj` of every object that is linked to object 0 by frames that show both."""
    places = {0: SE3.identity(dtype=torch.float64)}
    while True:
        links = {
            k: [
                places[j] @ a.inverse() @ b
                for j in places
                for one, other in zip(frames[j], frames[k], strict=True)
                if (a := one.cam_from_world) is not None and (b := other.cam_from_world) is not None
            ]
            for k in range(len(frames))
            if k not in places
        }
        found = {k: _middle(SE3.stack(ways)) for k, ways in links.items() if ways}
        if not found:
            return places
        places.update(found)


def _middle(poses: SE3) -> SE3:
    """A robust mean: the median of the shifts, and the mean of the rotations nearest to it."""
    t = poses.t.median(0).values
    near = (poses.t - t).norm(dim=-1)
    keep = near <= near.median()
    return SE3(mean_rotation(poses.R[keep]), t)


def _measurements(frames: Sequence[Sequence[TrackedFrame]], rows: Sequence[int], order: Sequence[int]) -> Measurement:
    seen = [
        (r, place, cam, covariance)
        for place, k in enumerate(order)
        for r, t in enumerate(rows)
        if (cam := frames[k][t].cam_from_world) is not None and (covariance := frames[k][t].covariance) is not None
    ]
    return Measurement(
        torch.tensor([r for r, *_ in seen]),
        torch.tensor([place for _, place, *_ in seen]),
        SE3.stack([cam for _, _, cam, _ in seen]).double(),
        torch.linalg.inv(torch.stack([c for *_, c in seen]).double()),
    )


def _raw_covariance(m: Measurement, count: int) -> Float[Tensor, "n 6 6"]:
    """Of each frame, of the object that its pose was taken from: the first."""
    first = torch.full((count,), -1)
    for i in range(len(m.frame) - 1, -1, -1):
        first[m.frame[i]] = i
    return torch.linalg.inv(m.information[first])
