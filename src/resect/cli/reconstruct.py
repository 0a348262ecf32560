"""`resect reconstruct PHOTO… --shape DIR`: a mesh of the object in each photo, and the pose that it is seen at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.asked import mask_of
from resect.cli.main import BAD_INPUT, DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, generator, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from torch import Tensor

    from resect.data.view_table import ViewRow
    from resect.geometry.mesh import Mesh
    from resect.priors.viewpoint.prior import Viewpoint
    from resect.protocols import Prior
    from resect.shape.joint import Joint
    from resect.types import Estimate, Photo


@dataclass(frozen=True)
class ReconstructArguments:
    """Which photos, by which network, how finely."""

    shape: Path
    """Folder that 'resect fit occupancy' or 'resect import' made."""
    out: Path
    """Folder to make: NAME.ply for each photo; with a known camera also NAME.overlay.png, NAME.gif, poses.csv,
    views.txt, boxes.txt."""
    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Photos of one object each."""
    batch: Path | None = None
    """CSV table in place of photos: photo, any of mask, left top right bottom, azimuth_deg elevation_deg tilt_deg."""
    viewpoint: Path | None = None
    """Folder of 'resect fit viewpoint': start where it says; by default from all around."""
    mask: Path | None = None
    """Mask of the one photo, not black where the object is; or a folder with one named like each photo. Needed where
    the background is neither white nor transparent."""
    camera: Path | None = None
    """Intrinsics of the photos, for the pose; see 'resect estimate --help'."""
    fov_deg: float | None = None
    """Horizontal field of view, in place of --camera."""
    cells: int = 32
    """Coarse cells of the cube along an axis."""
    halvings: int = 1
    """Times that cells on the surface are halved; 32 and 2 are the published ones."""
    refine_steps: int = 0
    """Steps that move the vertices onto the surface; published 30."""
    faces: int = 0
    """Faces to keep; 0 keeps all."""
    joint_steps: int = 0
    """Steps that move shape and pose together until the outline meets the mask, after the pose is found; 60 is a fair
    number. They need a camera and a mask."""
    overwrite: bool = False
    """Write over what is in --out."""
    common: CommonFlags = COMMON


@dataclass(frozen=True, eq=False)
class Made:
    """What became of one photo.

    Attributes:
        row: of the table.
        photo: with its target.
        mesh: in the object's frame.
        estimate: its pose; `None` without a camera.
        joint: what fitting shape and pose together did, where it was asked for.
    """

    row: "ViewRow"
    photo: "Photo"
    mesh: "Mesh"
    estimate: "Estimate | None"
    joint: "Joint | None" = None


def run(arguments: Sequence[str]) -> int:
    """Reconstructs each photo; a photo that fails does not stop the others."""
    description = "A mesh of the object in each photo, in the frame of its category, and the pose it is seen at."
    example = "resect reconstruct chair.png --shape runs/chairs --fov-deg 49 --out chair"
    flags = parse(ReconstructArguments, arguments, prog="resect reconstruct", description=description, example=example)
    rows = _rows(flags)
    start(flags.common)
    refuse_overwrite(flags.out, flags.overwrite)
    from resect import zoo
    from resect.shape.occupancy import Occupancy

    network = zoo.load(flags.shape, role="shape")
    if flags.viewpoint is not None:
        _viewpoint_network(flags.viewpoint, flags.common.device)  # errors before any work
    assert isinstance(network, Occupancy)
    made, problems = [], {}
    for row in rows:
        try:
            made.append(_reconstruct(network, row, flags))
            _write(made[-1], flags)
        except ResectError as error:
            problems[row.name] = str(error)
            say(str(error))
    _tables(made, flags)
    facts = [_facts(m) for m in made]
    value = {"out": str(flags.out), "made": facts, "failed": problems}
    result(flags.common, value, "\n".join(_line(f) for f in facts))
    lost = problems or any(m.estimate is not None and not m.estimate.ok for m in made)
    return BAD_INPUT if not made else SOME_FAILED if lost else DONE


def _rows(flags: ReconstructArguments) -> "list[ViewRow]":
    from resect.data.view_table import ViewRow, read_view_table

    at_least("--cells", flags.cells, 2)
    at_least("--halvings", flags.halvings, 0)
    at_least("--joint-steps", flags.joint_steps, 0)
    if bool(flags.photos) == (flags.batch is not None):
        raise ResectError("resect reconstruct", "photos, or --batch TABLE", "both or neither")
    if flags.camera is not None and flags.fov_deg is not None:
        raise ResectError("--fov-deg", "one of --camera and --fov-deg", "both")
    if flags.batch is not None:
        return read_view_table(flags.batch)
    stems = [photo.stem for photo in flags.photos]
    if len(set(stems)) < len(stems):
        raise ResectError("photos", "names that differ, as results are named after them", ", ".join(sorted(stems)))
    masks = [None if flags.mask is None else mask_of(photo, flags.mask) for photo in flags.photos]
    return [ViewRow(photo, photo.name, mask) for photo, mask in zip(flags.photos, masks, strict=True)]


