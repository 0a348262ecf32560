"""Things that lie about in drawn photos: boxes and cylinders that wear parts of pictures.

One piece: half sizes `size` · 0.5 · U(0.1, 1)² a side, each its own; a cylinder half of the time; rotation uniform on
SO(3); its middle's pixel uniform in the image, its distance uniform from 0.9 times the least to 1.3 times the most. Its
colours are a cut of one of the given pictures (else of a random texture), as large as the piece in the photo,
recoloured like an object's, under the light of the photo.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.mask import box_of
from resect.data.procedural_shapes.solid import Solid
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.synthesis.backdrop import draw_background
from resect.synthesis.canvas import Window, window_of
from resect.synthesis.light import Light, recoloured

_CLOSER, _FARTHER = 0.9, 1.3


def draw_piece(
    camera: Camera,
    distance: tuple[float, float],
    size: float,
    light: Light,
    pictures: Sequence[Float[Tensor, "h w 3"]],
    generator: torch.Generator,
) -> tuple[Float[Tensor, "i j 3"], Float[Tensor, "i j"], Bool[Tensor, "i j"], Window] | None:
    """Colours, depth and silhouette of one piece in its window, black outside of it; nothing if it cannot be seen.

    Args:
        camera: without distortion.
        distance: least and most of the objects' middles.
        size: of the objects, their median diameter.
    """
    u = torch.rand(7, generator=generator)
    half = size * 0.5 * (0.1 + 0.9 * u[:3]) ** 2
    z = _CLOSER * distance[0] + float(u[3]) * (_FARTHER * distance[1] - _CLOSER * distance[0])
    ray = camera.rays((u[4:6] * torch.tensor([camera.width, camera.height]))[None])[0]
    quaternion = torch.nn.functional.normalize(torch.randn(4, generator=generator), dim=0)
    turn = so3.from_quaternion(quaternion[None])
    center = ray / ray[2] * z
    window = window_of(camera, center, float(half.norm()))
    if window is None:
        return None
    solid = Solid(center[None], turn, half[None], u[6:] < 0.5, torch.ones(1, 3))
    part = window.of(camera)
    rays = part.rays(part.pixels())
    depth, normal = solid.meet(0, torch.zeros(3), rays / rays[:, 2:])
    shape = (part.height, part.width)
    mask, depth = depth.isfinite().view(shape), depth.view(shape)
    colour = torch.zeros(*shape, 3)
    if bool(mask.any()):
        left, top, right, bottom = (int(x) for x in box_of(mask))
        inner = mask[top:bottom, left:right]
        cut = recoloured(draw_background((bottom - top, right - left), pictures, generator)[inner], generator)
        colour[mask] = cut * light.shade(normal[mask.flatten()])[:, None]
    return colour, depth, mask, window
