"""`resect estimate PHOTO… --scene MESH`: poses of known objects in new photos."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.answers import Answer, facts_of, photo_files
from resect.cli.asked import Asking, tells_position
from resect.cli.main import BAD_INPUT, DONE, SOME_FAILED
from resect.cli.options import at_least, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.cli.estimate import EstimateArguments
    from resect.known_objects import KnownObjects
    from resect.types import Hypotheses, Photo

Ask = Callable[["Photo", Path], "list[tuple[Photo, Hypotheses | None]]"]
_OF_PLACES = ("near", "lock", "up", "world_up", "depth", "focal_sigma")
_POINTED_AT = ("box", "mask", "contour", "detections", "start", "sigma", "instances")
_MANY_FACES = 60_000


def run_objects(flags: "EstimateArguments") -> int:
    """Estimates each object asked for in each photo; one that fails does not stop the others."""
    from resect.artifact import kind_in
    from resect.data.mesh.units import parse_units
    from resect.data.model_files import model_files
    from resect.known_objects import VIEWS, KnownObjects

    for name in _OF_PLACES:
        if getattr(flags, name):
            flag = f"--{name.replace('_', '-')}"
            raise ResectError(flag, "the folder of a place as --scene", f"meshes: {flags.scene[0]}")
    if flags.units is not None:
        parse_units(flags.units)
    if flags.instances is not None:
        at_least("--instances", flags.instances, 1)
    detector = next((Path(p) for p in flags.prior if kind_in(Path(p)) == "posecnn"), None)
    said = {name: getattr(flags, name) for name in _POINTED_AT}
    asking = Asking(**said, detector=detector, placed=any(tells_position(prior) for prior in flags.prior))
    priors = tuple(p for p in flags.prior if not (asking.detects and Path(p) == detector))
    objects = KnownObjects(model_files(flags.scene), flags.units, flags.count or VIEWS, flags.common.seed, priors)
    files = photo_files(flags.photos)
    asking.check(objects, len(files))
    if len(objects.files) == 1:
        objects.mesh(next(iter(objects.files)))  # what is wrong with it is no photo's fault
    start(flags.common)
    ask, told = asking.reader(objects), set[str]()
    answers = [a for name, path in files.items() for a in _answers(objects, ask, name, path, flags, told)]
    if flags.out is not None:
        _report(objects, answers, flags.out)
    rows = [_facts(objects, answer) for answer in answers]
    failed, unusable = sum("camera_center" not in row for row in rows), sum(isinstance(a.found, str) for a in answers)
    result(flags.common, {"photos": rows, "failed": failed}, "\n".join(_line(row) for row in rows))
    return BAD_INPUT if unusable == len(answers) else SOME_FAILED if failed else DONE


def _answers(
    objects: "KnownObjects", ask: Ask, name: str, path: Path, flags: "EstimateArguments", told: set[str]
) -> list[Answer]:
    """One answer for each object asked for in a photo."""
    from resect.data import read_photo
    from resect.evaluation.pose_file import target_name
    from resect.known_objects import refine_found
    from resect.types import Estimate, Status

    try:
        photo = read_photo(path, camera_file=flags.camera, fov_deg=flags.fov_deg, name=name)
        asked = ask(photo, path)
        found = []
        for one, begin in asked:
            estimate = Estimate(Status.NO_CAMERA if one.camera is None else Status.NO_HYPOTHESIS)
            if one.target is not None:
                say_mesh(objects, one.target.object_id, told)
            if one.camera is not None and one.target is not None:
                _say_start(objects, one, begin)
                found_here = begin is not None and flags.start is None
                where = objects.localizer(one.target.object_id)
                estimate = refine_found(where, one, begin) if found_here else objects.estimate(one, begin)
            of = f"{path}, {target_name(one.target)}" if one.target is not None else str(path)
            say(f"{of}: {estimate.status.name} in {estimate.cost.seconds:.2f} s")
            found.append(Answer(name, (one, estimate)))
    except ResectError as error:
        say(str(error))
        return [Answer(name, str(error))]
    return found


def say_mesh(objects: "KnownObjects", object_id: str, told: set[str]) -> None:
    """What is remarkable about a mesh, once: its unit, where its origin lies, whether it stands on its head."""
    from resect.data.mesh.check import check_mesh
    from resect.data.mesh.units import guess_units
    from resect.geometry.mesh import diameter

    if object_id in told:
        return
    told.add(object_id)
    mesh = objects.mesh(object_id)
    if mesh.meters_per_unit is None:
        say(f"{mesh.name}: {guess_units(diameter(mesh.vertices))}; say it with --units")
    if len(mesh.faces) > _MANY_FACES:
        say(f"{mesh.name}: {len(mesh.faces)} faces are slow; 'resect mesh simplify --faces 20000' keeps the shape")
        return
    for finding in check_mesh(mesh).findings:
        if finding.level in ("error", "warning"):
            say(f"{mesh.name}: {finding.level}: {finding.sentence}")


def _say_start(objects: "KnownObjects", photo: "Photo", begin: "Hypotheses | None") -> None:
    from resect.known_objects import judge_start

    if begin is None or photo.target is None:
        return
    found = judge_start(objects.mesh(photo.target.object_id), photo, begin)
    if found is not None:
        say(f"{photo.name}: {found.level}: {found.sentence}")


def _facts(objects: "KnownObjects", answer: Answer) -> dict[str, Any]:
    """The facts of `estimate`, and what it is of; the spread and the distance are of the object's middle."""
    import torch

    from resect.geometry import so3
    from resect.known_objects import middle_of

    facts = facts_of(answer)
    if isinstance(answer.found, str):
        return facts
    photo, estimate = answer.found
    target, pose = photo.target, estimate.cam_from_world
    if target is None:
        return facts
    facts = {"photo": facts.pop("photo"), "target": target.object_id, "instance": target.instance, **facts}
    facts["score"] = target.score
    facts["ms"] = {name: round(ms, 1) for name, ms in estimate.cost.ms}
    if pose is None:
        return facts
    mesh = objects.mesh(target.object_id)
    middle = pose.double().apply(torch.tensor([middle_of(mesh)], dtype=torch.float64))[0]
    facts["distance"] = float(middle.norm())
    if mesh.meters_per_unit is not None:
        facts["distance_m"] = facts["distance"] * mesh.meters_per_unit
    if estimate.covariance is not None:
        carry = torch.cat([torch.eye(3, dtype=torch.float64), -so3.hat(middle)], 1)
        facts["sigma_units"] = float((carry @ estimate.covariance @ carry.mT).diagonal().clamp_min(0).sum().sqrt())
    return facts


