"""`resect track FRAMES --scene MESH`: the camera's path, from one or several static objects seen in a sequence."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, parse_with_settings, refuse_overwrite, start
from resect.cli.output import result, say
from resect.errors import ResectError
from resect.tracking.settings import TrackSettings

if TYPE_CHECKING:
    from resect.geometry.symmetry import Symmetries
    from resect.refine.levenberg_marquardt import System
    from resect.tracking.run import TrackedObject
    from resect.tracking.sequence import Track
    from resect.types import Photo

_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class TrackArguments:
    """Which frames, which objects, and what is known of the first frame."""

    frames: tyro.conf.Positional[tuple[Path, ...]]
    """Folder of frames, which go by their names, 10 after 9; or the frames in their order. Names that are numbers are
    the time stamps."""
    scene: tuple[Path, ...]
    """Mesh of each object; the first one is the world."""
    out: Path
    """Trajectory to write, in TUM's format; what became of each frame is written beside it as OUT.poses.csv."""
    mask: tuple[str, ...] = ()
    """Mask of each object in the first frame, or FRAME=MASK for an object that comes later. It is then cut out of every
    frame by its colours; nothing else of the frames is looked at."""
    rough: bool = False
    """The masks are drawn roughly: in the first frame, too, edges are found by colour."""
    recut: int = 0
    """With --mask, how often each frame is cut again where the object was found: for shadows and mirrored lamps."""
    start: tuple[str, ...] = ()
    """Pose of each object in the first frame, or FRAME=POSE: JSON with cam_from_world."""
    sigma: tuple[float, float] = (10.0, 0.1)
    """Standard deviations of --start: degrees, and a part of the object's size."""
    camera_height: float | None = None
    """Height of the camera over the ground that the objects stand on, in the units of the meshes; with --mask."""
    height_sigma: float = 0.01
    """Standard deviation of --camera-height, part of it."""
    up: Literal["x", "y", "z"] = "z"
    """Axis of the meshes that points up, for --camera-height."""
    symmetries: Path | None = None
    """models_info.json of `resect mesh symmetries`: of poses that look alike the one nearest to the last is meant."""
    detections: Path | None = None
    """Boxes or masks of the first object: COCO or BOP results, or a folder of masks, one a frame."""
    camera: Path | None = None
    """Intrinsics: transforms.json, COLMAP cameras.txt, or JSON with fx fy cx cy width height."""
    fov_deg: float | None = None
    """Horizontal field of view, in place of --camera."""
    fps: float | None = None
    """Frames a second; overrides the names."""
    smooth: bool = True
    """Each frame stands as it was measured; by default the path of all frames is solved together."""
    map: Path | None = None
    """Mesh file to write with all objects in their places, in the first one's frame."""
    overwrite: bool = False
    """Write over existing files."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Tracks, and writes the path without the frames that have no pose."""
    description = "The camera's path from static objects seen in a sequence. A lost frame has no pose."
    example = "resect track frames --scene chair.ply --mask first.png --camera camera.json --out path.txt"
    told = {"prog": "resect track", "description": description, "example": example}
    flags, settings = parse_with_settings(TrackArguments, "follow", TrackSettings, arguments, **told)
    beside = flags.out.with_name(flags.out.name + ".poses.csv")
    _check(flags, beside)
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import read_photo
    from resect.data.trajectory import write_trajectory
    from resect.tracking.run import track

    files = _files(flags.frames)
    stamps = _stamps(files, flags.fps)
    _check_frames(files)

    def load(k: int) -> "Photo":
        return read_photo(files[k], camera_file=flags.camera, fov_deg=flags.fov_deg)

    objects = _objects(flags, files, load)
    with bar("tracking") as progress:
        found = track(
            load, [float(s) for s in stamps], objects, settings,
            smoothed=flags.smooth, seed=flags.common.seed, progress=progress,
        )  # fmt: skip
    write_trajectory(found.trajectory(stamps), flags.out, overwrite=True)
    _write_frames(found, beside, objects)
    if flags.map is not None:
        _write_map(found, flags)
    for note in found.notes:
        say(f"note: {note}")
    facts = _facts(found, flags.out)
    result(flags.common, facts, _text(facts))
    return DONE if len(found.rows) == len(files) else SOME_FAILED


