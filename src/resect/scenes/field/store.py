"""A field's grid and frame as tensors and JSON facts, and the checks that make a stranger's file safe to march.

The kernels index without bounds checks, so nothing reaches them before `checked_grid`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.sim3 import Sim3
from resect.scenes.field.frame import Case, Frame
from resect.scenes.field.grid import BLOCK, FARTHEST, RECORD, Grid, aligned_zeros

_FIX = "The artefact is damaged; fit it again."
_COLOUR_COLUMNS = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14]
_MOST_RESOLUTION = 1024
_FARTHEST_RAY = 1e6
_CASES: tuple[Case, ...] = ("object", "common", "ahead", "around")


def grid_tensors(grid: Grid) -> dict[str, Tensor]:
    """The arrays of a grid under the names they are stored by; unused lanes of colour records are left out."""
    return {
        "table": torch.from_numpy(grid.table),
        "density": torch.from_numpy(grid.density),
        "colour": torch.from_numpy(np.ascontiguousarray(grid.colour[:, _COLOUR_COLUMNS])),
    }


def checked_grid(tensors: Mapping[str, Tensor], resolution: object, where: object) -> Grid:
    """A grid from stored tensors, every size and index checked.

    Raises:
        ResectError: anything that would make a kernel read outside its arrays, or numbers that are not finite.
    """
    if not isinstance(resolution, int) or resolution % 4 or not 8 <= resolution <= _MOST_RESOLUTION:
        raise ResectError(f"{where}: resolution", f"a multiple of 4 up to {_MOST_RESOLUTION}", repr(resolution), _FIX)
    cells = (resolution // 4) ** 3
    table = _tensor(tensors, "table", torch.int32, (cells,), where)
    density = _tensor(tensors, "density", torch.float32, (None,), where)
    voxels = len(density)
    if voxels == 0 or voxels % BLOCK:
        raise ResectError(f"{where}: density", f"a multiple of {BLOCK} voxels", str(voxels), _FIX)
    colour = _tensor(tensors, "colour", torch.float32, (voxels, len(_COLOUR_COLUMNS)), where)
    least, most = int(table.min()), int(table.max())
    if most >> 1 >= voxels // BLOCK or least < -FARTHEST:
        expected = f"entries from {-FARTHEST} to {2 * (voxels // BLOCK) - 1}"
        raise ResectError(f"{where}: table", expected, f"{least} to {most}", _FIX)
    for name, values in (("density", density), ("colour", colour)):
        if not bool(torch.isfinite(values).all()):
            raise ResectError(f"{where}: {name}", "finite numbers", "NaN or infinite entries", _FIX)
    records = aligned_zeros(voxels, RECORD)
    records[:, _COLOUR_COLUMNS] = colour.numpy()
    return Grid(resolution, table.numpy().copy(), density.numpy().copy(), records)


def _tensor(
    tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype, shape: tuple[int | None, ...], where: object
) -> Tensor:
    """A stored tensor of the right kind."""
    found = tensors.get(name)
    if found is None:
        raise ResectError(where, f"a tensor '{name}'", "none", _FIX)
    fits = found.dim() == len(shape) and all(w in (None, g) for w, g in zip(shape, found.shape, strict=True))
    if not fits or found.dtype != dtype:
        raise ResectError(f"{where}: {name}", f"{shape} {dtype}", f"{tuple(found.shape)} {found.dtype}", _FIX)
    return found


def frame_facts(frame: Frame) -> dict[str, Any]:
    """A frame as JSON."""
    return {
        "scale": float(frame.local_from_world.s),
        "translation": [float(x) for x in frame.local_from_world.t],
        "near": frame.near,
        "far": frame.far,
        "typical": frame.typical,
        "case": frame.case,
    }


def checked_frame(facts: Mapping[str, Any], where: object) -> Frame:
    """A frame from JSON, its numbers checked."""
    numbers = [facts.get(k) for k in ("scale", "near", "far", "typical")]
    shift = facts.get("translation")
    listed = shift if isinstance(shift, list) and len(shift) == 3 else [None]
    if not all(isinstance(x, (int, float)) and math.isfinite(x) for x in [*numbers, *listed]):
        raise ResectError(f"{where}: frame", "finite scale, translation, near, far, typical", repr(dict(facts)), _FIX)
    scale, near, far, typical = (float(x) for x in numbers if x is not None)
    case = facts.get("case")
    if not (scale > 0 and typical > 0 and 0 <= near < far <= _FARTHEST_RAY) or case not in _CASES:
        raise ResectError(f"{where}: frame", "scale > 0 and 0 <= near < far", repr(dict(facts)), _FIX)
    s, t = torch.tensor(scale, dtype=torch.float64), torch.tensor(listed, dtype=torch.float64)
    return Frame(Sim3(s, torch.eye(3, dtype=torch.float64), t), near, far, typical, case)
