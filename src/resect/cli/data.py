"""`resect data list|get|check|convert|make|pose|scale`: what to do with photos before learning from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.data_clutter import ClutterArguments, clutter
from resect.cli.data_instances import InstancesArguments, instances
from resect.cli.data_labels import LabelsArguments, PairsArguments, labels, pairs
from resect.cli.data_rotations import RotationsArguments, rotations
from resect.cli.data_shapes import PrepareArguments, ShapesArguments, prepare, shapes
from resect.cli.data_views import ViewsArguments, views
from resect.cli.main import BAD_INPUT, DONE
from resect.cli.options import COMMON, CommonFlags, refuse_overwrite
from resect.cli.output import result, say
from resect.cli.sub_verb import SubVerb, run_sub_verb
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.data.check import CheckReport
    from resect.data.structure_from_motion import StructureFromMotionSettings
    from resect.data.synthetic import SyntheticSettings


@dataclass(frozen=True)
class ListArguments:
    """Datasets that can be fetched or made."""

    common: CommonFlags = COMMON


@dataclass(frozen=True)
class GetArguments:
    """A dataset, downloaded, checked and unpacked."""

    name: tyro.conf.Positional[str]
    """One of 'resect data list'."""
    out: Path
    """Folder to make; the same command again goes on with a download that was interrupted."""
    url: str = ""
    """Another address of the same archive; file:///PATH for one that is here already."""
    sha256: str = ""
    """Checksum that the archive must have, in place of the one that is known."""
    overwrite: bool = False
    """Replace what an earlier 'data get' of the same name made."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class CheckArguments:
    """Are these photos and poses fit to learn from?"""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos, or its transforms.json."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes folder."""
    test: str | None = None
    """Split to report on: every:8, blocks:20:4, file:NAMES or given."""
    draw: Path | None = None
    """PNG to draw the cameras to."""
    matches: bool = True
    """Compare poses with photos by matched features; --no-matches leaves that out, which is faster."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class ConvertArguments:
    """Another format for the same posed photos, or for a trajectory."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos, or its transforms.json; or a trajectory (TUM, KITTI, EuRoC)."""
    out: Path
    """Folder to write; of a trajectory, the file."""
    to: Literal["transforms", "colmap", "tum", "kitti", "euroc", "bop"] = "transforms"
    """Format to write; kitti and euroc are for trajectories, transforms and colmap for photos, tum for both, bop for
    photos of known objects."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes folder."""
    overwrite: bool = False
    """Replace poses that are in --out already."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class MakeArguments:
    """A synthetic capture: a textured room with true poses and exact depth."""

    out: Path
    """Empty or new folder."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class PoseArguments:
    """Poses for photos that have none, by structure from motion."""

    photos: tyro.conf.Positional[Path]
    """Folder of photos, or a video."""
    out: Path
    """Folder to make: images, transforms.json and a COLMAP model."""
    overwrite: bool = False
    """Replace what an earlier run wrote."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class ScaleArguments:
    """Metres for a world of unknown scale, from one known distance."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos, or its transforms.json."""
    out: Path
    """Folder to write, in metres."""
    known_distance: float
    """The distance in metres."""
    between: tuple[str, str] | None = None
    """Names of two photos: the distance is that between the places where they were taken."""
    first: tuple[str, ...] = ()
    """Marks of the first point, each PHOTO:X:Y in pixels, in two photos or more."""
    second: tuple[str, ...] = ()
    """Marks of the second point."""
    overwrite: bool = False
    """Replace poses that are in --out already."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Runs one of the sub-verbs."""
    return run_sub_verb("data", _VERBS, arguments)


def _list(flags: ListArguments) -> int:
    from dataclasses import asdict

    from resect.data.catalog import DATASETS

    width = max(map(len, DATASETS)) + 2
    lines = []
    for name, found in DATASETS.items():
        size = f"{found.bytes / 1e9:.1f} GB" if found.bytes else ""
        lines += [
            f"{name:<{width}}{size:>8}  {found.what}",
            f"    format {found.format}; licence: {found.licence}",
            f"    {found.url or found.page}",
        ]
    text = "\n".join([*lines, "", "resect data get NAME --out DIR fetches one; your own photos need none of them."])
    result(flags.common, {name: asdict(found) for name, found in DATASETS.items()}, text)
    return DONE


