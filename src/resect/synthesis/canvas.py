"""A picture that things are laid into, the nearest on top; each is drawn only in the window that can show it."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.camera import Camera


@dataclass(frozen=True)
class Window:
    """A part of a picture, whole pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, camera: Camera) -> Camera:
        """What shows this part of a camera's picture."""
        return camera.crop(self.left, self.top, self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def window_of(camera: Camera, center: Float[Tensor, "3"], radius: float) -> Window | None:
    """The pixels that can show a sphere in front of a camera without distortion; nothing if there are none."""
    sides = []
    for x, f, c, size in (
        (float(center[0]), camera.fx, camera.cx, camera.width),
        (float(center[1]), camera.fy, camera.cy, camera.height),
    ):
        z = float(center[2])
        middle, half = math.atan2(x, z), math.asin(min(1.0, radius / math.hypot(x, z)))
        most = math.pi / 2 - 1e-3
        low, high = (math.tan(min(max(a, -most), most)) for a in (middle - half, middle + half))
        first, last = max(0, math.floor(f * low + c) - 1), min(size, math.ceil(f * high + c) + 1)
        if last <= first:
            return None
        sides.append((first, last - first))
    return Window(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


@dataclass(eq=False)
class Canvas:
    """Colours so far, how far away they are, and whose they are: −1 where nobody's that is asked for."""

    colour: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"] = field(init=False)
    owner: Int[Tensor, "h w"] = field(init=False)

    def __post_init__(self) -> None:
        self.depth = torch.full(self.colour.shape[:2], torch.inf)
        self.owner = torch.full(self.colour.shape[:2], -1)

    def lay(
        self,
        colour: Float[Tensor, "i j 3"],
        depth: Float[Tensor, "i j"],
        mask: Bool[Tensor, "i j"],
        window: Window,
        owner: int = -1,
    ) -> None:
        """Lays something into a window, where it is in front of what is there."""
        here = window.slices
        front = mask & (depth < self.depth[here])
        self.colour[here] = torch.where(front[..., None], colour, self.colour[here])
        self.depth[here] = torch.where(front, depth, self.depth[here])
        self.owner[here] = torch.where(front, owner, self.owner[here])

    def whole(self, mask: Bool[Tensor, "i j"], window: Window) -> Bool[Tensor, "h w"]:
        """A window's mask in the whole picture."""
        found = torch.zeros(self.colour.shape[:2], dtype=torch.bool)
        found[window.slices] = mask
        return found
