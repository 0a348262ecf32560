"""`resect fit NAME DATA --out DIR`: learn a scene (with the priors that start its inversion) or a prior alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.fit_category import FitCategoryArguments, fit_category
from resect.cli.fit_detector import FitDetectorArguments, fit_detector
from resect.cli.fit_object_frames import FitObjectFramesArguments, fit_object_frames
from resect.cli.fit_regressor import REGRESSORS, FitRegressorArguments, fit_regressor
from resect.cli.fit_rotations import FitRotationsArguments, fit_rotations
from resect.cli.fit_shape import FitShapeArguments, fit_shape
from resect.cli.fit_views import FitViewsArguments, fit_views
from resect.cli.options import COMMON, CommonFlags, generator, parse_with_settings, refuse_overwrite, start
from resect.cli.output import result, say
from resect.cli.preset_file import NERF, with_preset
from resect.errors import ResectError
from resect.zoo import ZOO, entry, resolve

_PRESETS = " --config FILE reads the key = value presets of other NeRF programs; flags beside it win."


@dataclass(frozen=True)
class FitArguments:
    """Where the photos are and what to make of them."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos, or its transforms.json."""
    out: Path
    """Folder to make."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes folder."""
    test: str | None = None
    """Photos held out: every:8, blocks:20:4, file:NAMES, given or none; by default the format's own, else every:8."""
    priors: tuple[str, ...] = ("landmarks", "retrieval")
    """Priors to learn beside a scene."""
    nerf: Path | None = None
    """Folder of a NeRF of the same photos: all learns from its renders at their poses, for a scene that is inverted
    faster."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Fits one entry of the zoo."""
    named = {name: e for name, e in ZOO.items() if e.fit}
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:<15} {e.line}" for name, e in named.items())
        example = "example: resect fit field PHOTOS --out runs/place"
        print(f"usage: resect fit NAME DATA --out DIR [--flags]\n\n{lines}\n\n{example}")
        print("\nresect fit NAME --help lists its flags.")
        return 0
    name = arguments[0]
    kind, action, data = _way(name)
    flags, settings = parse_with_settings(
        kind,
        name.replace("-", "_"),
        resolve(entry(name, fitted=True).settings),
        with_preset(arguments[1:], name, NERF, say) if name.startswith("nerf") else arguments[1:],
        prog=f"resect fit {name}",
        description=f"{named[name].line}." + (_PRESETS if name.startswith("nerf") else ""),
        example=f"resect fit {name} {data}",
    )
    return action(name, flags, settings)


def _way(name: str) -> tuple[type[Any], Callable[[str, Any, Any], int], str]:
    """Flags, action and example by what a method learns from: photos of a place, shapes, views of instances, photos of
    known objects, crops with viewpoints or rotations.
    """
    if entry(name, fitted=True).role == "shape":
        return FitShapeArguments, fit_shape, "SHAPES --out runs/chairs"
    if name.startswith(REGRESSORS):
        return FitRegressorArguments, fit_regressor, "PHOTOS --out runs/regressor"
    if name.startswith(("sigma-srn", "srn")):
        return FitCategoryArguments, fit_category, "INSTANCES --out runs/chairs"
    if name == "object-frames":
        return FitObjectFramesArguments, fit_object_frames, "PHOTOS --scene runs/desk --detector runs/posecnn"
    if name.startswith("posecnn"):
        return FitDetectorArguments, fit_detector, "OBJECTS --out runs/posecnn"
    if name.startswith("viewpoint"):
        return FitViewsArguments, fit_views, "VIEWS --out runs/viewpoint"
    if name.startswith(("image2sphere", "ipdf")):
        return FitRotationsArguments, fit_rotations, "solids:cube --out runs/cube"
    return FitArguments, _fit, "PHOTOS --out runs/place"


def _fit(name: str, flags: FitArguments, settings: Any) -> int:
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import read
    from resect.data.split import make_split, require
    from resect.place import fit_place

    priors = flags.priors if ZOO[name].role == "scene" else ()
    for prior in priors:
        entry(prior, role="prior", fitted=True)
    photos = read(flags.data, poses=flags.poses)
    split = make_split(photos, flags.test)
    say(f"{photos.format}: {len(photos)} photos, {len(split.train)} to learn from, {len(split.test)} held out")
    for note in photos.notes:
        say(f"note: {note}")
    require(photos.subset(split.train), 2, f"'{name}'")
    if flags.nerf is not None:
        _check_nerf(flags.nerf, photos, flags.data)
    if flags.overwrite:
        clear(flags.out)
    elif not (flags.out / "place.json").is_file():
        refuse_overwrite(flags.out, overwrite=False)
    if flags.nerf is not None:
        photos = _distilled(photos, split.train, flags)
    fit_place(photos, split, name, settings, flags.out, priors=priors, generator=generator(flags.common), stage=bar)
    try_it = f"; now: resect predict {flags.data} --scene {flags.out} --out poses.csv" if split.test else ""
    say(f"learned from {len(split.train)} photos{try_it}")
    result(flags.common, {"out": str(flags.out), "train": len(split.train), "test": len(split.test)}, str(flags.out))
    return 0


def _check_nerf(folder: Path, photos: Any, data: Path) -> None:
    """Its renders are to stand for these photos."""
    from resect.place import read_place

    if (folder / "place.json").is_file() and not set(read_place(folder).names) & set(photos.names):
        fix = "Give the NeRF of these photos: its renders stand for them."
        raise ResectError("--nerf", f"a NeRF of photos in {data}", f"{folder}, of others", fix)


def _distilled(photos: Any, train: Sequence[int], flags: FitArguments) -> Any:
    """Training photos replaced by a NeRF's renders."""
    from resect.scenes.nerf.scene import Nerf
    from resect.synthesis.distilled import distilled_photos

    assert flags.nerf is not None
    nerf = Nerf.load(flags.nerf, flags.common.device)
    say(f"rendering {len(train)} photos from {flags.nerf} while they are learned from")
    return distilled_photos(nerf, photos, train, nerf.settings.max_side)


def clear(out: Path) -> None:
    """Removes what an earlier fit wrote, and nothing else; a link is removed, not what it points at."""
    import shutil

    from resect.training.ranks import is_first

    if not is_first():
        return
    written = (
        "artifact.json",
        "weights.safetensors",
        "split.json",
        "place.json",
        "places.json",
        "errors.json",
        "log.jsonl",
    )
    for name in written:
        (out / name).unlink(missing_ok=True)
        for cut_short in out.glob(f".{name}.*"):  # what a killed process was writing
            cut_short.unlink(missing_ok=True)
    for name in ("priors", "checkpoints", "tensorboard", "teacher", "decoder", "places"):
        if (out / name).is_symlink():
            (out / name).unlink()
        elif (out / name).is_dir():
            shutil.rmtree(out / name)
