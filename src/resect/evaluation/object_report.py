"""What was found of known objects, to look at: outlines on the photos, the poses, a report with the objects cut out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import UInt8
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.image import png_bytes
from resect.evaluation.cases import Case, cases_of_answers
from resect.evaluation.outlines import outlined, painter_on
from resect.evaluation.pose_file import UNREADABLE, PoseRow, Unit, check_name, rows_of, target_name, write_poses
from resect.evaluation.report import ReportSettings, write_report
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.object.crop import crop_around, cut, sphere_around
from resect.types import Cost, Estimate, Hypotheses, Photo, PhotoSet, Status

_MARGIN = 1.6


def write_object_report(
    answers: Sequence[tuple[Photo, Estimate]],
    scene_of: Callable[[str], Scene],
    folder: Path,
    *,
    unusable: Sequence[str] = (),
    unit: Unit = "scene",
) -> Path:
    """Writes `poses.csv`, `PHOTO.overlay.png` and `report.html`, over those that are there.

    Args:
        answers: photos with targets, and what was found.
        scene_of: object id → what it looks like.
        folder: to write into.
        unusable: photos that could not be read.
        unit: of the poses.

    Returns:
        The path of the report.
    """
    rows = [row for p, e in answers for row in rows_of(p.name, e, seconds=e.cost.seconds, target=target_name(p.target))]
    rows += [PoseRow(name, UNREADABLE, None) for name in unusable]
    folder.mkdir(parents=True, exist_ok=True)
    write_poses(folder / "poses.csv", rows, unit, overwrite=True)
    for name, picture in overlays(answers, scene_of).items():
        path = folder / PurePosixPath(name).with_suffix(".overlay.png")
        write_atomic(path, png_bytes(picture))
    cases = [_case(photo, estimate, scene_of(_id(photo))) for photo, estimate in answers]
    return write_report(folder, cases, settings=ReportSettings(title="Known objects"), overwrite=True)


def overlays(
    answers: Sequence[tuple[Photo, Estimate]], scene_of: Callable[[str], Scene]
) -> dict[str, UInt8[Tensor, "h w 3"]]:
    """Photo's name → it with the outlines of all that was found in it."""
    by_photo: dict[str, list[tuple[Photo, Estimate, Scene]]] = {}
    for photo, estimate in answers:
        check_name(photo.name, "overlays")
        by_photo.setdefault(photo.name, []).append((photo, estimate, scene_of(_id(photo))))
    return {name: outlined(these) for name, these in by_photo.items()}


def answers_of(rows: Sequence[PoseRow], photos: PhotoSet) -> list[tuple[Photo, Estimate]]:
    """The answers that a Pose file holds, with their photos; photos that could not be read are left out."""
    modes: dict[tuple[str, str], list[PoseRow]] = {}
    for row in rows:
        modes.setdefault((row.photo, row.target), []).append(row)
    found = []
    for photo in photos:
        these = modes.get((photo.name, target_name(photo.target)), [])
        if not these or these[0].status not in Status.__members__:
            continue
        status, poses = Status[these[0].status], [r.cam_from_world for r in these if r.cam_from_world is not None]
        weights = torch.tensor([r.log_weight or 0.0 for r in these])
        held = Hypotheses(SE3.stack(poses), weights, target=photo.target) if poses else None
        cost = Cost(ms=(("all", 1000 * (these[0].seconds or 0.0)),))
        found.append((photo, Estimate(status, held, cost=cost, camera=photo.camera)))
    return found


def _id(photo: Photo) -> str:
    return "" if photo.target is None else photo.target.object_id


def _case(photo: Photo, estimate: Estimate, scene: Scene) -> Case:
    """As of any answer, but of the part of the photo around the object: in the whole it would be too small to see."""
    shown, pose = photo, estimate.cam_from_world
    box = None if photo.target is None else photo.target.box
    if photo.camera is not None and pose is not None:
        whole = SE3(pose.R[None], pose.t[None])
        shown = crop_around(photo, sphere_around(scene.bounds), whole, _MARGIN) or photo
    elif photo.camera is not None and box is not None:
        left, top, right, bottom = (round(x) for x in box)
        shown = cut(photo, left, top, max(right, left + 1), max(bottom, top + 1))
    estimate = replace(estimate, camera=shown.camera)
    case = cases_of_answers([(shown, estimate)])[0]
    name = f"{photo.name} {target_name(photo.target)}".rstrip()
    return replace(case, photo=name, paint=painter_on(scene, shown))
