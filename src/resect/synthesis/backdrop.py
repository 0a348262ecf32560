"""What is behind the objects of drawn photos, a cut of a picture or a texture: step 4 of `synthesis/clutter`."""

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_background(shape: tuple[int, int], pictures: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """(h, w, 3)."""
    if not pictures:
        return _texture(shape, generator)
    picture = pictures[int(torch.randint(len(pictures), (1,), generator=generator))]
    u = torch.rand(4, generator=generator).tolist()
    height, width = picture.shape[:2]
    scale = (0.5 + 0.5 * u[0]) * min(height / shape[0], width / shape[1])
    rows, columns = max(2, int(scale * shape[0])), max(2, int(scale * shape[1]))
    top, left = int(u[1] * (height - rows)), int(u[2] * (width - columns))
    part = picture[top : top + rows, left : left + columns].movedim(-1, 0)[None]
    image = torch.nn.functional.interpolate(part, size=shape, mode="bilinear", antialias=True)[0].movedim(0, -1)
    return image.flip(1) if u[3] < 0.5 else image


def _texture(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Noise of several scales, hard-edged in places."""
    total = torch.zeros(*shape, 3)
    for cells, strength in ((3, 0.25), (8, 0.15), (24, 0.1), (80, 0.05)):
        coarse = torch.randn(1, 3, cells, cells, generator=generator) * strength
        mode = "nearest" if cells in (8, 24) else "bicubic"
        total = total + torch.nn.functional.interpolate(coarse, size=shape, mode=mode)[0].movedim(0, -1)
    return (0.5 + total).clamp(0, 1)