def _check(flags: TrackArguments, beside: Path) -> None:
    """Errors before any work."""
    if flags.fov_deg is not None and not 0 < flags.fov_deg < 180:
        raise ResectError("--fov-deg", "between 0 and 180", str(flags.fov_deg))
    if flags.fps is not None:
        at_least("--fps", flags.fps, 1e-6)
    if not flags.scene:
        raise ResectError("--scene", "at least one mesh", "none")
    for name, given in (("--mask", flags.mask), ("--start", flags.start)):
        if given and len(given) != len(flags.scene):
            raise ResectError(name, f"one for each of the {len(flags.scene)} scenes", str(len(given)))
    if flags.mask and flags.start:
        raise ResectError("--start", "one of --mask and --start", "both")
    if flags.camera_height is not None and not (flags.camera_height > 0 and flags.mask):
        raise ResectError(
            "--camera-height", "more than 0, and --mask", f"{flags.camera_height:g}, masks: {len(flags.mask)}"
        )
    at_least("--recut", flags.recut, 0)
    at_least("--height-sigma", flags.height_sigma, 1e-6)
    if not (flags.mask or flags.start or flags.detections):
        fix = "Give --mask FIRST.png, --start POSE or --detections FILE."
        raise ResectError("resect track", "where the objects are in the first frame", "nothing", fix)
    if flags.detections is not None and len(flags.scene) > 1:
        raise ResectError("--detections", "one scene", str(len(flags.scene)), "For several there is --mask or --start.")
    for path in (flags.out, beside, *([flags.map] if flags.map else [])):
        refuse_overwrite(path, flags.overwrite)