def _line(row: dict[str, Any]) -> str:
    name = f"{row['photo']} {row['target']}" if "target" in row else row["photo"]
    if row.get("instance"):
        name += f"#{row['instance']}"
    if "camera_center" not in row:
        return f"{name}: {row['status']}. {row['sentence']} {row['advice']}".rstrip()
    t = " ".join(f"{x:.4g}" for x in row["cam_from_world_t"])
    quaternion = " ".join(f"{x:.5f}" for x in row["cam_from_world_wxyz"])
    away = f"{row['distance_m']:.3f} m" if "distance_m" in row else f"{row['distance']:.4g} units"
    spread = f"  ± {row['sigma_units']:.3g} units, {row['sigma_deg']:.2f}°" if "sigma_deg" in row else ""
    more = f", {row['modes']} modes" if row["status"] == "AMBIGUOUS" else ""
    return f"{name}: {row['status']}{more}  {away} away  cam_from_world t {t} wxyz {quaternion}{spread}"


def _report(objects: "KnownObjects", answers: Sequence[Answer], out: Path) -> None:
    """poses.csv, NAME.overlay.png for each photo, report.html."""
    from resect.evaluation.object_report import write_object_report

    found = [a.found for a in answers if not isinstance(a.found, str)]
    unusable = [a.name for a in answers if isinstance(a.found, str)]
    report = write_object_report(found, objects.scene, out, unusable=unusable)
    say(f"report: {report}")
