"""States saved for resuming: tensors and JSON facts in one safetensors file, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from resect.artifact import write_atomic
from resect.errors import ResectError

_FACTS = "facts"
_MAX_BYTES = 16 << 30


def checkpoint_path(out: Path) -> Path:
    """Where a method keeps its latest state."""
    return out / "checkpoints" / "latest.safetensors"


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes a state; the one before it stays until the new one is complete."""
    from safetensors.torch import save

    contiguous = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_atomic(path, save(contiguous, metadata={_FACTS: json.dumps(facts)}))


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """A saved state and its facts, or `None` if there is none.

    Args:
        path: the file.
        settings: what the run is asked for; must equal `facts["settings"]` in what decides the result.

    Raises:
        ResectError: the file is damaged, or was made with other settings.
    """
    from safetensors import SafetensorError, safe_open

    from resect.artifact import deciding, difference

    if not path.is_file():
        return None
    if path.stat().st_size > _MAX_BYTES:
        raise ResectError(path, "a checkpoint of at most 16 GiB", f"{path.stat().st_size >> 30} GiB")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(_FACTS, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise ResectError(path, "a checkpoint of resect", str(error), "Remove it, or fit with --overwrite.") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("settings"), dict):
        raise ResectError(path, "a checkpoint of resect", "no facts in it", "Remove it, or fit with --overwrite.")
    made, asked = deciding(facts["settings"]), deciding(settings)
    if made != asked:
        fix = "Use the same settings to go on, or --overwrite to start anew."
        raise ResectError(path, "the settings the run began with", difference(made, asked), fix)
    return tensors, facts
