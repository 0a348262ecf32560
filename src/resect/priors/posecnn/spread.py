"""How far off the nearest of an object's poses is, on training pictures."""

import torch
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.posecnn.found import Found, PoseSpread
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.prior import PoseCnn
from resect.priors.posecnn.views import Views

_LOOKED_AT = 48
_FROM_MEDIAN = 1.5  # of absolute errors to a standard deviation
_LEAST = PoseSpread(0.03, 0.01, 0.01)


def measured_spread(made: PoseCnn, frames: Frames) -> PoseSpread:
    """Medians over the objects of some pictures that were found, scaled to standard deviations.

    Pictures that the network learned from flatter it; unknown conditions do the rest, so nothing is believed to be
    better than a few hundredths.
    """
    rows: list[Tensor] = []
    for i in range(0, len(frames), max(1, len(frames) // _LOOKED_AT)):
        frame = frames[i]
        seen = made.look(frame.picture[0].float() / 255, frames.camera)
        found = made.find(seen)
        if found:
            poses = made.poses(seen, found)
            for one, (pose, _) in zip(found, poses, strict=True):
                rows += _errors(made, frame, one, pose)
    if not rows:
        return PoseSpread()
    turn, across, away = (_FROM_MEDIAN * torch.stack(rows).median(0).values).tolist()
    return PoseSpread(max(turn, _LEAST.turn_rad), max(across, _LEAST.across), max(away, _LEAST.away))


def _errors(made: PoseCnn, frame: Views, found: Found, pose: SE3) -> list[Tensor]:
    """Mean error of an angle, part of the diameter across the ray, of the depth along it, of the pose whose rotation is
    nearest; to the nearest object of the class.
    """
    known = made.objects[found.kind]
    same = ((frame.kind == found.kind) & frame.asked).nonzero()[:, 0]
    if not len(same):
        return []
    middle = pose.apply(known.middle.double().expand(len(pose), 1, 3))[:, 0]
    gaps = frame.middle[same].double() - middle[0]
    best = int(gaps.norm(dim=-1).argmin())
    true = frame.rotation[same[best]].double() @ known.symmetries.double()
    turns = so3.angle(pose.R[:, None].expand(-1, len(true), 3, 3), true[None].expand(len(pose), -1, 3, 3)).amin(1)
    k = int(turns.argmin())
    ray = torch.nn.functional.normalize(middle[k], dim=0)
    gap = frame.middle[same[best]].double() - middle[k]
    along = (gap @ ray).abs()
    across = (gap - (gap @ ray) * ray).norm() / 2**0.5
    return [torch.stack([turns[k] / 3**0.5, across / known.diameter, along / found.depth])]