def _files(paths: Sequence[Path]) -> list[Path]:
    from resect.data.image import SUFFIXES

    files = []
    for path in paths:
        if not path.exists():
            raise ResectError(path, "a frame or a folder of frames", "nothing there")
        files += _in_order(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise ResectError(", ".join(map(str, paths)), "at least one frame", "none", f"Frames are {' '.join(SUFFIXES)}.")
    return files


def _in_order(files: Iterable[Path]) -> list[Path]:
    """By time where all names are numbers; else by name, 10 after 9."""
    found = sorted(files)
    if all(_NUMBER.fullmatch(f.stem) for f in found):
        return sorted(found, key=lambda f: float(f.stem))
    return sorted(found, key=lambda f: [int(x) if x.isdecimal() else x for x in re.split(r"(\d+)", f.name)])


def _stamps(files: Sequence[Path], fps: float | None) -> list[str]:
    """Time stamps as text: of --fps, of names that are increasing numbers, else the frames' numbers."""
    if fps is not None:
        return [f"{k / fps:.6f}" for k in range(len(files))]
    if not all(_NUMBER.fullmatch(f.stem) for f in files):
        return [str(k) for k in range(len(files))]
    values = [float(f.stem) for f in files]
    for k, (a, b) in enumerate(itertools.pairwise(values)):
        if b <= a:
            fix = "Give their folder, or list them by time; --fps takes them as they are listed."
            got = f"{files[k + 1].name} after {files[k].name}"
            raise ResectError(files[k + 1], "frames whose names are increasing time stamps", got, fix)
    return [str(int(v)) if v == int(v) else f.stem for v, f in zip(values, files, strict=True)]


def _check_frames(files: Sequence[Path]) -> None:
    """Pictures of one size, before the first is followed."""
    from resect.data.image import read_header

    first = read_header(files[0]).upright
    for file in files[1:]:
        size = read_header(file).upright
        if size != first:
            want, got = (f"{width}x{height}" for width, height in (first, size))
            fix = "Give the frames of one camera, none of them resized or cropped."
            raise ResectError(file, f"a frame of the size of {files[0].name}, {want}", got, fix)


def _at(text: str, names: Sequence[str]) -> tuple[int, Path]:
    """(number of a frame, file) of "FRAME=FILE" or "FILE"."""
    frame, _, file = text.rpartition("=")
    if frame and frame not in names:
        raise ResectError(text, "the name of a frame before '='", repr(frame), f"Frames are named like {names[0]}.")
    return names.index(frame) if frame else 0, Path(file)


def _objects(flags: TrackArguments, files: Sequence[Path], load: "Callable[[int], Photo]") -> "list[TrackedObject]":
    from resect import zoo
    from resect.cli.knowledge import Sigma, read_starts
    from resect.data.target import target_from_mask
    from resect.priors.views import Views
    from resect.refine.cutout import Cutout
    from resect.refine.object.refiner import ObjectInversion
    from resect.tracking.masks import MaskSettings
    from resect.tracking.run import TrackedObject

    found, names = [], [f.name for f in files]
    for k, path in enumerate(flags.scene):
        scene: Any = zoo.load(path, role="scene")
        mesh = getattr(scene, "mesh", None)
        prior, same = None if mesh is None else Views.of(mesh), _same(flags.symmetries, path)
        if flags.mask:
            first, file = _at(flags.mask[k], names)
            mask = target_from_mask(load(first), file).mask
            masks = MaskSettings(rough=flags.rough, again=flags.recut)
            found.append(
                TrackedObject(
                    scene,
                    Cutout(known=_ground(flags, scene)),
                    prior,
                    mask=mask,
                    masks=masks,
                    first=first,
                    symmetries=same,
                )
            )
        elif flags.start:
            first, file = _at(flags.start[k], names)
            size = float((scene.bounds[1] - scene.bounds[0]).norm())
            guess = read_starts(file, Sigma(flags.sigma[0], flags.sigma[1] * size))(names[first])
            found.append(TrackedObject(scene, ObjectInversion(), None, guess, first=first, symmetries=same))
        else:
            found.append(
                TrackedObject(
                    scene, ObjectInversion(), prior, target=_detector(flags.detections, files), symmetries=same
                )
            )
    return found


def _ground(flags: TrackArguments, scene: Any) -> "tuple[System, ...]":
    """The camera's height over what the object stands on, as a term that its poses are held to."""
    if flags.camera_height is None:
        return ()
    import torch

    from resect.tracking.ground import camera_height

    axis = "xyz".index(flags.up)
    foot, height = float(scene.bounds[0, axis]), flags.camera_height
    return (camera_height(torch.eye(3)[axis], foot, height, flags.height_sigma * height),)


def _same(models_info: Path | None, mesh: Path) -> "Symmetries":
    """Of a mesh, as a file lists them."""
    from resect.cli.mesh_symmetries import model_keys
    from resect.data.models_info import read_models_info
    from resect.geometry.symmetry import Symmetries

    if models_info is None:
        return Symmetries()
    infos, (key,) = read_models_info(models_info), model_keys([mesh])
    if key not in infos:
        raise ResectError(models_info, f"model {key!r}", f"models {', '.join(sorted(infos)[:10])}")
    return infos[key].symmetries


def _detector(path: Path | None, files: Sequence[Path]) -> "Callable[[Photo], Photo]":
    from resect.data.detections import read_detections
    from resect.data.target import with_target

    assert path is not None
    detections = read_detections(path)
    whole = {f.name: f.absolute().as_posix() for f in files}  # the scene's number stands in a folder

    def added(photo: "Photo") -> "Photo":
        best = detections.of(whole[photo.name])[:1]
        return with_target(photo, best[0].target(photo)) if best else photo

    return added


def _write_frames(found: "Track", path: Path, objects: "Sequence[TrackedObject]") -> None:
    from resect.evaluation.pose_file import PoseRow, write_poses

    rows = []
    for k, frames in enumerate(found.objects):
        for f in frames:
            status = f.status.name if f.fate.ok or not f.status.ok else "NOT_CONVERGED"
            target = str(k) if len(objects) > 1 else ""
            rows.append(
                PoseRow(f.name, status, f.cam_from_world, target, seconds=f.cost.seconds, covariance=f.covariance)
            )
    mesh = getattr(objects[0].scene, "mesh", None)
    metric = mesh is not None and mesh.meters_per_unit == 1.0
    write_poses(path, rows, "m" if metric else "scene", overwrite=True)


def _write_map(found: "Track", flags: TrackArguments) -> None:
    from resect.data.mesh import read_mesh, write_mesh
    from resect.geometry.mesh_edit import concatenated

    assert flags.map is not None
    meshes = [read_mesh(flags.scene[k]) for k in found.registered]
    write_mesh(concatenated(meshes, found.world_from_obj.float()), flags.map, overwrite=True)
    say(f"map: {flags.map}")


def _facts(found: "Track", out: Path) -> dict[str, Any]:
    fates = [{f.name: f.fate.name for f in frames} for frames in found.objects]
    spread = found.covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0)
    steps = found.cam_from_world.center.diff(dim=0).norm(dim=-1)
    return {
        "out": str(out),
        "frames": len(found.names),
        "poses": len(found.rows),
        "objects": [{name: list(f.values()).count(name) for name in sorted(set(f.values()))} for f in fates],
        "lost": [name for name in found.names if not any(f[name] in ("FOUND", "FOLLOWED") for f in fates)],
        "path_length": float(steps.sum()),
        "sigma_units": float(spread[:, :3].sum(-1).sqrt().median()),
        "sigma_deg": float(spread[:, 3:].sum(-1).sqrt().median().rad2deg()),
        "world_from_obj": [m.tolist() for m in found.world_from_obj.matrix()],
        "seconds_per_frame": sum(f.cost.seconds for t in found.objects for f in t) / max(1, len(found.names)),
        "notes": list(found.notes),
    }


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{facts['poses']} of {facts['frames']} frames have a pose; the path is {facts['path_length']:.3f} long"]
    for k, fates in enumerate(facts["objects"]):
        lines.append(f"object {k}: " + ", ".join(f"{count} {name.lower()}" for name, count in fates.items()))
    lines.append(f"each pose ± {facts['sigma_units']:.4f} units, {facts['sigma_deg']:.3f}° (median)")
    return "\n".join([*lines, facts["out"]])
