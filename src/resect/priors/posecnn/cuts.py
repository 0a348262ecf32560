"""Objects cut from pictures, each as a camera of its own sees it, and what of their surfaces shows there.

The camera of a cut looks along the ray through the middle of a box, and its square picture is the box with a margin. So
an object's look alone tells how it is turned against that ray, wherever it is in the picture, and objects have one
size. The rotation in the picture's camera is exact: R = turn · R_cut.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from resect.geometry import so3
from resect.geometry.camera import Camera

MARGIN = 1.2
_FINER = 2  # samples along a side of each pixel
_SAME_SURFACE = 0.05  # diameters behind the nearest point of a cell up to which points are averaged


@dataclass(frozen=True, eq=False)
class Cuts:
    """The cameras of n cuts.

    Attributes:
        turn: from the cut's frame to the frame of the picture's camera.
        reach: tangent of half the field of view.
    """

    turn: Float[Tensor, "n 3 3"]
    reach: Float[Tensor, "n"]

    def row(self, k: int) -> "Cuts":
        """One of them."""
        return Cuts(self.turn[k : k + 1], self.reach[k : k + 1])

    def rays(self, side: int) -> Float[Tensor, "n side side 3"]:
        """Through the middles of side × side parts, depth 1, in the cut's frame."""
        part = (torch.arange(side, device=self.reach.device) + 0.5) / side * 2 - 1
        across = self.reach[:, None] * part
        shape = (-1, side, side)
        x, y = across[:, None].expand(shape), across[:, :, None].expand(shape)
        return torch.stack([x, y, torch.ones_like(x)], -1)

    def pixels(self, camera: Camera, side: int) -> Float[Tensor, "n side side 2"]:
        """Where those parts are in the picture of `camera`, a pinhole."""
        x, y, z = torch.einsum("nij,nyxj->nyxi", self.turn, self.rays(side)).unbind(-1)
        z = z.clamp_min(1e-3)
        return torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], -1)


def cuts_of(boxes: Float[Tensor, "n 4"], camera: Camera, roll: Float[Tensor, "n"] | None = None) -> Cuts:
    """Cuts around boxes (left, top, right, bottom, pixels) of the picture of `camera`, a pinhole.

    Args:
        roll: turns each cut's camera about its axis, radians.
    """
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    ray = torch.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, torch.ones_like(x)], -1)
    size = (boxes[:, 2:] - boxes[:, :2]) / torch.tensor([camera.fx, camera.fy]).to(boxes)
    turn = turn_to(ray)
    if roll is not None:
        flat = torch.stack([roll.cos(), -roll.sin(), roll.sin(), roll.cos()], -1).unflatten(-1, (2, 2))
        turn = torch.cat([turn[:, :, :2] @ flat, turn[:, :, 2:]], -1)
    return Cuts(turn, MARGIN / 2 * size.amax(-1) / ray.norm(dim=-1))


def turn_to(middle: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """The shortest rotation from the optical axis to the ray through each point."""
    z = functional.normalize(middle, dim=-1)
    axis = torch.stack([-z[:, 1], z[:, 0], torch.zeros_like(z[:, 0])], -1)
    hat = so3.hat(axis)
    eye = torch.eye(3, dtype=z.dtype, device=z.device)
    return eye + hat + hat @ hat / (1 + z[:, 2]).clamp_min(1e-6)[:, None, None]


def pictures_of(
    cuts: Cuts, pictures: Float[Tensor, "b 3 h w"], image: Int[Tensor, "n"], camera: Camera, side: int
) -> Float[Tensor, "n 3 side side"]:
    """What the cuts show, averaged over pixels.

    Args:
        pictures: of `camera`.
        image: which picture each cut is of, ascending.
    """
    size = torch.tensor([camera.width, camera.height]).to(cuts.reach)
    grid = 2 * cuts.pixels(camera, _FINER * side) / size - 1
    of_each = torch.bincount(image, minlength=len(pictures)).tolist()
    found = [
        functional.grid_sample(one[None], at.flatten(0, 1)[None], padding_mode="border", align_corners=False)
        for one, at in zip(pictures, grid.split(of_each), strict=True)
        if len(at)
    ]
    if not found:
        return pictures.new_zeros(0, 3, side, side)
    fine = torch.cat(found, 2)[0].unflatten(1, (-1, _FINER * side)).transpose(0, 1)
    return functional.avg_pool2d(fine, _FINER)


def owned(
    cuts: Cuts, owner: Int[Tensor, "b h w"], image: Int[Tensor, "n"], row: Int[Tensor, "n"], camera: Camera, side: int
) -> Bool[Tensor, "n side side"]:
    """Where the cuts show the object that is `row` of the pictures' owners."""
    x, y = cuts.pixels(camera, side).floor().long().unbind(-1)
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    found = owner[image[:, None, None], y.clamp(0, camera.height - 1), x.clamp(0, camera.width - 1)]
    return inside & (found == row[:, None, None] + 1)


def shown_surface(
    cuts: Cuts,
    points: Float[Tensor, "n m 3"],
    rotation: Float[Tensor, "n 3 3"],
    middle: Float[Tensor, "n 3"],
    side: int,
) -> tuple[Float[Tensor, "n side side 3"], Bool[Tensor, "n side side"]]:
    """Which place of its surface an object shows in each part of its cut, and whether it shows any.

    The mean of those of its points that are nearest in the part: a depth buffer of points, which needs no triangles.

    Args:
        points: of the surfaces, about the middle, diameters.
        rotation: of each object in the cut's frame.
        middle: of each in the cut's frame, diameters.
        side: parts along a side of a cut.
    """
    n = len(points)
    at = points @ rotation.mT + middle[:, None]
    z = at[..., 2].clamp_min(1e-6)
    x, y = ((at[..., k] / z / cuts.reach[:, None] + 1) * side / 2 for k in range(2))
    inside = (x >= 0) & (x < side) & (y >= 0) & (y < side) & (at[..., 2] > 0)
    part = torch.where(inside, y.floor() * side + x.floor(), side * side).long()  # one part more, for those outside
    nearest = z.new_full((n, side * side + 1), math.inf).scatter_reduce(1, part, z, "amin")
    front = (z <= nearest.gather(1, part) + _SAME_SURFACE)[..., None]
    each = torch.cat([points * front, front.to(points)], -1)
    total = z.new_zeros(n, side * side + 1, 4).scatter_add(1, part[..., None].expand(-1, -1, 4), each)[:, :-1]
    count = total[..., 3:].clamp_min(1)
    return (total[..., :3] / count).view(n, side, side, 3), (total[..., 3] > 0).view(n, side, side)
