"""`resect estimate PHOTO… --scene DIR`: poses of new photos, on screen, with overlays."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.knowledge import Sigma, lock_names, narrowed, near_term, read_near, read_starts, sigmas_from, up_term
from resect.cli.main import BAD_INPUT, DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.localizer import Localizer
    from resect.priors.given import Given
    from resect.types import Estimate, Hypotheses, Photo

_SURPRISING_SIGMAS = 5.0


@dataclass(frozen=True)
class EstimateArguments:
    """Which photos, in which scene, from which guess."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """New photos, or folders of photos."""
    scene: Path
    """Folder that 'resect fit' made."""
    prior: tuple[str, ...] = ()
    """Guesses in the order to try them: landmarks, retrieval, view-sphere, or a folder of a fitted prior; by default
    those learned with the scene."""
    start: Path | None = None
    """Where to start, in place of a prior: JSON with cam_from_world, or a pose file with the photos' rows."""
    near: Path | None = None
    """A pose that the photos are near, beside what the priors guess: JSON, or a pose file with one photo."""
    sigma: tuple[float, float] = (10.0, 0.1)
    """Standard deviations of --start and --near: degrees, and a part of the scene's scale."""
    lock: tuple[str, ...] = ()
    """What is kept exactly as in --start (or --near): rotation, translation, or any of vx vy vz wx wy wz, shifts along
    and turns about the axes of that camera (x right, y down, z forward)."""
    up: tuple[float, float, float] | None = None
    """Up as the camera saw it, in its axes (x right, y down, z forward): 0 -1 0 for a level camera."""
    up_sigma: float = 2.0
    """Standard deviation of --up in degrees."""
    world_up: tuple[float, float, float] | None = None
    """Up in the world, where the photos that the scene was learned from do not say."""
    camera: Path | None = None
    """Intrinsics of the photos: transforms.json, COLMAP cameras.txt, or JSON with fx fy cx cy width height."""
    fov_deg: float | None = None
    """Horizontal field of view, in place of --camera."""
    depth: Path | None = None
    """Depth of the photos (RGB-D): an image, or a folder with one named like each photo; 16 bit, 0 where unknown."""
    depth_unit: float = 0.001
    """World units per number stored in --depth; 0.001 is millimetres in a metric world."""
    focal_sigma: float = 0.0
    """Standard deviation of the focal length as a part of it, e.g. 0.05, to refine it too; 0 holds it."""
    count: int = 64
    """Hypotheses to start from."""
    out: Path | None = None
    """Folder for overlays and poses.csv."""
    overwrite: bool = False
    """Write over what is in --out."""
    common: CommonFlags = COMMON


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one file.

    Attributes:
        name: unique among the files.
        found: the photo and its estimate, or why the file could not be used.
    """

    name: str
    found: "tuple[Photo, Estimate] | str"


def run(arguments: Sequence[str]) -> int:
    """Estimates each photo; a photo that fails does not stop the others."""
    description = "Poses of new photos. A photo that fails gets a status and an advice, never a pose."
    example = "resect estimate new.jpg --scene runs/place --out answers"
    flags = parse(EstimateArguments, arguments, prog="resect estimate", description=description, example=example)
    _check(flags)
    start(flags.common)
    files = _files(flags.photos)
    near = read_near(flags.near, _sigma(flags)) if flags.near else None
    starts = read_starts(flags.start, _sigma(flags)) if flags.start else None
    if flags.depth is not None and not flags.depth.is_dir() and len(files) > 1:
        raise ResectError("--depth", "a folder, as there are several photos", f"the file {flags.depth}")
    where = _localizer(flags, near)
    answers = [_one(where, name, path, flags, starts) for name, path in files.items()]
    if flags.out is not None:
        _report(where, answers, flags)
    rows = [_facts(answer, near) for answer in answers]
    failed, unusable = sum("camera_center" not in row for row in rows), sum(isinstance(a.found, str) for a in answers)
    result(flags.common, {"photos": rows, "failed": failed}, "\n".join(_line(row) for row in rows))
    return BAD_INPUT if unusable == len(answers) else SOME_FAILED if failed else DONE


def _check(flags: EstimateArguments) -> None:
    """Errors before any work."""
    at_least("--count", flags.count, 1)
    at_least("--focal-sigma", flags.focal_sigma, 0)
    if flags.fov_deg is not None and not 0 < flags.fov_deg < 180:
        raise ResectError("--fov-deg", "between 0 and 180", str(flags.fov_deg))
    if flags.fov_deg is not None and flags.camera is not None:
        raise ResectError("--fov-deg", "one of --camera and --fov-deg", "both")
    lock_names(flags.lock, anchored=flags.start is not None or flags.near is not None)
    if flags.depth is not None and not flags.depth.exists():
        raise ResectError("--depth", "a depth image, or a folder of them", f"nothing at {flags.depth}")
    if not (math.isfinite(flags.depth_unit) and flags.depth_unit > 0):
        raise ResectError("--depth-unit", "a positive number", str(flags.depth_unit))
    if flags.start is not None and flags.prior:
        raise ResectError("--start", "one of --start and --prior", "both", "--near adds to what the priors guess.")
    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)


def _files(paths: Sequence[Path]) -> dict[str, Path]:
    """Name → file; names are as short as they can be and still differ."""
    from resect.data.image import SUFFIXES

    files = []
    for path in paths:
        if not path.exists():
            raise ResectError(path, "a photo or a folder of photos", "nothing there")
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        files += [p for p in inside if p not in files]
    if not files:
        raise ResectError(", ".join(map(str, paths)) or "resect estimate", "at least one photo", "none")
    parts = 1
    while Counter(_tail(p, parts) for p in files).most_common(1)[0][1] > 1:
        parts += 1
    return {_tail(p, parts): p for p in files}


def _tail(path: Path, parts: int) -> str:
    return "/".join(p for p in path.absolute().parts[-parts:] if p not in ("..", "/"))


def _sigma(flags: EstimateArguments) -> Sigma:
    from resect.place import read_place

    return Sigma(flags.sigma[0], flags.sigma[1] * read_place(flags.scene).scene_scale)


def _localizer(flags: EstimateArguments, near: "Given | None") -> "Localizer":
    from resect.place import open_place

    known = [near_term(near)] if near is not None else []
    if flags.up is not None:
        known.append(up_term(flags.up, flags.world_up or _world_up(flags.scene), flags.up_sigma))
    where = open_place(
        flags.scene,
        prior=() if flags.start else flags.prior or None,
        count=flags.count,
        seed=flags.common.seed,
        known=tuple(known),
        focal_sigma=flags.focal_sigma,
        locked=lock_names(flags.lock, anchored=True),
        anchor=None if flags.start or near is None else near.cam_from_world,
    )
    if near is None or flags.start:
        return where
    return replace(where, prior=(*(narrowed(prior, near) for prior in where.priors), near))


def _world_up(scene: Path) -> tuple[float, float, float]:
    from resect.place import read_place

    up = read_place(scene).up
    if up is None:
        fix = "Give --world-up X Y Z."
        raise ResectError("--up", "a scene whose up is known", f"{scene}, whose photos did not say", fix)
    return up


def _one(
    where: "Localizer",
    name: str,
    path: Path,
    flags: EstimateArguments,
    starts: "Callable[[str], Hypotheses] | None",
) -> Answer:
    from resect.data import read_photo

    try:
        photo = read_photo(
            path,
            camera_file=flags.camera,
            fov_deg=flags.fov_deg,
            scene_camera=where.camera,
            name=name,
            depth_file=_depth_of(path, flags.depth),
            depth_unit=flags.depth_unit,
        )
        estimate = where.estimate(photo, starts(name) if starts is not None else None)
    except ResectError as error:
        say(str(error))
        return Answer(name, str(error))
    say(f"{path}: {estimate.status.name} in {estimate.cost.seconds:.2f} s")
    return Answer(name, (photo, estimate))


def _depth_of(photo: Path, depth: Path | None) -> Path | None:
    """The depth image of a photo: the one that was given, or the one of its name in the folder that was."""
    if depth is None or not depth.is_dir():
        return depth
    found = sorted(p for p in depth.iterdir() if p.stem == photo.stem)
    if len(found) != 1:
        raise ResectError(depth, f"one depth image named '{photo.stem}'", f"{len(found) or 'none'}")
    return found[0]


def _report(where: "Localizer", answers: Sequence[Answer], flags: EstimateArguments) -> None:
    from resect.cli.reporting import report_answers
    from resect.place import read_place

    metric = (flags.scene / "place.json").is_file() and read_place(flags.scene).meters_per_unit == 1.0
    used = [a.found for a in answers if not isinstance(a.found, str)]
    unusable = [a.name for a in answers if isinstance(a.found, str)]
    assert flags.out is not None
    say(f"report: {report_answers(where, used, unusable, metric, flags.out)}")


def _facts(answer: Answer, near: "Given | None") -> dict[str, Any]:
    from resect.geometry.so3 import to_quaternion

    facts: dict[str, Any] = {"photo": answer.name}
    if isinstance(answer.found, str):
        return {**facts, "status": "UNREADABLE", "sentence": answer.found, "advice": ""}
    _, estimate = answer.found
    facts |= {"status": estimate.status.name, "camera_source": estimate.camera_source}
    facts["seconds"] = round(estimate.cost.seconds, 3)
    pose = estimate.cam_from_world
    if pose is None or estimate.modes is None:
        return {**facts, "sentence": estimate.status.sentence, "advice": estimate.status.advice}
    facts["cam_from_world_wxyz"] = to_quaternion(pose.R).tolist()
    facts["cam_from_world_t"] = pose.t.tolist()
    facts["camera_center"] = pose.center.tolist()
    facts["modes"] = len(estimate.modes)
    if estimate.camera is not None:
        facts["focal_px"] = estimate.camera.fx
    covariance = estimate.covariance
    if covariance is not None:
        sigma = covariance.diagonal().clamp_min(0).sqrt()
        facts["sigma_units"] = float(sigma[:3].norm())
        facts["sigma_deg"] = float(sigma[3:].norm().rad2deg())
    if near is not None:
        facts["near_sigmas"] = round(sigmas_from(near, pose), 2)
    return facts


def _line(row: dict[str, Any]) -> str:
    if "camera_center" not in row:
        return f"{row['photo']}: {row['status']}. {row['sentence']} {row['advice']}".rstrip()
    center = " ".join(f"{x:.4f}" for x in row["camera_center"])
    quaternion = " ".join(f"{x:.5f}" for x in row["cam_from_world_wxyz"])
    spread = f"  ± {row['sigma_units']:.4f} units, {row['sigma_deg']:.3f}°" if "sigma_deg" in row else ""
    far = row.get("near_sigmas", 0.0)
    doubt = f"  but {far:.0f} σ from --near" if far > _SURPRISING_SIGMAS else ""
    return f"{row['photo']}: {row['status']}  centre {center}  cam_from_world wxyz {quaternion}{spread}{doubt}"