def _reconstruct(network: Any, row: "ViewRow", flags: ReconstructArguments) -> Made:
    from resect.data import read_photo
    from resect.data.target import target_from_mask
    from resect.shape.look import before_white
    from resect.types import Target

    photo = read_photo(row.photo, camera_file=flags.camera, fov_deg=flags.fov_deg, name=row.name)
    category = network.categories[0] if network.categories else ""
    mask = target_from_mask(photo, row.mask).mask if row.mask is not None else None
    if mask is None and photo.alpha is not None:
        mask = photo.alpha > 0.5
    if mask is None and row.box is None:
        mask = before_white(photo)
    photo = replace(photo, target=Target(category or "object", category=category, box=row.box, mask=mask))
    code = network.encode(photo)
    mesh = _surface(network, code, row, flags)
    estimate = _pose(mesh, photo, row, flags)
    joint = None
    if flags.joint_steps and estimate is not None and estimate.ok and mask is not None:
        joint = _jointly(network, code, estimate, photo, flags.joint_steps)
        mesh = _surface(network, joint.code, row, flags)
        estimate = _settled(mesh, photo, estimate, joint)
    return Made(row, photo, mesh, estimate, joint)


def _surface(network: Any, code: "Tensor", row: "ViewRow", flags: ReconstructArguments) -> "Mesh":
    from resect.data.mesh.simplify import simplify

    chance = generator(flags.common)
    mesh = network.mesh(
        code=code, cells=flags.cells, halvings=flags.halvings, refine_steps=flags.refine_steps, generator=chance
    )
    return replace(simplify(mesh, flags.faces) if flags.faces else mesh, name=row.name)


def _jointly(network: Any, code: "Tensor", estimate: "Estimate", photo: "Photo", steps: int) -> "Joint":
    from resect.shape.joint import JointSettings, fit_jointly

    pose = estimate.cam_from_world
    assert pose is not None

    def logit(points: "Tensor", code: "Tensor") -> "Tensor":
        return network.occupancy(points, code) - network.level

    return fit_jointly(logit, code, pose, photo, JointSettings(steps=steps))


def _settled(mesh: "Mesh", photo: "Photo", estimate: "Estimate", joint: "Joint") -> "Estimate":
    """The estimate with the pose that came of the joint fit, refined on the new mesh."""
    import torch

    from resect.refine.object.refiner import ObjectInversion
    from resect.scenes.mesh.scene import MeshScene
    from resect.types import Hypotheses

    pose = joint.cam_from_object
    start = Hypotheses(pose[None], torch.zeros(1), source=("joint",), target=photo.target)
    found = ObjectInversion().refine(MeshScene(mesh, background=(1.0, 1.0, 1.0)), _cut_out(photo), start)
    return found if found.ok else estimate


def _cut_out(photo: "Photo") -> "Photo":
    """For the outline alone to decide."""
    from resect.data.target import on_white

    return replace(on_white(photo), alpha=None)


def _pose(mesh: "Mesh", photo: "Photo", row: "ViewRow", flags: ReconstructArguments) -> "Estimate | None":
    """By the outline: from all around, from the viewpoints of a network, or from that of the table."""
    import torch

    from resect.localizer import Localizer
    from resect.priors.upright import UprightViews
    from resect.refine.object.refiner import ObjectInversion
    from resect.scenes.mesh.scene import MeshScene

    if photo.camera is None:
        return None
    around = UprightViews.around(mesh)
    prior: Prior = around
    if row.viewpoint_rad is not None:
        prior = replace(around, viewpoints=torch.tensor([row.viewpoint_rad], dtype=torch.float64))
    elif flags.viewpoint is not None:
        prior = _viewpoint_network(flags.viewpoint, flags.common.device).of(mesh)
    where = Localizer(MeshScene(mesh, background=(1.0, 1.0, 1.0)), prior, ObjectInversion(), count=256)
    return where.estimate(_cut_out(photo))


@cache
def _viewpoint_network(folder: Path, device: str) -> "Viewpoint":
    from resect.priors.viewpoint.prior import Viewpoint

    return Viewpoint.load(folder, device)


