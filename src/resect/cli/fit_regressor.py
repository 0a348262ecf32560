"""`resect fit posenet|ms-transformer|pose-decoder PHOTOS… --out DIR`: pose regressors, decoders of their latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.options import COMMON, CommonFlags, generator, refuse_overwrite, start
from resect.cli.output import result, say
from resect.cli.several import folder_of, note
from resect.errors import ResectError
from resect.zoo import entry, resolve

if TYPE_CHECKING:
    from resect.types import PhotoSet, Split

REGRESSORS = ("posenet", "ms-transformer", "pose-decoder", "image-decoder", "rpr", "iapr")
_SEVERAL = ("ms-transformer", "pose-decoder")
_TAUGHT = ("pose-decoder", "rpr", "iapr")
"""What the names begin with."""
_SAME = 1e-3
"""Poses of one photo that are nearer than this part of the scene's scale are the same."""


@dataclass(frozen=True)
class FitRegressorArguments:
    """Where the photos are and what to make of them."""

    data: tyro.conf.Positional[tuple[str, ...]]
    """Folder of posed photos; for ms-transformer also several, NAME=FOLDER, or a label list (CSV) of several places;
    for a pose-decoder that one teaches, those of its places, by the same names."""
    out: Path
    """Folder to make."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes or Cambridge folder; as label list (CSV), of any folder."""
    test: str | None = None
    """Photos held out: every:8, blocks:20:4, file:NAMES, given or none; by default the format's own, else every:8."""
    teacher: Path | None = None
    """Of pose-decoder, rpr and iapr: folder of the pose regressor whose latents they learn from."""
    decoder: Path | None = None
    """Of iapr and image-decoder: folder of a pose decoder; iapr's learned from the same teacher."""
    begin: Path | None = None
    """Folder of a regressor of the same kind to begin from, for training in stages."""
    views_from: Path | None = None
    """Folder of a scene of the place: also learn from views rendered from it at plausible new poses."""
    rendered: int = 1000
    """How many views."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_regressor(name: str, flags: FitRegressorArguments, settings: Any) -> int:
    """Fits a regressor or a decoder."""
    start(flags.common)
    from resect import artifact, zoo
    from resect.cli.fit import clear
    from resect.cli.progress import bar

    taught = name.startswith(_TAUGHT)
    if taught != (flags.teacher is not None):
        got = "none" if taught else f"--teacher {flags.teacher}"
        raise ResectError("--teacher", "the folder of a regressor" if taught else "none for a regressor", got)
    given = {
        "teacher": flags.teacher, "decoder": flags.decoder, "begin": flags.begin, "views from": flags.views_from,
    }  # fmt: skip
    further: dict[str, Any] = {key: artifact.digest(path) for key, path in given.items() if path is not None}
    further |= {"rendered": flags.rendered} if flags.views_from else {}
    parents = tuple(zoo.load(p) for p in (flags.teacher, flags.decoder, flags.begin) if p is not None)
    places = _read(name, flags)
    _have_weights(settings)
    _refuse_strangers(flags, places)
    if flags.overwrite:
        clear(flags.out)
    elif not (flags.out / "place.json").is_file() and not (flags.out / "places.json").is_file():
        refuse_overwrite(flags.out, overwrite=False)
    train = _training(name, flags, settings, places, further)
    fit = resolve(entry(name, fitted=True).fit)
    with bar(name) as progress:
        fit(
            train, settings, out=flags.out, parents=parents, resume=True,
            generator=generator(flags.common), progress=progress,
        )  # fmt: skip
    if (flags.out / "places.json").is_file():
        note(flags.out, tuple(places))
    counts = {key: [len(split.train), len(split.test)] for key, (_, split) in places.items()}
    say(f"now: {_next_command(name, flags, tuple(places))}")
    result(flags.common, {"out": str(flags.out), "places": counts}, str(flags.out))
    return 0


def _next_command(name: str, flags: FitRegressorArguments, places: tuple[str, ...]) -> str:
    """What to try with what was made."""
    source, which = flags.data[0], ""
    if len(places) > 1:
        key = source.partition("=")[0] if "=" in source else Path(source).resolve().name
        which = f":{key if key in places else places[0]}"
        source = source if key in places else "PHOTOS"
    source = source.partition("=")[2] or source
    if name.startswith("image-decoder"):
        return f"resect render {flags.out} {source} --out renders"
    return f"resect predict {source} --scene {flags.out}{which} --out poses.csv"


def _have_weights(settings: Any) -> None:
    """The backbone's weights are looked for, and fetched, before anything is written."""
    from resect.nn.backbone.make import find_weights

    pretrained = getattr(settings, "pretrained", "")
    if pretrained and not (path := find_weights(settings.backbone, pretrained)).is_file():
        raise ResectError(path, "a file of weights", "no file", "Check the path.")


