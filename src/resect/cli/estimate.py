"""`resect estimate PHOTO… --scene DIR|MESH`: poses of new photos, on screen, with overlays."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from resect.cli.answers import Answer, facts_of, line_of, photo_files
from resect.cli.estimate_category import is_category_folder, run_category
from resect.cli.estimate_inerf import with_inerf, write_steps
from resect.cli.knowledge import Sigma, lock_names, narrowed, near_term, read_near, read_starts, up_term
from resect.cli.latent_ways import with_neighbours, write_attention
from resect.cli.main import BAD_INPUT, DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, parse_with_several, refuse_overwrite, start
from resect.cli.output import result, say
from resect.cli.preset_file import INERF, with_preset
from resect.cli.render import need_videos
from resect.cli.several import place_folder
from resect.errors import ResectError
from resect.refine.category.settings import CategorySettings
from resect.refine.first_order_settings import FirstOrderSettings
from resect.refine.neighbour_settings import NeighbourSettings

if TYPE_CHECKING:
    from resect.localizer import Localizer
    from resect.priors.given import Given
    from resect.types import Hypotheses


@dataclass(frozen=True)
class EstimateArguments:
    """Which photos, in which scene, from which guess."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """New photos, or folders of photos."""
    scene: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Folder that 'resect fit' made, DIR:NAME for one of several places that it knows; or the mesh of a known object,
    ID=MESH, or a folder of meshes. Again for more."""
    prior: tuple[str, ...] = ()
    """Guesses in the order to try them: landmarks, retrieval, view-sphere, or a folder of a fitted prior; by default
    those learned with the scene. For objects: views (every rotation), folders of viewpoint, image2sphere, ipdf, or
    of posecnn, which finds them. For a category: view-grid, folders of image2sphere or ipdf."""
    start: Path | None = None
    """Where to start, in place of a prior: JSON with cam_from_world, or a pose file with the photos' rows."""
    near: Path | None = None
    """A pose that the photos are near, beside what the priors guess: JSON, or a pose file with one photo."""
    sigma: tuple[float, float] = (10.0, 0.1)
    """Standard deviations of --start and --near: degrees, and a part of the scene's scale; for an object degrees about
    its middle, and a part of its diameter."""
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
    """Intrinsics of the photos: transforms.json, COLMAP cameras.txt, BOP camera.json, or JSON with fx fy cx cy width
    height."""
    fov_deg: float | None = None
    """Horizontal field of view, in place of --camera."""
    depth: Path | None = None
    """Depth of the photos (RGB-D): an image, or a folder with one named like each photo; 16 bit, 0 where unknown."""
    depth_unit: float = 0.001
    """World units per number stored in --depth; 0.001 is millimetres in a metric world."""
    focal_sigma: float = 0.0
    """Standard deviation of the focal length as a part of it, e.g. 0.05, to refine it too; 0 holds it."""
    box: str | None = None
    """Visible box of the object in the one photo: LEFT,TOP,RIGHT,BOTTOM in pixels."""
    mask: Path | None = None
    """Mask of the object: an image that is not black there, or a folder with one named like each photo."""
    contour: Path | None = None
    """Outline of the object in the one photo: a text file with x y in pixels on each line."""
    detections: Path | None = None
    """Boxes or masks of several objects: COCO annotations, BOP or COCO results, or a folder of masks."""
    instances: int | None = None
    """Most of each object in a photo that a detector as --prior is asked for, the surest; by default all it finds."""
    instance: str = ""
    """Which instance of a category the photos show, by its name; by default it is told from its looks."""
    reference: Path | None = None
    """Another photo of the same instance of a category: poses are told from its camera too."""
    units: str | None = None
    """Length of one unit of the meshes: mm, cm, m, in, or metres per unit. Poses stay in the mesh's own units."""
    refiner: Literal["default", "inerf", "neighbours"] = "default"
    """How a place's pose is refined: "inerf" is Adam on pixels about keypoints as published, with the settings
    --inerf.*, or those of a preset file of key = value lines, --config FILE; "neighbours" combines training poses, by a
    pose decoder as --scene. A category is refined with the settings --category.*"""
    count: int | None = None
    """Hypotheses to start from; by default 64, and 4000 rotations for an object."""
    out: Path | None = None
    """Folder for report.html and poses.csv; of objects an overlay of each photo too; of priors with attention pictures
    of where they looked; of "inerf" and of --category.optimizer adam every step, as tables, curves and a film."""
    film: Literal["gif", "mp4"] = "gif"
    """What those films are."""
    overwrite: bool = False
    """Write over what is in --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Estimates each photo; a photo that fails does not stop the others."""
    description = "Poses of new photos. A photo that fails gets a status and an advice, never a pose."
    example = "resect estimate new.jpg --scene runs/place --out answers; "
    example += "resect estimate desk.jpg --scene mug.ply --units mm --box 410,220,530,340 --fov-deg 60 --out answers"
    flags, chosen = parse_with_several(
        EstimateArguments,
        {"inerf": FirstOrderSettings, "category": CategorySettings},
        with_preset(arguments, "inerf", INERF, say),
        prog="resect estimate",
        description=description,
        example=example,
    )
    _check(flags, chosen["category"], chosen["inerf"])
    if _of_objects(flags):
        from resect.cli.estimate_objects import run_objects

        return run_objects(flags)
    flags = replace(flags, scene=(str(place_folder("--scene", flags.scene[0])),))
    if is_category_folder(Path(flags.scene[0])):
        return run_category(flags, chosen["category"])
    _check_place(flags)
    start(flags.common)
    files = photo_files(flags.photos)
    near = read_near(flags.near, _sigma(flags)) if flags.near else None
    starts = read_starts(flags.start, _sigma(flags)) if flags.start else None
    if flags.depth is not None and not flags.depth.is_dir() and len(files) > 1:
        raise ResectError("--depth", "a folder, as there are several photos", f"the file {flags.depth}")
    where = _localizer(flags, near)
    if flags.refiner == "inerf":
        where = with_inerf(where, chosen["inerf"], flags.count or 1, flags.common.seed)
    elif flags.refiner == "neighbours":
        where = with_neighbours(where, Path(flags.scene[0]), NeighbourSettings(), flags.common.seed)
    answers = [_one(where, name, path, flags, starts) for name, path in files.items()]
    if flags.out is not None:
        _report(where, answers, flags)
        write_attention(where, answers, flags.out)
        if flags.refiner == "inerf":
            write_steps(answers, lambda _: where.scene, flags.out, flags.film)
    rows = [facts_of(answer, near) for answer in answers]
    failed, unusable = sum("camera_center" not in row for row in rows), sum(isinstance(a.found, str) for a in answers)
    result(flags.common, {"photos": rows, "failed": failed}, "\n".join(line_of(row) for row in rows))
    return BAD_INPUT if unusable == len(answers) else SOME_FAILED if failed else DONE


