"""Where an object stands when its rotation and its box in the photo are known.

Each side of the box is touched by some point of the object, which makes one linear equation in the translation; four
sides are four equations for three unknowns. Which points touch depends on the translation, so it is solved a few times.

Reference: Mousavian et al., "3D bounding box estimation using deep learning and geometry", CVPR 2017, section 3, which
tries all assignments of box corners to sides; with the object's own points the touching ones are known at once.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.mask import Box
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3

_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Lifted:
    """H poses laid into a box.

    Attributes:
        cam_from_world: the poses.
        misfit: root mean square distance of the four sides from the box, part of the box's longer side.
        valid: whether the object is in front of the camera.
    """

    cam_from_world: SE3
    misfit: Float[Tensor, "h"]
    valid: Bool[Tensor, "h"]


def lift(rotation: Float[Tensor, "h 3 3"], points: Float[Tensor, "n 3"], camera: Camera, box: Box) -> Lifted:
    """The translation at which each rotation fills the box best.

    Args:
        rotation: `cam_from_world` rotations.
        points: of the object, world units; corners of its hull are enough.
        camera: of the photo; lens distortion is taken out at the middles of the box's sides.
        box: visible (left, top, right, bottom), pixels. Where the object is partly hidden, it will come out too far.
    """
    left, top, right, bottom = box
    if not (right > left and bottom > top):
        raise ResectError(
            "lift", "a box with left < right and top < bottom", str(box), "Give left, top, right, bottom."
        )
    bound = _tangents(camera, box).to(rotation)
    turned = points.to(rotation) @ rotation.mT
    size = (bound[1] - bound[0]).amax()
    extent = (turned[..., :2].amax(1) - turned[..., :2].amin(1)).amax(-1)
    depth = extent / size
    middle = bound.mean(0)
    t = torch.cat([middle * depth[:, None], depth[:, None]], -1) - (turned.amax(1) + turned.amin(1)) / 2
    for _ in range(_ROUNDS):
        t = _solved(turned, t, bound)
    placed = turned + t[:, None]
    valid = (placed[..., 2] > 1e-6).all(1) & t.isfinite().all(1)
    seen = placed[..., :2] / placed[..., 2:].clamp_min(1e-6)
    off = torch.stack([seen.amin(1), seen.amax(1)], 1) - bound
    return Lifted(SE3(rotation, t), off.square().mean((1, 2)).sqrt() / size, valid)


def _tangents(camera: Camera, box: Box) -> Float[Tensor, "2 2"]:
    """The box on the plane z = 1: (left, top) and (right, bottom)."""
    left, top, right, bottom = box
    x, y = 0.5 * (left + right), 0.5 * (top + bottom)
    rays = camera.rays(torch.tensor([[left, y], [x, top], [right, y], [x, bottom]], dtype=torch.float64))
    plane = rays[:, :2] / rays[:, 2:]
    return torch.stack([torch.stack([plane[0, 0], plane[1, 1]]), torch.stack([plane[2, 0], plane[3, 1]])])


def _solved(
    turned: Float[Tensor, "h n 3"], t: Float[Tensor, "h 3"], bound: Float[Tensor, "2 2"]
) -> Float[Tensor, "h 3"]:
    """One round: X + tx = b (Z + tz) for the point that touches each side now."""
    placed = turned + t[:, None]
    seen = placed[..., :2] / placed[..., 2:].clamp_min(1e-6)
    touching = torch.cat([seen.argmin(1), seen.argmax(1)], 1)
    chosen = turned.gather(1, touching[..., None].expand(-1, 4, 3))
    sides = bound.flatten()
    axis = torch.tensor([0, 1, 0, 1], device=t.device)
    across = chosen.gather(2, axis[None, :, None].expand(len(t), 4, 1))[..., 0]
    rows = torch.zeros(4, 3, dtype=t.dtype, device=t.device)
    rows[torch.arange(4), axis] = 1
    rows[:, 2] = -sides
    right = sides * chosen[..., 2] - across
    return torch.linalg.lstsq(rows.expand(len(t), 4, 3), right[..., None]).solution[..., 0]
