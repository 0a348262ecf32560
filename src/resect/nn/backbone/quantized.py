"""Weights kept as int8 numbers with a scale for each output channel, batch normalisation folded in: a quarter the size.

The file is an .npz: `00.w_int8` (o, i, kh, kw), `00.scale` (o), `00.bias` (o) of the first convolution, and so on in
the network's order; w = w_int8 · scale.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resect.errors import ResectError

_MOST_BYTES = 1 << 30


def read_quantized(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Weights by the network's names; further layers in the file, such as a classifier, are left out.

    Each batch normalisation becomes the addition of the bias. Its running mean and variance are then not those of the
    images that the network was trained on: it is to be used in evaluation mode, or trained further as a whole.

    Args:
        path: the file.
        network: a row of convolutions, each followed by its batch normalisation.
    """
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, "a file of int8 weights", "no file" if not path.is_file() else "more than 1 GiB")
    found = dict(network.state_dict())
    convolutions = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    norms = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            for i, ((name, conv), (norm_name, norm)) in enumerate(zip(convolutions, norms, strict=True)):
                small, scale, bias = (file[f"{i:02d}.{part}"] for part in ("w_int8", "scale", "bias"))
                if small.dtype != np.int8 or small.shape != tuple(conv.weight.shape) or scale.shape != bias.shape:
                    raise ResectError(f"{path}: {i:02d}", f"int8 {tuple(conv.weight.shape)}", f"{small.shape}")
                weight = small.astype(np.float32) * scale.reshape(-1, 1, 1, 1)
                found[f"{name}.weight"] = torch.from_numpy(weight)
                found |= _addition(norm_name, norm, torch.from_numpy(np.ascontiguousarray(bias, np.float32)))
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, ResectError):
            raise
        raise ResectError(path, f"int8 weights of {len(convolutions)} convolutions", str(error)) from None
    return found


def _addition(name: str, norm: nn.BatchNorm2d, bias: Tensor) -> dict[str, Tensor]:
    """A batch normalisation that adds `bias` and does nothing else."""
    one = torch.ones_like(bias)
    parts = {"weight": one, "bias": bias, "running_mean": 0 * one, "running_var": (1 - norm.eps) * one}
    return {f"{name}.{part}": value for part, value in parts.items()}
