"""The surface of a field: evaluated only where the surface runs (MISE), then marching cubes.

Mescheder et al., "Occupancy networks", CVPR 2019, §3.3. What differs: the octree is arrays of flags, one for each
level, and all of a level is evaluated at once. The surface that hides inside a cell whose corners agree is not found.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from resect.data.shapes import CUBE_SIDE
from resect.errors import NotInstalledError, ResectError
from resect.geometry.mesh import Mesh

Field = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]
"""Points to values; greater is inside."""

_MOST_CORNERS = 1 << 30


def evaluate(
    field: Field, level: float, *, cells: int = 32, halvings: int = 2, side: float = CUBE_SIDE, most: int = 100_000
) -> Float[Tensor, "r r r"]:
    """Values at the corners of a fine grid over a cube about the origin; corner i lies at side·(i/(r − 1) − ½).

    Cells that the surface crosses are halved until the grid is fine; elsewhere a corner copies its lower neighbour
    along x, else y, else z. Where no surface hides in a coarse cell, the signs equal those of the dense evaluation.

    Args:
        field: called with float32 points.
        level: value on the surface.
        cells: of the coarse grid, along each axis.
        halvings: r = cells·2^halvings + 1.
        side: of the cube.
        most: points in one call.
    """
    size = cells * 2**halvings + 1
    if not (cells >= 1 and halvings >= 0 and size**3 <= _MOST_CORNERS):
        raise ResectError("grid", "at least one cell, at most 1023 along an axis", f"{cells}·2^{halvings}")
    value = torch.full((size, size, size), torch.nan)
    stride = 2**halvings
    leaf = torch.ones(cells, cells, cells, dtype=torch.bool)
    leaves = [leaf] + [torch.zeros((cells * 2**k,) * 3, dtype=torch.bool) for k in range(1, halvings + 1)]
    wanted = torch.zeros_like(value, dtype=torch.bool)
    wanted[::stride, ::stride, ::stride] = True
    while True:
        _fill(value, wanted & value.isnan(), field, side, most)
        split = [leaves[k] & _crossed(value, level, 2 ** (halvings - k)) for k in range(halvings)]
        if not any(bool(s.any()) for s in split):
            return _copied(value)
        for k, parents in enumerate(split):
            leaves[k] &= ~parents
            leaves[k + 1] |= _doubled(parents)
            wanted |= _corners(leaves[k + 1], 2 ** (halvings - k - 1))


def _fill(value: Tensor, where: Bool[Tensor, "r r r"], field: Field, side: float, most: int) -> None:
    index = where.nonzero()
    if len(index) == 0:
        return
    points = side * (index.float() / (len(value) - 1) - 0.5)
    value[where] = torch.cat([field(part).float().cpu() for part in points.split(most)])


def _crossed(value: Float[Tensor, "r r r"], level: float, stride: int) -> Bool[Tensor, "c c c"]:
    """Cells of a level with a known corner, or a finer neighbour's point on their faces, on either side of `level`."""
    at_least, at_most = value >= level, value <= level  # both false where unknown
    return _any_in_cells(at_least, stride) & _any_in_cells(at_most, stride)


def _any_in_cells(flags: Bool[Tensor, "r r r"], stride: int) -> Bool[Tensor, "c c c"]:
    """Whether any corner of each closed cell is set; axis by axis."""
    for axis in range(3):
        size = flags.shape[axis]
        found = flags.narrow(axis, 0, size - 1).unflatten(axis, (-1, stride)).any(axis + 1)
        last = torch.arange(stride, size, stride)
        flags = found | flags.index_select(axis, last)
    return flags


def _doubled(cells: Bool[Tensor, "c c c"]) -> Bool[Tensor, "d d d"]:
    for axis in range(3):
        cells = cells.repeat_interleave(2, axis)
    return cells


def _corners(cells: Bool[Tensor, "c c c"], stride: int) -> Bool[Tensor, "r r r"]:
    """Corners of the fine grid that cells of a level have."""
    count = len(cells) + 1
    coarse = torch.zeros(count, count, count, dtype=torch.bool)
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                coarse[x : count - 1 + x, y : count - 1 + y, z : count - 1 + z] |= cells
    size = (count - 1) * stride + 1
    fine = torch.zeros(size, size, size, dtype=torch.bool)
    fine[::stride, ::stride, ::stride] = coarse
    return fine


def _copied(value: Float[Tensor, "r r r"]) -> Float[Tensor, "r r r"]:
    """Unknown corners take the value of the nearest known one below along x, then y, then z."""
    found = value.numpy()
    for axis in range(3):
        known = ~np.isnan(found)
        shape = [1, 1, 1]
        shape[axis] = -1
        index = np.where(known, np.arange(found.shape[axis]).reshape(shape), 0)
        found = np.take_along_axis(found, np.maximum.accumulate(index, axis), axis)
    return torch.from_numpy(np.ascontiguousarray(found))


def marching_cubes(value: Float[Tensor, "r r r"], level: float, *, side: float = CUBE_SIDE) -> Mesh:
    """The surface value = level, closed (what is beyond the grid is outside), normals towards smaller values.

    Raises:
        ResectError: nothing is inside, or not all is finite.
    """
    try:
        from skimage import measure
    except ImportError:
        raise NotInstalledError("scikit-image", "mesh", "extracting surfaces") from None
    if not bool(value.isfinite().all()):
        raise ResectError("field", "finite values", "others")
    if not bool((value > level).any()):
        fix = "Lower the threshold (--density of a NeRF, or let it learn longer), or check the photo and its mask."
        raise ResectError("surface", "something inside", "nothing", fix)
    below = level - 1e6 * max(float((value - level).abs().max()), 1e-30)  # so the surface ends on the cube's faces
    padded: NDArray[np.float32] = np.pad(value.numpy(), 1, constant_values=below)
    vertices, faces, _, _ = measure.marching_cubes(padded, level, gradient_direction="ascent")
    corners = side * ((vertices - 1) / (len(value) - 1) - 0.5)
    return Mesh(torch.from_numpy(corners.astype(np.float32)), torch.from_numpy(faces.astype(np.int64)))
