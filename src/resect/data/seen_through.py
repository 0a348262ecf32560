"""A photo as another camera at the same place shows it, which sees nothing new and so needs no scene."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from resect.data.image import resize_area
from resect.geometry.camera import Camera


def seen_through(
    image: Float[Tensor, "h w 3"], mine: Camera, camera: Camera, turn: Float[Tensor, "3 3"]
) -> Float[Tensor, "3 s t"]:
    """What another camera at the same place would have shown; beyond the photo, its edge goes on.

    Args:
        image: of a photo.
        mine: its camera.
        camera: the other one, with a lens of its own.
        turn: rotation to the other camera's frame from the photo's.

    Returns:
        Its picture, colours first.
    """
    shrink = min(1.0, camera.fx / mine.fx, camera.fy / mine.fy)
    mine = mine.rescale(max(1, round(mine.width * shrink)), max(1, round(mine.height * shrink)))
    source = resize_area(image, mine.width, mine.height).permute(2, 0, 1)[None]
    rays = camera.rays(camera.pixels(dtype=torch.float64)) @ turn  # row vectors: turnᵀ · ray
    pixels, _ = mine.project(rays)
    grid = (2 * pixels / torch.tensor([mine.width, mine.height]) - 1).float()
    grid = grid.view(1, camera.height, camera.width, 2)
    return grid_sample(source, grid, padding_mode="border", align_corners=False)[0].clamp(0, 1)
