"""Rays in, colours out: the field's kernels on several threads, with PyTorch standing in where numba is absent."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.scenes.field.grid import Grid, March

_RAYS_WORTH_A_THREAD = 2048
_FARTHEST_ORIGIN = 1e6


@cache
def has_numba() -> bool:
    """Whether the fast kernels can run; the environment variable RESECT_NO_NUMBA turns them off."""
    return find_spec("numba") is not None and not os.environ.get("RESECT_NO_NUMBA")


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count)


def _in_threads(work: Callable[[int, int], None], rays: int) -> None:
    """Calls ``work(first, last)`` on parts of the rays, on as many threads as PyTorch uses."""
    count = min(torch.get_num_threads(), rays // _RAYS_WORTH_A_THREAD)
    if count <= 1:
        work(0, rays)
        return
    edges = np.linspace(0, rays, 4 * count + 1).astype(np.int64)
    pool = _threads(torch.get_num_threads())
    waiting: list[Future[None]] = [pool.submit(work, int(a), int(b)) for a, b in pairwise(edges)]
    for future in waiting:
        future.result()


def _sane(origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Mask of rays that kernels may march; the others are replaced by a ray from the origin, in place."""
    with np.errstate(invalid="ignore"):
        sane = np.isfinite(direction).all(1) & (np.abs(origin) < _FARTHEST_ORIGIN).all(1)
    if not sane.all():
        origin[~sane] = 0
        direction[~sane] = (0, 0, 1)
    return sane


def _arrays(origin: Tensor, direction: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    o = np.array(origin.detach().cpu().numpy(), np.float32, order="C")
    d = np.array(direction.detach().cpu().numpy(), np.float32, order="C")
    return o, d, _sane(o, d)


def colours(
    grid: Grid, march: March, background: np.ndarray, origin: Float[Tensor, "n 3"], direction: Float[Tensor, "n 3"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour (n, 3), opacity, mean distance and median distance (n,) along rays; distances -1 where there is none.

    Rays and distances are local, results float32 on the CPU. Rays that are not finite give NaN.
    """
    from resect.scenes.field.march import render_rays

    o, d, sane = _arrays(origin, direction)
    rgb = np.empty((len(o), 3), np.float32)
    alpha, expected, median = (np.empty(len(o), np.float32) for _ in range(3))

    def work(first: int, last: int) -> None:
        render_rays(
            grid.resolution, grid.table, grid.density, grid.colour, march, background, o, d, first, last,
            rgb, alpha, expected, median,
        )  # fmt: skip

    _in_threads(work, len(o))
    if not sane.all():
        for values in (rgb, alpha, expected, median):
            values[~sane] = np.nan
    return torch.from_numpy(rgb), torch.from_numpy(alpha), torch.from_numpy(expected), torch.from_numpy(median)


def colours_with_jacobian(
    grid: Grid, march: March, background: np.ndarray, origin: Float[Tensor, "n 3"], direction: Float[Tensor, "n 3"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour (n, 3), and its derivatives (n, 3, 3) by origin and direction, [ray, channel, axis]; local frame."""
    from resect.scenes.field.march import render_jacobian

    o, d, sane = _arrays(origin, direction)
    rgb = np.empty((len(o), 3), np.float32)
    d_origin, d_direction = (np.empty((len(o), 3, 3), np.float32) for _ in range(2))

    def work(first: int, last: int) -> None:
        render_jacobian(
            grid.resolution, grid.table, grid.density, grid.colour, march, background, o, d, first, last,
            rgb, d_origin, d_direction,
        )  # fmt: skip

    _in_threads(work, len(o))
    if not sane.all():
        for values in (rgb, d_origin, d_direction):
            values[~sane] = np.nan
    return torch.from_numpy(rgb), torch.from_numpy(d_origin), torch.from_numpy(d_direction)


class _RayColour(torch.autograd.Function):
    """Colours of rays from the kernels, differentiable in the rays by the Jacobian that is carried along."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        origin: Tensor,
        direction: Tensor,
        grid: Grid,
        march: March,
        background: np.ndarray,
    ) -> Tensor:
        """(n, 3) colours."""
        rgb, d_origin, d_direction = colours_with_jacobian(grid, march, background, origin, direction)
        ctx.save_for_backward(d_origin.to(origin), d_direction.to(direction))
        return rgb.to(origin)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """Vector-Jacobian product."""
        d_origin, d_direction = ctx.saved_tensors  # type: ignore[attr-defined]
        row = gradient[:, None, :]
        return (row @ d_origin)[:, 0], (row @ d_direction)[:, 0], None, None, None


def ray_colour(origin: Tensor, direction: Tensor, grid: Grid, march: March, background: np.ndarray) -> Tensor:
    """(n, 3) colours of local rays, differentiable in the rays."""
    rgb: Tensor = _RayColour.apply(origin, direction, grid, march, background)  # type: ignore[no-untyped-call]
    return rgb