def _get(flags: GetArguments) -> int:
    from resect.artifact import read_json
    from resect.cli.progress import share
    from resect.data.catalog import DATASETS
    from resect.data.get import SOURCE, get

    with share("getting") as progress:
        folder = get(
            flags.name, flags.out, url=flags.url, sha256=flags.sha256, overwrite=flags.overwrite, progress=progress
        )
    sum_, known = read_json(flags.out / SOURCE)["sha256"], flags.sha256 or DATASETS[flags.name].sha256
    how = "as expected" if known else "nothing to compare it with was known; kept for the next time"
    say(f"SHA-256 {sum_}: {how}")
    say(f"licence: {DATASETS[flags.name].licence}, {DATASETS[flags.name].page}; now: resect data check {folder}")
    result(flags.common, {"out": str(flags.out), "photos_in": str(folder), "sha256": sum_}, str(folder))
    return DONE


def _check(flags: CheckArguments) -> int:
    from resect.cli.progress import share
    from resect.data import make_split, read
    from resect.data.check import check
    from resect.data.draw_cameras import draw_cameras
    from resect.data.objects import OBJECT_FORMATS

    photos = read(flags.data, poses=flags.poses)
    if photos.format in OBJECT_FORMATS:
        return _check_objects(flags)
    split = make_split(photos, flags.test) if flags.test else None
    with share("checking") as progress:
        report = check(photos, split, matches=flags.matches, progress=progress)
    if flags.draw is not None:
        draw_cameras(photos, flags.draw, split)
        say(f"cameras: {flags.draw}")
    result(flags.common, report.as_json(), _text(report))
    return DONE if report.ok else BAD_INPUT


def _check_objects(flags: CheckArguments) -> int:
    from resect.data.check_objects import check_objects
    from resect.data.objects import read_objects

    report = check_objects(read_objects(flags.data))
    result(flags.common, report.as_json(), report.text())
    return DONE if report.ok else BAD_INPUT


def _text(report: "CheckReport") -> str:
    length = "metres" if report.meters_per_unit == 1.0 else "units"
    sizes = ", ".join(f"{w}x{h}" for w, h in report.sizes[:3])
    halves = f"{report.train} to learn from, {report.test} held out by {report.split}"
    lines = [
        f"format       {report.format}: {report.photos} photos ({halves})",
        f"images       {sizes}; horizontal field of view {report.fov_deg[0]:.1f} to {report.fov_deg[1]:.1f}°",
        f"scene scale  {report.scene_scale:.4g} {length}",
        f"look at      {' '.join(f'{x:.3g}' for x in report.look_at)}, missed by {report.miss_deg:.1f}° in the median",
    ]
    if report.depth_range is not None:
        lines.append(f"depth        {report.depth_range[0]:.3g} to {report.depth_range[1]:.3g} {length}")
    return "\n".join([*lines, "", *(f"{f.level:<8} {f.sentence}" for f in report.findings)])


def _convert(flags: ConvertArguments) -> int:
    from resect.data import read
    from resect.data.convert import convert
    from resect.data.trajectory import trajectory_format

    if trajectory_format(flags.data) is not None:
        return _convert_trajectory(flags)
    if flags.to == "bop":
        return _convert_objects(flags)
    if flags.to == "kitti" or flags.to == "euroc":
        raise ResectError("--to", "transforms, colmap or tum for posed photos", flags.to)
    photos = read(flags.data, poses=flags.poses)
    for note in (*photos.notes, *convert(photos, flags.out, flags.to, overwrite=flags.overwrite)):
        say(f"note: {note}")
    result(flags.common, {"out": str(flags.out), "photos": len(photos)}, str(flags.out))
    return DONE


def _convert_objects(flags: ConvertArguments) -> int:
    from resect.data.bop import write_bop
    from resect.data.objects import read_objects

    objects = read_objects(flags.data)
    for note in write_bop(objects, flags.out):
        say(f"note: {note}")
    count = sum(len(found) for found in objects.values())
    result(flags.common, {"out": str(flags.out), "objects": len(objects), "photos": count}, str(flags.out))
    return DONE


def _convert_trajectory(flags: ConvertArguments) -> int:
    from resect.data.trajectory import read_trajectory, write_trajectory

    if flags.to == "transforms" or flags.to == "colmap" or flags.to == "bop":
        raise ResectError("--to", "tum, kitti or euroc for a trajectory", flags.to)
    trajectory = read_trajectory(flags.data)
    for note in trajectory.notes:
        say(f"note: {note}")
    if flags.to == "kitti" and trajectory.timed:
        say("note: KITTI's format has no place for time stamps; they are lost.")
    write_trajectory(trajectory, flags.out, flags.to, overwrite=flags.overwrite)
    result(flags.common, {"out": str(flags.out), "poses": len(trajectory)}, str(flags.out))
    return DONE


def _make(flags: MakeArguments, settings: "SyntheticSettings") -> int:
    from resect.data.synthetic import make_capture

    refuse_overwrite(flags.out, overwrite=False)
    photos = make_capture(settings, flags.out)
    result(flags.common, {"out": str(flags.out), "photos": len(photos)}, str(flags.out))
    return DONE


