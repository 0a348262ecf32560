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
    """PyTorch file (.pt) of Occupancy Networks, for single images or point clouds, or of Image2Sphere."""
    out: Path
    """Folder to make."""
    categories: tuple[str, ...] = ()
    """Names of the classes that a network is told, in its order, where it is told any."""
    overwrite: bool = False
    """Replace an artefact that is there."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Converts one checkpoint; what it is, is told by the names of its weights."""
    description = "Other people's checkpoints as artefacts of resect; files that hold code are refused."
    example = "resect import onet_img2mesh.pt --out runs/onet"
    flags = parse(ImportArguments, arguments, prog="resect import", description=description, example=example)
    start(flags.common)
    from resect.nn.backbone.weights import read_checkpoint
    from resect.priors.image2sphere.published import is_published

    refuse_overwrite(flags.out, flags.overwrite)
    rotations = is_published(read_checkpoint(flags.checkpoint))
    kind, what, facts = _rotations(flags) if rotations else _occupancy(flags)
    say(what)
    result(flags.common, {"out": str(flags.out), "kind": kind, **facts}, str(flags.out))
    return DONE


def _occupancy(flags: ImportArguments) -> tuple[str, str, dict[str, object]]:
    from resect.shape.published import read_published

    made = read_published(flags.checkpoint)
    made.save(flags.out)
    s = made.settings
    what = f"occupancy network that takes {s.input}: code {s.code}, decoder {s.blocks} blocks of {s.width}"
    return "occupancy", what, {"input": s.input}


def _rotations(flags: ImportArguments) -> tuple[str, str, dict[str, object]]:
    from resect.priors.image2sphere.published import read_published

    made = read_published(flags.checkpoint, flags.categories)
    made.save(flags.out)
    s = made.settings
    told = f", told one of {len(made.categories)} classes" if s.class_label else ""
    what = f"Image2Sphere: {s.encoder}, pictures of {s.side} pixels{told}; rotations are in the frame of its labels"
    return made.kind, what, {"encoder": s.encoder, "categories": list(made.categories)}
