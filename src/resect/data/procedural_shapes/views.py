"""Pictures of a solid: rays traced in closed form, one light, white behind."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.procedural_shapes.solid import Solid
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3

FOCAL = 149.84 / 137  # of the released renders, in image sides
_SAMPLES = 2  # a pixel's side


@dataclass(frozen=True, eq=False)
class View:
    """A camera on a shape and the light it sees it by.

    Attributes:
        camera: square, the object in its middle.
        cam_from_obj: where the camera is.
        light: unit direction towards the light, object frame.
    """

    camera: Camera
    cam_from_obj: SE3
    light: Float[Tensor, "3"]


def draw_view(g: np.random.Generator, side: int) -> View:
    """A view of the specified distribution (docs/decisions/shapes-of-a-category.md)."""
    azimuth, elevation, distance = g.uniform(0, 2 * math.pi), math.radians(g.uniform(0, 40)), g.uniform(1.6, 2.0)
    flat = math.cos(elevation)
    toward = np.array([flat * math.cos(azimuth), math.sin(elevation), flat * math.sin(azimuth)])
    light = toward + g.normal(size=3) * 0.7 + np.array([0.0, 0.5, 0.0])
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    pose = look_at(torch.from_numpy(distance * toward), torch.zeros(3, dtype=torch.float64), up)
    camera = Camera(FOCAL * side, FOCAL * side, side / 2, side / 2, side, side)
    return View(camera, pose, torch.from_numpy(light / np.linalg.norm(light)))


def render(solid: Solid, view: View) -> Float[Tensor, "h w 4"]:
    """RGB laid on white, and opacity, in [0, 1]; float32. Each pixel is the mean of 2 × 2 rays."""
    side = view.camera.width * _SAMPLES
    camera = view.camera.rescale(side, side)
    origin = view.cam_from_obj.center.float()
    directions = (camera.rays(camera.pixels()) @ view.cam_from_obj.R.float()).view(side, side, 3)
    depth = torch.full((side, side), math.inf)
    image = torch.zeros(side, side, 4)
    light = view.light.float()
    for part, (rows, columns) in enumerate(_rectangles(solid, view.cam_from_obj, camera)):
        seen, shown = depth[rows, columns], image[rows, columns]
        enter, normal = solid.meet(part, origin, directions[rows, columns].reshape(-1, 3))
        nearer = (enter < seen.flatten()).view(seen.shape)
        shade = 0.35 + 0.65 * (normal @ light).clamp_min(0) + 0.10 * normal[:, 1]
        color = (solid.color[part] * shade[:, None]).clamp(0, 1)
        color = torch.nn.functional.pad(color, (0, 1), value=1.0).view(shown.shape)
        seen.copy_(torch.where(nearer, enter.view(seen.shape), seen))
        shown.copy_(torch.where(nearer[..., None], color, shown))
    image = torch.nn.functional.avg_pool2d(image.permute(2, 0, 1)[None], _SAMPLES)[0].permute(1, 2, 0)
    return torch.cat([image[..., :3] + 1 - image[..., 3:], image[..., 3:]], -1).clamp(0, 1)


def _rectangles(solid: Solid, cam_from_obj: SE3, camera: Camera) -> list[tuple[slice, slice]]:
    """Rows and columns of the image around each projected part."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    corners = (signs * solid.half[:, None]) @ solid.obj_from_part.mT + solid.center[:, None]
    pixels, _ = camera.project(cam_from_obj.apply(corners.flatten(0, 1)))
    pixels = pixels.view(len(solid.half), 8, 2)
    low = pixels.amin(1).floor().long().clamp(0, camera.width)
    high = pixels.amax(1).ceil().long().clamp(0, camera.width)
    return [(slice(y0, y1), slice(x0, x1)) for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True)]