def _pose(flags: PoseArguments, settings: "StructureFromMotionSettings") -> int:
    from resect.cli.progress import share
    from resect.data.structure_from_motion import pose_photos

    with share("structure from motion") as progress:
        _, report = pose_photos(flags.photos, flags.out, settings, overwrite=flags.overwrite, progress=progress)
    for note in report.notes:
        say(f"note: {note}")
    say(f"now: resect data check {flags.out}")
    result(flags.common, report.as_json(), report.sentence)
    return DONE


def _scale(flags: ScaleArguments) -> int:
    from resect.data import read
    from resect.data.convert import convert
    from resect.data.scale import meters_from_cameras, meters_from_points, scale_world

    photos = read(flags.data)
    if (flags.between is None) == (not flags.first or not flags.second):
        raise ResectError("data scale", "--between, or --first and --second", "both or neither")
    if flags.between is not None:
        meters = meters_from_cameras(photos, *flags.between, flags.known_distance)
    else:
        first, second = ([_mark(text) for text in marks] for marks in (flags.first, flags.second))
        meters, error_px = meters_from_points(photos, first, second, flags.known_distance)
        say(f"the marks agree to {error_px:.1f} pixels")
    for note in convert(scale_world(photos, meters), flags.out, "transforms", overwrite=flags.overwrite):
        say(f"note: {note}")
    result(flags.common, {"out": str(flags.out), "meters_per_unit": meters}, f"1 unit was {meters:.6g} m: {flags.out}")
    return DONE


def _mark(text: str) -> Any:
    from resect.data.scale import Mark

    name, *numbers = text.rsplit(":", 2)
    try:
        x, y = (float(n) for n in numbers)
    except ValueError:
        raise ResectError("mark", "PHOTO:X:Y", repr(text)) from None
    return Mark(name, x, y)


_VERBS: dict[str, SubVerb] = {
    "list": SubVerb(ListArguments, _list, "resect data list"),
    "get": SubVerb(GetArguments, _get, "resect data get 7scenes-heads --out heads"),
    "check": SubVerb(CheckArguments, _check, "resect data check PHOTOS --draw cameras.png"),
    "convert": SubVerb(ConvertArguments, _convert, "resect data convert PHOTOS --to colmap --out converted"),
    "labels": SubVerb(LabelsArguments, labels, "resect data labels chess heads --fraction 0.3 --out labels.csv"),
    "pairs": SubVerb(PairsArguments, pairs, "resect data pairs PHOTOS --scene runs/place --out pairs.csv"),
    "make": SubVerb(
        MakeArguments,
        _make,
        "resect data make --out room --capture.photos 40",
        ("capture", "resect.data.synthetic_settings:SyntheticSettings"),
    ),
    "shapes": SubVerb(
        ShapesArguments,
        shapes,
        "resect data shapes chair --out chairs --shapes.train 3000",
        ("shapes", "resect.data.procedural_shapes.settings:ProceduralSettings"),
    ),
    "prepare": SubVerb(
        PrepareArguments,
        prepare,
        "resect data prepare MESHES --category chair --out chairs",
        ("prepare", "resect.data.prepare_settings:PrepareSettings"),
    ),
    "views": SubVerb(
        ViewsArguments,
        views,
        "resect data views chair --out views --views.images 6000",
        ("views", "resect.synthesis.view_settings:ViewSettings"),
    ),
    "instances": SubVerb(
        InstancesArguments,
        instances,
        "resect data instances chair --out chairs --instances.train 200",
        ("instances", "resect.synthesis.instance_settings:InstanceSettings"),
    ),
    "clutter": SubVerb(
        ClutterArguments,
        clutter,
        "resect data clutter MODELS --out clutter --clutter.images 1600",
        ("clutter", "resect.synthesis.clutter_set_settings:ClutterSetSettings"),
    ),
    "rotations": SubVerb(
        RotationsArguments,
        rotations,
        "resect data rotations ModelNet10/chair ModelNet10/sofa --split train --out chairs-and-sofas",
        ("draw", "resect.synthesis.model_rotation_settings:ModelRotationSettings"),
    ),
    "pose": SubVerb(
        PoseArguments,
        _pose,
        "resect data pose PHOTOS_OR_VIDEO --out posed",
        ("sfm", "resect.data.structure_from_motion_settings:StructureFromMotionSettings"),
    ),
    "scale": SubVerb(
        ScaleArguments, _scale, "resect data scale posed --between A.jpg B.jpg --known-distance 0.8 --out metres"
    ),
}
