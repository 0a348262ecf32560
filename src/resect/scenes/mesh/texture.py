"""All textures of a mesh with their mip levels in one flat table, looked up bilinearly with derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Atlas:
    """Textures and their halvings.

    Attributes:
        texels: (T, 3) RGB of all levels of all textures, row after row.
        first: (M, L) where a level begins; the last level is repeated where a texture has fewer than L.
        size: (M, L, 2) width and height.
    """

    texels: Float[Tensor, "t 3"]
    first: Int[Tensor, "m l"]
    size: Int[Tensor, "m l 2"]

    @classmethod
    def of(cls, textures: Sequence[Float[Tensor, "h w 3"]]) -> "Atlas":
        """Halves each texture until a single texel is left, by area averages."""
        pyramids = [_halvings(texture) for texture in textures]
        most = max(len(p) for p in pyramids)
        first, size, at = [], [], 0
        for pyramid in pyramids:
            starts = []
            for level in pyramid:
                starts.append(at)
                at += level.shape[0] * level.shape[1]
            shape = [(x.shape[1], x.shape[0]) for x in pyramid]
            first.append(starts + starts[-1:] * (most - len(starts)))
            size.append(shape + shape[-1:] * (most - len(shape)))
        texels = torch.cat([level.reshape(-1, 3) for pyramid in pyramids for level in pyramid])
        return cls(texels, *(torch.tensor(x, device=texels.device) for x in (first, size)))

    def look_up(
        self, texture: Int[Tensor, "n"], uv: Float[Tensor, "n 2"], level: Float[Tensor, "n"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 2"]]:
        """Colour and its derivative by (u, v), trilinear; the picture repeats outside [0, 1].

        Args:
            uv: (0, 0) is the upper left corner of the picture.
            level: halvings; between two, both are mixed.
        """
        level = level.clamp(0, self.first.shape[1] - 1)
        fine = level.floor()
        part = (level - fine)[:, None]
        one, one_by = self._bilinear(texture, fine.long(), uv)
        if not bool((part > 0).any()):
            return one, one_by
        two, two_by = self._bilinear(texture, (fine + 1).clamp_max(self.first.shape[1] - 1).long(), uv)
        return one + part * (two - one), one_by + part[..., None] * (two_by - one_by)

    def _bilinear(self, texture: Tensor, level: Tensor, uv: Tensor) -> tuple[Tensor, Tensor]:
        size, first = self.size[texture, level], self.first[texture, level]
        at = uv * size - 0.5
        low = at.floor()
        x, y = (at - low).unsqueeze(-1).unbind(1)
        x0, y0 = low.long().remainder(size).unbind(1)
        x1, y1 = (low.long() + 1).remainder(size).unbind(1)
        width = size[:, 0]
        a, b, c, d = (self.texels[first + row * width + column] for row in (y0, y1) for column in (x0, x1))
        above, below = a + x * (b - a), c + x * (d - c)
        by_x, by_y = (b - a) + y * ((d - c) - (b - a)), below - above
        return above + y * by_y, torch.stack([by_x, by_y], -1) * size[:, None]


def _halvings(texture: Tensor) -> list[Tensor]:
    levels = [texture]
    while max(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        planes = levels[-1].movedim(-1, 0)[None]
        smaller = torch.nn.functional.adaptive_avg_pool2d(planes, (max(1, height // 2), max(1, width // 2)))
        levels.append(smaller[0].movedim(0, -1))
    return levels