def _check(flags: EstimateArguments, category: CategorySettings, inerf: FirstOrderSettings) -> None:
    """Errors before any work, whatever the scene."""
    at_least("--count", 1 if flags.count is None else flags.count, 1)
    if flags.film == "mp4":
        need_videos()
    at_least("--focal-sigma", flags.focal_sigma, 0)
    if flags.fov_deg is not None and not 0 < flags.fov_deg < 180:
        raise ResectError("--fov-deg", "between 0 and 180", str(flags.fov_deg))
    if flags.fov_deg is not None and flags.camera is not None:
        raise ResectError("--fov-deg", "one of --camera and --fov-deg", "both")
    if not flags.scene:
        fix = "Give the folder that 'resect fit' made, or the mesh of an object."
        raise ResectError("--scene", "a scene", "none", fix)
    if category != CategorySettings() and not is_category_folder(Path(flags.scene[0])):
        fix = "Those settings are of folders that 'resect fit sigma-srn' made."
        raise ResectError("--category", "a category as --scene", flags.scene[0], fix)
    if inerf != FirstOrderSettings() and flags.refiner != "inerf":
        fix = "Add --refiner inerf, whose settings these are, or leave them (and a --config of iNeRF) out."
        raise ResectError("--inerf", "--refiner inerf", f"--refiner {flags.refiner}", fix)
    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)


def _of_objects(flags: EstimateArguments) -> bool:
    """Whether the scene is of meshes; several scenes are."""
    from resect.data.model_files import is_models

    return len(flags.scene) > 1 or "=" in flags.scene[0] or is_models(Path(flags.scene[0]))


def _check_place(flags: EstimateArguments) -> None:
    """Errors before any work, of what is said of a place."""
    for flag in ("instance", "reference"):
        if getattr(flags, flag):
            raise ResectError(f"--{flag}", "a category as --scene", f"the place {flags.scene[0]}")
    for flag in ("box", "mask", "contour", "detections", "instances", "units"):
        if getattr(flags, flag) is not None:
            raise ResectError(f"--{flag}", "the mesh of an object as --scene", f"the place {flags.scene[0]}")
    lock_names(flags.lock, anchored=flags.start is not None or flags.near is not None)
    if flags.depth is not None and not flags.depth.exists():
        raise ResectError("--depth", "a depth image, or a folder of them", f"nothing at {flags.depth}")
    if not (math.isfinite(flags.depth_unit) and flags.depth_unit > 0):
        raise ResectError("--depth-unit", "a positive number", str(flags.depth_unit))
    if flags.start is not None and flags.prior:
        raise ResectError("--start", "one of --start and --prior", "both", "--near adds to what the priors guess.")


def _sigma(flags: EstimateArguments) -> Sigma:
    from resect.place import read_place

    return Sigma(flags.sigma[0], flags.sigma[1] * read_place(Path(flags.scene[0])).scene_scale)


def _localizer(flags: EstimateArguments, near: "Given | None") -> "Localizer":
    from resect.place import open_place

    known = [near_term(near)] if near is not None else []
    if flags.up is not None:
        known.append(up_term(flags.up, flags.world_up or _world_up(Path(flags.scene[0])), flags.up_sigma))
    where = open_place(
        Path(flags.scene[0]),
        prior=() if flags.start else flags.prior or None,
        count=flags.count or 64,
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

    scene = Path(flags.scene[0])
    metric = (scene / "place.json").is_file() and read_place(scene).meters_per_unit == 1.0
    used = [a.found for a in answers if not isinstance(a.found, str)]
    unusable = [a.name for a in answers if isinstance(a.found, str)]
    assert flags.out is not None
    say(f"report: {report_answers(where, used, unusable, metric, flags.out)}")
