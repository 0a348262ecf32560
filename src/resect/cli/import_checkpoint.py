"""`resect import CHECKPOINT --out DIR`: other people's checkpoints as artefacts of resect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.errors import ResectError


@dataclass(frozen=True)
class ImportArguments:
    """Which checkpoint, and where the artefact goes."""

    checkpoint: tyro.conf.Positional[Path]
    """PyTorch file of Occupancy Networks (for single images or point clouds), of Image2Sphere, of NeRF (.tar), or of
    σSRN and SRN."""
    out: Path
    """Folder to make."""
    categories: tuple[str, ...] = ()
    """Names of the classes that a network is told, in its order, where it is told any."""
    photos: Path | None = None
    """Of a NeRF: the photos it was learned from; needed for captures that look ahead (LLFF), for 'resect estimate' and
    for 'resect render'. Of a σSRN: the folder of all instances that it was learned from."""
    near: float = 2.0
    """Of a NeRF that does not look ahead: first sample before a camera, units of its world."""
    far: float = 6.0
    """Last sample."""
    background: Literal["white", "black"] = "white"
    """Behind everything."""
    samples: tuple[int, int] = (64, 128)
    """Of a NeRF along each ray, coarse and finer."""
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
    from resect.priors.image2sphere import published as rotations
    from resect.scenes.nerf import published as nerf
    from resect.scenes.sigma_srn.published import is_published as is_category

    refuse_overwrite(flags.out, flags.overwrite)
    found = read_checkpoint(flags.checkpoint)
    kinds = ((nerf.is_published, _nerf), (rotations.is_published, _rotations), (is_category, _category))
    read = next((read for fits, read in kinds if fits(found)), _occupancy)
    kind, what, facts = read(flags)
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


def _nerf(flags: ImportArguments) -> tuple[str, str, dict[str, object]]:
    from resect.data import read
    from resect.data.split import make_split
    from resect.place import note_place
    from resect.scenes.nerf.published import Lying, read_published

    lying = Lying(flags.near, flags.far, flags.background, *flags.samples)
    photos = None if flags.photos is None else read(flags.photos)
    made = read_published(flags.checkpoint, lying, photos)
    made.save(flags.out)
    s, warped = made.settings, made.space.warp is not None
    if photos is not None:
        note_place(photos, make_split(photos, None), "nerf", s, flags.out, resume=False)
    else:
        say("'resect estimate' and 'resect render' need its photos too: import it with --photos FOLDER")
    where = "warped, in the frame of its photos' mean camera" if warped else f"from {lying.near:g} to {lying.far:g}"
    return "nerf", f"NeRF of {s.depth} layers of {s.width}, {where}", {"depth": s.depth, "width": s.width}


def _category(flags: ImportArguments) -> tuple[str, str, dict[str, object]]:
    from resect.data.instances import read_instances
    from resect.scenes.sigma_srn.fit import learned_from, with_residual
    from resect.scenes.sigma_srn.published import read_published

    if flags.photos is None:
        fix = "Give the folder of instances that it was trained on: names and cameras are not in the file."
        raise ResectError("--photos", "a folder of instances", "none", fix)
    data = read_instances(flags.photos)
    made = with_residual(read_published(flags.checkpoint, learned_from(data)), data, flags.common.seed)
    made.save(flags.out)
    s, name = made.settings, "σSRN" if made.settings.weighted else "SRN"
    what = f"{name} of {len(made.instances)} instances: code {s.code}, width {s.width}"
    return "sigma-srn", what, {"instances": len(made.instances), "code": s.code, "width": s.width}
