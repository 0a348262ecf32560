"""Weights of published networks from a local file: .pth, .pt or .safetensors, numbers only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resect.errors import ResectError

_MOST_BYTES = 4 << 30


def read_checkpoint(path: Path | str) -> Any:
    """What a .pth, .pt or .safetensors file holds; tensors, numbers and containers of them, never code."""
    path = Path(path)
    if not path.is_file():
        raise ResectError(path, "a file of weights", "no file", "Check the path.")
    if path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 30} GiB", f"{path.stat().st_size >> 30} GiB")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes make it raise
        # PyTorch's own words are left out: it advises to read the file as code, or names a number of the system.
        told = path.suffix == ".safetensors" or isinstance(error, PermissionError)
        unknown = "code, a file that was cut short, or one of another kind"
        reason = str(error).partition("\n")[0] if told else unknown
        fix = "Is it whole? Files that hold code are not read; save its state_dict() alone."
        raise ResectError(path, "a PyTorch file of tensors alone", reason, fix) from None


def load_weights(
    network: nn.Module, found: Mapping[str, Tensor], where: object, *, ignore: tuple[str, ...] = ()
) -> None:
    """Puts weights into a network; every parameter must be there with its shape.

    Args:
        network: what to fill.
        found: name → tensor.
        where: the file, for messages.
        ignore: prefixes of names that the network has no use for, e.g. ("fc.",) for a classifier.
    """
    wanted = network.state_dict()
    given = {k: v for k, v in found.items() if not k.startswith(ignore)} if ignore else dict(found)
    missing, spare = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or spare:
        got = f"missing {', '.join(missing[:3]) or 'none'}; unknown {', '.join(spare[:3]) or 'none'}"
        raise ResectError(where, f"the {len(wanted)} weights of this network", got, "Is it a file of another network?")
    for name, tensor in wanted.items():
        if not isinstance(given[name], Tensor) or given[name].shape != tensor.shape:
            got = str(tuple(given[name].shape)) if isinstance(given[name], Tensor) else type(given[name]).__name__
            fix = "Its network is built in another way, or has other sizes, than is asked for."
            raise ResectError(f"{where}: {name}", f"shape {tuple(tensor.shape)}", got, fix)
        if tensor.is_floating_point() and not bool(given[name].isfinite().all()):
            fix = "Training went wrong, or the file is damaged."
            raise ResectError(f"{where}: {name}", "finite numbers", "others", fix)
    network.load_state_dict(given)
