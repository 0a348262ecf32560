"""Where objects stand in a place: similarities from detections in photos whose poses are known.

An object that stands still has one frame in the world: x_world = s R x_obj + t, with one scale s for all objects, as
their units are the same. Each detection in a posed photo says what R is, R = R_world←cam R_cam←obj, and where the
object's origin lies, t = s R_world←cam t_cam←obj + c_world, which is linear in s and t. Rotations have no part in that:
what they are off would move the camera, seen from the object, and would make s too small.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.align import mean_rotation
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.priors.object_frames.settings import ObjectFrameSettings

_FIX = "Are these photos of the place with the objects in it? Is the detector good enough?"


@dataclass(frozen=True, eq=False)
class Sighting:
    """One object in all photos that it was detected in.

    Attributes:
        cam_from_world: of the photos, the truth.
        cam_from_obj: as detected.
    """

    cam_from_world: SE3
    cam_from_obj: SE3


@dataclass(frozen=True, eq=False)
class Standing:
    """Where an object stands.

    Attributes:
        world_from_obj: its frame.
        photos: that it was detected in.
        turn_rad: median angle by which the detections disagree.
        shift: median distance by which the object's places do, world units.
        aim_rad: median angle between the ways to its place and to where it is seen.
        away: median error of its distance, part of it.
    """

    world_from_obj: Sim3
    photos: int
    turn_rad: float
    shift: float
    aim_rad: float
    away: float


def register(sightings: Mapping[str, Sighting], settings: ObjectFrameSettings) -> dict[str, Standing]:
    """Frames of the objects whose detections agree; others, such as symmetric ones, are left out.

    Raises:
        ResectError: none agrees, or the photos do not say the scale.
    """
    turned = {name: found for name, s in sightings.items() if (found := _rotation(s, settings)) is not None}
    if not turned:
        seen = ", ".join(f"{name} {len(s.cam_from_obj)}" for name, s in sightings.items()) or "none"
        raise ResectError("frames of objects", "detections that agree in several photos", f"detections: {seen}", _FIX)
    far = {name: _spread(sightings, name, found, settings) for name, found in turned.items()}
    still = {name: found for name, found in turned.items() if far[name] <= settings.agree_shift}
    if not still:
        got = ", ".join(f"places of {name} that differ by {x:.2g} of its distance" for name, x in far.items())
        raise ResectError("frames of objects", "detections that agree in several photos", got, _FIX)
    standing = _solved(sightings, still, settings)
    if not all(float(s.world_from_obj.s) > 0 for s in standing.values()):
        raise ResectError("frames of objects", "cameras at different places", "a scale that is not positive")
    return standing


def _solved(
    sightings: Mapping[str, Sighting], turned: Mapping[str, tuple[Tensor, Tensor]], settings: ObjectFrameSettings
) -> dict[str, Standing]:
    """All frames with their one scale."""
    a, b, of = _equations(sightings, turned)
    x = _robust(a, b, len(turned), settings.rounds)
    scale, shifts = float(x[0]), x[1:].view(-1, 3)
    gap = (a @ x - b).view(-1, 3).norm(dim=-1)
    standing = {}
    for k, (name, (rotation, off)) in enumerate(turned.items()):
        frame = Sim3(torch.tensor(scale, dtype=torch.float64), rotation, shifts[k])
        agree = off < math.radians(settings.agree_deg)
        aim, away = _apart(sightings[name], frame)
        found = (off.median(), gap[of == k][agree].median(), aim[agree].median(), away[agree].median())
        standing[name] = Standing(frame, int((of == k).sum()), *map(float, found))
    return standing


def _apart(s: Sighting, frame: Sim3) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Of each detection the angle between the ways to the object's place and to where it is seen, error of distance."""
    true = s.cam_from_world.double().apply(frame.t.expand(len(s.cam_from_obj), 1, 3))[:, 0]
    seen = float(frame.s) * s.cam_from_obj.t.double()
    far, length = true.norm(dim=-1), seen.norm(dim=-1)
    sine, cosine = torch.linalg.cross(true, seen).norm(dim=-1), (true * seen).sum(-1)
    return torch.atan2(sine, cosine), (length / far - 1).abs()


def _spread(
    sightings: Mapping[str, Sighting], name: str, found: tuple[Tensor, Tensor], settings: ObjectFrameSettings
) -> float:
    """How far off the places of one object are by itself, parts of its distance; infinite where it says none.

    Alone, as the one scale of all would make what moves stand still: by putting all cameras in one place.
    """
    alone = _solved(sightings, {name: found}, settings)[name]
    support = found[1] < math.radians(settings.agree_deg)
    away = float(alone.world_from_obj.s) * float(sightings[name].cam_from_obj.t.double().norm(dim=-1)[support].median())
    return alone.shift / away if away > 0 else math.inf


def _rotation(s: Sighting, settings: ObjectFrameSettings) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "n"]] | None:
    """The rotation that most detections support, averaged over them, and how far off each is."""
    each = s.cam_from_world.R.double().mT @ s.cam_from_obj.R.double()
    n = len(each)
    if n < settings.least:
        return None
    apart = so3.angle(each[:, None].expand(n, n, 3, 3), each[None].expand(n, n, 3, 3))
    support = (apart < torch.deg2rad(torch.tensor(settings.agree_deg))).sum(1)
    best = int(support.argmax())
    if int(support[best]) < max(2, settings.share * n):
        return None
    mean = mean_rotation(each[apart[best] < torch.deg2rad(torch.tensor(settings.agree_deg))])
    return mean, so3.angle(mean.expand_as(each), each)


def _equations(
    sightings: Mapping[str, Sighting], turned: Mapping[str, tuple[Tensor, Tensor]]
) -> tuple[Float[Tensor, "m k"], Float[Tensor, "m"], Tensor]:
    """Rows of t − s R t_cam = c_world for the unknowns (s, t of each object), and which object each three are of."""
    rows, right, of = [], [], []
    for k, name in enumerate(turned):
        s = sightings[name]
        pose, seen = s.cam_from_world.double(), s.cam_from_obj.t.double()
        block = torch.zeros(len(seen), 3, 1 + 3 * len(turned), dtype=torch.float64)
        block[:, :, 0] = -(pose.R.mT @ seen[..., None])[..., 0]
        block[:, :, 1 + 3 * k : 4 + 3 * k] = torch.eye(3, dtype=torch.float64)
        rows.append(block.flatten(0, 1))
        right.append(pose.center.flatten())
        of.append(torch.full((len(seen),), k))
    return torch.cat(rows), torch.cat(right), torch.cat(of)


def _robust(a: Tensor, b: Tensor, objects: int, rounds: int) -> Tensor:
    """Least sum of distances rather than of their squares: detections that are far off hardly count."""
    if len(b) // 3 <= objects:
        raise ResectError("frames of objects", "more photos than objects", f"{len(b) // 3} detections")
    weight = torch.ones(len(b) // 3, dtype=torch.float64)
    x = torch.zeros(a.shape[1], dtype=torch.float64)
    for _ in range(rounds):
        root = weight.sqrt().repeat_interleave(3)
        x = torch.linalg.lstsq(root[:, None] * a, root * b).solution
        gap = (a @ x - b).view(-1, 3).norm(dim=-1)
        weight = 1 / gap.clamp_min(0.1 * float(gap.median()) + 1e-12)
        weight = weight / weight.max()
    return x
