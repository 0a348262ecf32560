"""One pose of the camera from all objects that were found: by where they are seen, and by how each is turned.

An object's pose alone leaves the camera as far off as its rotation is, at its distance: a decimetre for 10° at 0.6 m.
Where objects are seen is known much better, across the line of sight more than along it. All are weighed by what
training photos showed, and what disagrees hardly counts: Gauss–Newton with Cauchy's weights, from every start.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.object_frames.register import Standing

_ROUNDS = 20
_CAUCHY = 2.0  # standard deviations
_LEAST_ANGLE, _LEAST_AWAY = 2e-3, 1e-2  # what no few photos can show to be better
_PER_SIGMA = {"turn": 1.538, "aim": 1.177, "away": 0.6745}  # medians of a normal distribution's lengths in 3, 2, 1


def together(
    cam_from_obj: SE3, standing: Sequence[Standing], starts: SE3
) -> tuple[SE3, Float[Tensor, "6 6"], Bool[Tensor, "n"]]:
    """The pose that the objects agree on, its information, and which of them do.

    Args:
        cam_from_obj: as detected, of n objects, object units.
        standing: of each.
        starts: k cameras in the world to begin from.
    """
    at, root, turn, seen = _measured(cam_from_obj, standing)
    place = torch.stack([s.world_from_obj.t for s in standing])
    frame = torch.stack([s.world_from_obj.R for s in standing])
    pose = starts.double()
    for _ in range(_ROUNDS):
        normal, gradient, _ = _system(pose, place, frame, at, root, turn, seen)
        step = torch.linalg.solve(normal + 1e-9 * torch.eye(6, dtype=torch.float64), gradient)
        pose = SE3.exp(step) @ pose
    normal, _, far2 = _system(pose, place, frame, at, root, turn, seen)
    best = int(torch.log1p(far2 / _CAUCHY**2).sum((1, 2)).argmin())
    agree = far2[best, 0] < (3 * _CAUCHY) ** 2
    return pose[best], normal[best], agree


def _measured(cam_from_obj: SE3, standing: Sequence[Standing]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places in the camera's frame, world units; the roots of what is known of them; of the turns; the turns."""
    scale = torch.stack([s.world_from_obj.s for s in standing])
    at = scale[:, None] * cam_from_obj.t.double()
    away = at.norm(dim=-1)
    ray = at / away[:, None]
    along = ray[:, :, None] * ray[:, None]
    eye = torch.eye(3, dtype=torch.float64)
    root = [_root(s) for s in standing]
    across_root, along_root, turn = (torch.tensor(x, dtype=torch.float64) for x in zip(*root, strict=True))
    whole = (across_root[:, None, None] * (eye - along) + along_root[:, None, None] * along) / away[:, None, None]
    return at, whole, turn, cam_from_obj.R.double()


def _root(s: Standing) -> tuple[float, float, float]:
    """One over the standard deviations: of an angle of the way to it, of its distance (part of it), of a turn."""
    aim = max(s.aim_rad / _PER_SIGMA["aim"], _LEAST_ANGLE)
    away = max(s.away / _PER_SIGMA["away"], _LEAST_AWAY)
    return 1 / aim, 1 / away, 1 / max(s.turn_rad / _PER_SIGMA["turn"], math.radians(0.5))


def _system(
    pose: SE3, place: Tensor, frame: Tensor, at: Tensor, root: Tensor, turn: Tensor, seen: Tensor
) -> tuple[Float[Tensor, "k 6 6"], Float[Tensor, "k 6"], Float[Tensor, "k 2 n"]]:
    """Weighted normal matrices and gradients, and the squared lengths of residuals of places and of turns."""
    k, n = len(pose), len(place)
    where = pose.apply(place.expand(k, n, 3))
    off = (root @ (where - at)[..., None])[..., 0]
    by_shift = root.expand(k, n, 3, 3)
    by_place = torch.cat([by_shift, -root @ so3.hat(where)], -1)
    tilt = turn[:, None] * so3.log(seen @ (pose.R[:, None] @ frame).mT)
    by_turn = torch.cat([torch.zeros_like(by_shift), -turn[:, None, None] * torch.eye(3).to(at).expand(k, n, 3, 3)], -1)
    residual, rows = torch.stack([off, tilt], 1), torch.stack([by_place, by_turn], 1)
    far2 = (residual**2).sum(-1)
    weighted = rows / (1 + far2 / _CAUCHY**2)[..., None, None]
    normal = torch.einsum("kanri,kanrj->kij", weighted, rows)
    return normal, -torch.einsum("kanri,kanr->ki", weighted, residual), far2
