"""What a NeRF's artefact says beside its weights, and the checks of it."""

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.sim3 import Sim3
from resect.scenes.nerf.space import Space, finite

_FIX = "The artefact is damaged; fit it again."


def space_facts(space: Space) -> dict[str, Any]:
    """As JSON."""
    a = space.local_from_world
    return {
        "local_from_world": {"s": float(a.s), "wxyz": so3.to_quaternion(a.R).tolist(), "t": a.t.tolist()},
        "near": space.near,
        "far": space.far,
        "warp": None if space.warp is None else list(space.warp),
        "box": None if space.box is None else space.box.tolist(),
    }


def checked_space(facts: object, where: object) -> Space:
    """From JSON."""
    try:
        assert isinstance(facts, dict)
        a, warp = facts["local_from_world"], facts["warp"]
        s, t = (torch.tensor(a[name], dtype=torch.float64) for name in ("s", "t"))
        turn = so3.from_quaternion(torch.tensor(a["wxyz"], dtype=torch.float64).reshape(4))
        pair = None if warp is None else (float(warp[0]), float(warp[1]))
        space = Space(Sim3(s.reshape(()), turn, t.reshape(3)), float(facts["near"]), float(facts["far"]), pair)
        if facts.get("box") is not None:
            space = replace(space, box=torch.tensor(facts["box"], dtype=torch.float64).reshape(2, 3))
    except (AssertionError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise ResectError(f"{where}: space", "a similarity, near, far, warp", str(error)[:80], _FIX) from None
    if not finite(space):
        raise ResectError(f"{where}: space", "finite numbers, near < far", str(facts)[:80], _FIX)
    return space


def checked_box(value: object, where: object) -> Float[Tensor, "2 3"]:
    """Two corners."""
    rows = value if isinstance(value, list) and len(value) == 2 else []
    numbers = [x for row in rows if isinstance(row, list) for x in row if isinstance(x, int | float)]
    if len(numbers) != 6 or not all(math.isfinite(x) for x in numbers):
        raise ResectError(f"{where}: bounds", "two corners", repr(value)[:80], _FIX)
    return torch.tensor(numbers).reshape(2, 3)
