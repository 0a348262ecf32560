"""`resect import CHECKPOINT --out DIR`: other people's checkpoints as artefacts of resect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, start
from resect.cli.output import result, say


@dataclass(frozen=True)
class ImportArguments:
    """Which checkpoint, and where the artefact goes."""

    checkpoint: tyro.conf.Positional[Path]
    """PyTorch file of Occupancy Networks (.pt): a network for single images or for point clouds."""
    out: Path
    """Folder to make."""
    overwrite: bool = False
    """Replace an artefact that is there."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Converts one checkpoint; what it is, is told by the names of its weights."""
    description = "Other people's checkpoints as artefacts of resect; files that hold code are refused."
    example = "resect import onet_img2mesh.pt --out runs/onet"
    flags = parse(ImportArguments, arguments, prog="resect import", description=description, example=example)
    start(flags.common)
    from resect.shape.published import read_published

    refuse_overwrite(flags.out, flags.overwrite)
    made = read_published(flags.checkpoint)
    made.save(flags.out)
    s = made.settings
    say(f"occupancy network that takes {s.input}: code {s.code}, decoder {s.blocks} blocks of {s.width}")
    result(flags.common, {"out": str(flags.out), "kind": "occupancy", "input": s.input}, str(flags.out))
    return DONE
