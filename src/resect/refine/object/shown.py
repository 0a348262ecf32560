"""One render of an object at H poses, and what moves in it: shared by all terms, so that it is made once a step."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.linearize import lens_derivative
from resect.refine.view import View

_EVEN = 0.7548776662466927, 0.5698402909980532  # steps of the R2 sequence (Roberts, 2018): no two rows alike


@dataclass(frozen=True, eq=False)
class Shown:
    """What H poses show in one view.

    Attributes:
        rgb: colours.
        inside: the silhouettes.
        depth: along the optical axis; 0 outside.
        lens: what the derivatives of the projection share.
    """

    rgb: Float[Tensor, "h y x 3"]
    inside: Bool[Tensor, "h y x"]
    depth: Float[Tensor, "h y x"]
    lens: "Lens"

    def motion(self, index: Int[Tensor, "h k"]) -> Float[Tensor, "h k 2 6"]:
        """∂π(exp(δ) X)/∂δ of the points seen at some pixels of each render; zero where nothing is seen."""
        depth = self.depth.flatten(1).gather(1, index)
        known = (depth > 0).to(depth)
        inverse = self.lens.along[index] / depth.clamp_min(1e-12) * known
        moving = self.lens.moving[index] * inverse[..., None, None]
        return torch.cat([moving, self.lens.turning[index] * known[..., None, None]], -1)


@dataclass(frozen=True, eq=False)
class Lens:
    """Derivatives of the projection at unit distance along the rays of a view's pixels."""

    view: View

    @cached_property
    def rays(self) -> Float[Tensor, "n 3"]:
        """Unit directions through the pixels' centres."""
        return self.view.camera.rays(self.view.pixels())

    @cached_property
    def along(self) -> Float[Tensor, "n"]:
        """Cosine of each ray with the optical axis: distance = depth / along."""
        return self.rays[:, 2]

    @cached_property
    def moving(self) -> Float[Tensor, "n 2 3"]:
        """Pixels by a shift, at distance 1."""
        return lens_derivative(self.view.camera, self.rays)

    @cached_property
    def turning(self) -> Float[Tensor, "n 2 3"]:
        """Pixels by a turn about the camera."""
        return torch.linalg.cross(self.rays[:, None].expand_as(self.moving), self.moving, dim=-1)

    def shown(self, poses: SE3) -> Shown:
        """Renders H poses."""
        found = self.view.render(poses, ("rgb", "alpha", "depth"))
        assert found.rgb is not None
        assert found.alpha is not None
        assert found.depth is not None
        grid = (len(poses), *self.view.shape)
        return Shown(found.rgb.reshape(*grid, 3), found.alpha.reshape(grid) > 0.5, found.depth.reshape(grid), self)


def slopes(image: Float[Tensor, "*b y x"]) -> tuple[Float[Tensor, "*b y x"], Float[Tensor, "*b y x"]]:
    """Central differences along x and y; 0 on the border."""
    across, down = torch.zeros_like(image), torch.zeros_like(image)
    torch.sub(image[..., 2:], image[..., :-2], out=across[..., 1:-1])
    torch.sub(image[..., 2:, :], image[..., :-2, :], out=down[..., 1:-1, :])
    return across.mul_(0.5), down.mul_(0.5)


def grown(mask: Bool[Tensor, "h y x"], pixels: int) -> Bool[Tensor, "h y x"]:
    """The mask and all pixels within a square of `pixels` around it; negative: without those near its border."""
    if pixels == 0:
        return mask
    k = abs(pixels)
    found = _any_along(_any_along(mask if pixels > 0 else ~mask, 2, k), 1, k)
    return found if pixels > 0 else ~found


def _any_along(mask: Bool[Tensor, "h y x"], dim: int, k: int) -> Bool[Tensor, "h y x"]:
    """Whether any of the 2k + 1 pixels around is set, by running sums."""
    n = mask.shape[dim]
    sums = mask.cumsum(dim, dtype=torch.int32)
    ends = torch.arange(n, device=mask.device)
    before = sums.index_select(dim, (ends - k - 1).clamp_min(0))
    first = (ends - k - 1 >= 0).reshape((-1, 1) if dim == 1 else (-1,))
    return sums.index_select(dim, (ends + k).clamp_max(n - 1)) - before * first > 0


def some_of(mask: Bool[Tensor, "h y x"], most: int) -> tuple[Int[Tensor, "h k"], Float[Tensor, "h k"]]:
    """At most `most` pixels of each mask, spread evenly and the same ones for the same mask.

    Returns:
        Pixel indices, and what each stands for: pixels of the mask over pixels chosen; 0 for those that only fill up.
    """
    flat = mask.flatten(1)
    y, x = (torch.arange(n, dtype=torch.float64, device=mask.device) for n in mask.shape[1:])
    order = (_EVEN[0] * x + _EVEN[1] * y[:, None]) % 1
    rank = flat * (order.flatten().to(torch.float32) + 1e-3)
    value, index = rank.topk(min(most, flat.shape[1]), dim=1, sorted=False)
    chosen = (value > 0).to(torch.float32)
    share = flat.sum(1, keepdim=True) / chosen.sum(1, keepdim=True).clamp_min(1)
    return index, chosen * share
