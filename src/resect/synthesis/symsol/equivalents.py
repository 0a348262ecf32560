"""All rotations that look like one, and how well a density could know them."""

import functools
import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.so3_grid import LOG_PI2
from resect.metrics.rotation import ceiling
from resect.synthesis.symsol.render import AWAY, FOCAL
from resect.synthesis.symsol.shapes import Shape, red_turns, shape

SHOWS = 8.0  # pixels of an image of 224
_HIDDEN = 5000  # rotations drawn to find those that hide the sphere's cross
_MOST_HIDDEN = 500  # of them that stand for all
_TRIES = 8
_GOLDEN = (math.sqrt(5) - 1) / 2


def haar(count: int, seed: int) -> Float[Tensor, "n 3 3"]:
    """Uniform rotations, float64; the first ones do not depend on the count."""
    return so3.from_quaternion(torch.from_numpy(np.random.default_rng(seed).standard_normal((count, 4))))


def marker_pixels(found: Shape, rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Area of an image of 224 that the marker covers; 0 where it is turned away. The shapes are convex."""
    assert found.marker is not None, f"{found.name} has no marker"
    place, normal, area = (values.to(rotation, non_blocking=True) for values in found.marker)
    seen = place @ rotation.mT
    seen = torch.cat([seen[..., :2], seen[..., 2:] + AWAY], -1)
    facing = -(seen * (normal @ rotation.mT)).sum(-1)
    return (224 * FOCAL) ** 2 * (area * facing.clamp_min(0) / seen[..., 2] ** 3).sum(-1)


def shows(found: Shape, rotation: Float[Tensor, "*b 3 3"]) -> Bool[Tensor, "*b"]:
    """Whether the marker can be seen."""
    return marker_pixels(found, rotation) >= SHOWS


def equivalents(name: str, rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "s 3 3"]:
    """Rotations that look the same, float64, the given one first; 500 of them stand for a hidden sphere's."""
    found, r = shape(name), rotation.double().cpu()
    if found.marker is None:
        assert found.group is not None
        return r @ found.group
    if bool(shows(found, r)):
        return r @ red_turns() if name == "tetX" else r[None]
    if found.group is None:
        return torch.cat([r[None], _hiding(name)[: _MOST_HIDDEN - 1]])
    all_ = r @ found.group
    return all_[~shows(found, all_)]


def pick(name: str, rotation: Float[Tensor, "b 3 3"], at: Float[Tensor, "b"]) -> Float[Tensor, "b 3 3"]:
    """One rotation each that looks the same, chosen by a number in [0, 1); on the rotations' device, in their dtype.

    Which turns hide a marker is tried out, on eight that are spread over the group.
    """
    found = shape(name)

    def of(group: Float[Tensor, "s 3 3"], where: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
        return group.to(rotation, non_blocking=True)[(where * len(group)).long()]

    if found.marker is None:
        assert found.group is not None
        return rotation @ of(found.group, at)
    visible = rotation @ of(red_turns(), at) if name == "tetX" else rotation
    if found.group is None:
        hidden = of(_hiding(name), at)
    else:
        spread = at[:, None] + _GOLDEN * torch.arange(_TRIES, device=at.device)
        tried = rotation[:, None] @ of(found.group, spread % 1)
        first = (~shows(found, tried)).int().argmax(1)  # the first tried where none hides it
        hidden = tried[torch.arange(len(tried), device=at.device), first]
        hidden = torch.where(shows(found, hidden)[:, None, None], rotation, hidden)
    return torch.where(shows(found, rotation)[:, None, None], visible, hidden)


def ideal(name: str, rotation: Float[Tensor, "3 3"], level: int) -> float:
    """The greatest log-likelihood, π² measure, that a density constant on cells of this level can have on average."""
    found = shape(name)
    if found.group is None and not bool(shows(found, rotation.double().cpu())):
        return -math.log(len(_hiding(name)) / _HIDDEN) - LOG_PI2
    return float(ceiling(equivalents(name, rotation), level))


@functools.cache
def _hiding(name: str) -> Float[Tensor, "n 3 3"]:
    """Of many rotations, those that hide the marker."""
    drawn = haar(_HIDDEN, 3)
    return torch.cat([part[~shows(shape(name), part)] for part in drawn.split(500)])
