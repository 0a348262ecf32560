"""Weights in a quarter of their size: matrices as bytes with one scale a row. For artefacts that are shipped."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from resect.errors import ResectError

if TYPE_CHECKING:
    from torch import Tensor

SCALE = "/scale"
_LEAST = 1024  # smaller tensors stay as they are
_MOST = 127


def quantized(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Larger tensors of floats of two dimensions or more in bytes, and NAME/scale beside each: (rows,) float32.

    A number is off by half a scale at most, which is a 254th of the largest of its row.
    """
    import torch

    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if value.ndim < 2 or value.numel() < _LEAST or not value.is_floating_point():
            found[name] = value
            continue
        rows = value.detach().float().flatten(1)
        scale = (rows.abs().amax(1) / _MOST).clamp_min(torch.finfo(torch.float32).tiny)
        found[name] = (rows / scale[:, None]).round().to(torch.int8).view(value.shape)
        found[name + SCALE] = scale
    return found


def restored(tensors: "Mapping[str, Tensor]", where: object) -> "dict[str, Tensor]":
    """The tensors again, those with a scale as float32; all others as they are.

    Raises:
        ResectError: a scale that does not fit its tensor.
    """
    import torch

    scales = {n for n in tensors if n.endswith(SCALE) and n.removesuffix(SCALE) in tensors}  # others are but called so
    found = {name: value for name, value in tensors.items() if name not in scales}
    for name in scales:
        value, scale = found[name.removesuffix(SCALE)], tensors[name]
        if value.dtype != torch.int8 or scale.shape != value.shape[:1]:
            raise ResectError(f"{where}: {name}", "one number for each row of bytes", "others", "Fit it again.")
        rows = value.float().flatten(1) * scale.float()[:, None]
        found[name.removesuffix(SCALE)] = rows.view(value.shape)
    return found