def _refuse_strangers(flags: FitRegressorArguments, places: "Mapping[str, tuple[PhotoSet, Split]]") -> None:
    """An error where a parent has learned from another place, or from photos that are held out here."""
    if len(places) != 1:
        return
    from resect.place import read_place

    ((photos, split),) = places.values()
    index = {name: i for i, name in enumerate(photos.names)}
    given = {"--views-from": flags.views_from, "--teacher": flags.teacher, "--decoder": flags.decoder}
    for flag, folder in given.items():
        if folder is None or not (folder / "place.json").is_file():
            continue
        facts = read_place(folder)
        theirs = [k for k, name in enumerate(facts.names) if name in index]
        if not theirs:
            say(f"note: {flag} {folder} has learned from none of these photos: is it of the same place and world?")
            continue
        own = [index[facts.names[k]] for k in theirs]
        apart = photos.truth.cam_from_world[own].center - facts.cam_from_world[theirs].center
        far, again = float(apart.norm(dim=-1).max()), "Fit it on the same photos, with the same --poses and --test."
        if far > _SAME * facts.scene_scale:
            raise ResectError(f"{flag} {folder}", "what was learned in this place", f"poses {far:.3g} away", again)
        held = [photos.names[i] for i in own if i in split.test]
        if held:
            got = f"one that learned from {len(held)} of {len(split.test)}, e.g. {held[0]}"
            raise ResectError(f"{flag} {folder}", "one that has not seen what is held out", got, again)


def _read(name: str, flags: FitRegressorArguments) -> "dict[str, tuple[PhotoSet, Split]]":
    """Photos and split of each place; several only for methods that take them."""
    from resect.data import read
    from resect.data.scenes import read_scenes
    from resect.data.split import make_split, require

    if not name.startswith(_SEVERAL) and len(flags.data) != 1:
        fix = "ms-transformer takes several, and a pose-decoder taught by one."
        raise ResectError(f"resect fit {name}", "photos of one place", f"{len(flags.data)} places", fix)
    if _named(name, flags):
        photos = read_scenes(flags.data)
    else:
        photos = {Path(flags.data[0]).resolve().name: read(flags.data[0], poses=flags.poses)}
    found = {}
    for key, some in photos.items():
        split = make_split(some, flags.test)
        say(f"{key}: {some.format}: {len(some)} photos, {len(split.train)} to learn from, {len(split.test)} held out")
        for remark in some.notes:
            say(f"note: {remark}")
        require(some.subset(split.train), 2, f"'{name}'")
        found[key] = (some, split)
    return found


def _training(
    name: str,
    flags: FitRegressorArguments,
    settings: Any,
    places: "Mapping[str, tuple[PhotoSet, Split]]",
    further: Mapping[str, Any],
) -> "PhotoSet | dict[str, PhotoSet]":
    """Training photos of the place or places, with rendered views; the facts of one place are noted in its folder."""
    from resect import zoo
    from resect.artifact import write_json
    from resect.place import note_place
    from resect.synthesis.scene_views import SceneViewSettings, joined, scene_views

    several = _named(name, flags) or name.startswith("ms-transformer")
    if several:
        if flags.views_from is not None:
            raise ResectError("--views-from", "a method for one place", name)
        split = {key: {"train": list(s.train), "test": list(s.test), "rule": s.rule} for key, (_, s) in places.items()}
        flags.out.mkdir(parents=True, exist_ok=True)
        write_json(flags.out / "places.json", {"splits": split, "method": name})
        for key, (some, held) in places.items():
            fresh, seed = not flags.overwrite, flags.common.seed
            note_place(some, held, name, settings, folder_of(flags.out, key), seed=seed, resume=fresh, further=further)
    (photos, split_), *rest = places.values()
    if rest:
        return {key: some.subset(s.train) for key, (some, s) in places.items()}
    train = note_place(
        photos, split_, name, settings, flags.out, seed=flags.common.seed, resume=not flags.overwrite, further=further
    )
    if flags.views_from is not None:
        say(f"rendering {flags.rendered} views while they are learned from")
        seen = round(settings.side / settings.share) if hasattr(settings, "share") else 0
        side = max(SceneViewSettings.side, seen)
        views = SceneViewSettings(count=flags.rendered, side=side, seed=flags.common.seed)
        train = joined(train, scene_views(zoo.load(flags.views_from, role="scene"), train, views))
    return {next(iter(places)): train} if several else train


def _named(name: str, flags: FitRegressorArguments) -> bool:
    """Whether the places are known by names: always to ms-transformer, to a pose-decoder where there are several."""
    if flags.poses is not None or not name.startswith(_SEVERAL):
        return False
    return name.startswith("ms-transformer") or len(flags.data) > 1 or "=" in flags.data[0]