def _write(made: Made, flags: ReconstructArguments) -> None:
    from resect.data.image import png_bytes
    from resect.data.mesh import write_mesh
    from resect.evaluation.outlines import outlined
    from resect.evaluation.pictures import painter, slide, to_pil
    from resect.scenes.mesh.scene import MeshScene
    from resect.scenes.mesh.shade import Light

    target = flags.out / made.row.name
    target.parent.mkdir(parents=True, exist_ok=True)
    write_mesh(made.mesh, target.with_suffix(".ply"), overwrite=flags.overwrite)
    estimate, camera = made.estimate, made.photo.camera
    if estimate is None or camera is None or estimate.cam_from_world is None:
        return
    camera = camera.fit_within(512)
    scene = MeshScene(made.mesh, background=(1.0, 1.0, 1.0), light=Light())
    paint = painter(scene)
    assert paint is not None
    picture = to_pil(made.photo.image)
    target.with_suffix(".overlay.png").write_bytes(png_bytes(outlined([(made.photo, estimate, scene)])))
    path = [step.cam_from_world[0] for step in estimate.trace if len(step.cam_from_world)]
    target.with_suffix(".gif").write_bytes(slide(picture, [*path, estimate.cam_from_world], camera, paint))


def _tables(made: Sequence[Made], flags: ReconstructArguments) -> None:
    """poses.csv, views.txt and boxes.txt (of the meshes, in the camera's frame), as `resect score` reads them."""
    import torch

    from resect.artifact import write_atomic
    from resect.data.view_list import VIEWS_FILE, write_views
    from resect.evaluation.pose_file import rows_of, write_poses
    from resect.priors.upright import viewpoint_of

    posed = [(m, m.estimate) for m in made if m.estimate is not None]
    if not posed:
        return
    rows = [row for m, e in posed for row in rows_of(m.row.name, e, seconds=e.cost.seconds)]
    write_poses(flags.out / "poses.csv", rows, "scene", overwrite=flags.overwrite)
    names, views, away, boxes = [], [], [], []
    for m, estimate in posed:
        pose = estimate.cam_from_world
        if pose is None:
            continue
        names.append(m.row.name.replace(" ", "_"))
        views.append(viewpoint_of(pose.R.double()))
        away.append(pose.center.norm())
        seen = pose.double().apply(m.mesh.vertices.double())
        sides = [f"{float(x):.6f}" for axis in range(3) for x in (seen[:, axis].min(), seen[:, axis].max())]
        boxes.append(" ".join([names[-1], *sides]))
    if names:
        models = [Path(name).with_suffix("").as_posix() for name in names]
        write_views(flags.out / VIEWS_FILE, models, names, torch.stack(views), torch.stack(away)[:, None])
    write_atomic(flags.out / "boxes.txt", "\n".join([*boxes, ""]).encode())


def viewpoint_deg(estimate: "Estimate") -> list[float]:
    """Azimuth in [0, 360), elevation and tilt of the best mode, degrees."""
    from resect.priors.upright import viewpoint_of

    assert estimate.cam_from_world is not None
    return [float(x) for x in viewpoint_of(estimate.cam_from_world.R.double()).rad2deg()]


def _facts(made: Made) -> dict[str, Any]:
    facts: dict[str, Any] = {"photo": made.row.name, "faces": len(made.mesh.faces)}
    if made.estimate is None:
        return facts
    status = made.estimate.status
    facts |= {"status": status.name, "sentence": status.sentence, "advice": status.advice}
    pose = made.estimate.cam_from_world
    if pose is not None and made.estimate.modes is not None:
        facts["viewpoint_deg"] = [round(x, 2) for x in viewpoint_deg(made.estimate)]
        facts["cam_from_world_t"] = pose.t.tolist()
        facts["modes"] = len(made.estimate.modes)
    if made.joint is not None:
        facts["overlap"] = [round(made.joint.overlap_before, 4), round(made.joint.overlap, 4)]
    return facts


def _line(facts: dict[str, Any]) -> str:
    text = f"{facts['photo']}: {facts['faces']} faces"
    if "viewpoint_deg" in facts:
        azimuth, elevation, _ = facts["viewpoint_deg"]
        seen = f"{text}, seen from azimuth {azimuth:.1f}°, elevation {elevation:.1f}° ({facts['status']})"
        return f"{seen}; overlap {facts['overlap'][0]} → {facts['overlap'][1]}" if "overlap" in facts else seen
    if "status" not in facts:
        return f"{text}; no pose without --camera or --fov-deg"
    return f"{text}, no pose: {facts['status']}. {facts['sentence']} {facts['advice']}"
