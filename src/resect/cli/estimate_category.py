"""`resect estimate PHOTO… --scene DIR` of a category: poses of instances, learned ones by name or any by its looks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.answers import Answer, facts_of, line_of, photo_files
from resect.cli.estimate_inerf import write_steps
from resect.cli.main import BAD_INPUT, DONE, SOME_FAILED
from resect.cli.options import start
from resect.cli.output import result, say
from resect.errors import ResectError
from resect.refine.category.settings import CategorySettings

if TYPE_CHECKING:
    from resect.cli.estimate import EstimateArguments
    from resect.localizer import Localizer
    from resect.types import Estimate, Hypotheses, Photo

_OF_OTHERS = ("near", "lock", "up", "world_up", "depth", "focal_sigma", "box", "contour", "detections", "units")


@dataclass(frozen=True, eq=False)
class Reference:
    """The photo that others are set in relation to.

    Attributes:
        name: of the photo.
        found: its estimate, which has a pose and a code.
    """

    name: str
    found: "Estimate"


def is_category_folder(folder: Path) -> bool:
    """Whether 'resect fit sigma-srn' made it."""
    from resect.artifact import kind_in

    return kind_in(folder) == "sigma-srn"


def with_category(where: "Localizer", settings: CategorySettings) -> "Localizer":
    """The same with these settings of its inversion."""
    return replace(where, refiner=replace(where.refiner, settings=settings))  # type: ignore[type-var]


def run_category(flags: "EstimateArguments", settings: CategorySettings) -> int:
    """Estimates each photo; one that fails does not stop the others."""
    from resect.place import open_place

    for name in _OF_OTHERS:
        if getattr(flags, name):
            fix = "Photos of a category need --camera or --fov-deg, and --mask where the background is not white."
            raise ResectError(f"--{name.replace('_', '-')}", "a place or a mesh as --scene", str(flags.scene[0]), fix)
    start(flags.common)
    files = photo_files(flags.photos)
    prior = () if flags.start else flags.prior or None
    where = open_place(Path(flags.scene[0]), prior=prior, count=flags.count or 64, seed=flags.common.seed)
    where = with_category(where, settings)
    scene: Any = where.scene
    if flags.instance:
        scene.code_of(flags.instance)  # an error for a name that is not there
    reference = None if flags.reference is None else _reference(where, flags.reference, flags)
    answers = [_one(where, name, path, flags, reference) for name, path in files.items()]
    if flags.out is not None:
        _report(scene, answers, flags.out)
        write_steps(answers, lambda found: _instance(scene, found), flags.out, flags.film, "adam")
    rows = [_facts(scene, answer, reference) for answer in answers]
    failed, unusable = sum("camera_center" not in row for row in rows), sum(isinstance(a.found, str) for a in answers)
    result(flags.common, {"photos": rows, "failed": failed}, "\n".join(_line(row) for row in rows))
    return BAD_INPUT if unusable == len(answers) else SOME_FAILED if failed else DONE


def _reference(where: "Localizer", path: Path, flags: "EstimateArguments") -> Reference:
    photo = _read(where, path.name, path, flags)
    found = where.estimate(photo)
    say(f"{path}: {found.status.name} in {found.cost.seconds:.2f} s, the reference")
    if found.cam_from_world is None:
        fix = f"{found.status.sentence} {found.status.advice}"
        raise ResectError(path, "a reference photo that can be posed", found.status.name, fix)
    return Reference(path.name, found)


def _one(where: "Localizer", name: str, path: Path, flags: "EstimateArguments", reference: Reference | None) -> Answer:
    try:
        photo = _read(where, name, path, flags)
        found = where.estimate(photo, _starts(where, photo, flags, reference))
    except ResectError as error:
        say(str(error))
        return Answer(name, str(error))
    say(f"{path}: {found.status.name} in {found.cost.seconds:.2f} s")
    return Answer(name, (photo, found))


def _read(where: "Localizer", name: str, path: Path, flags: "EstimateArguments") -> "Photo":
    from resect.cli.asked import mask_of
    from resect.data import read_photo
    from resect.data.target import target_from_mask, with_target
    from resect.types import Target

    photo = read_photo(path, camera_file=flags.camera, fov_deg=flags.fov_deg, scene_camera=where.camera, name=name)
    target = Target(flags.instance)
    if flags.mask is not None:
        target = target_from_mask(photo, mask_of(path, flags.mask), flags.instance)
    return with_target(photo, target)


def _starts(
    where: "Localizer", photo: "Photo", flags: "EstimateArguments", reference: Reference | None
) -> "Hypotheses | None":
    """The user's start or the prior's, with the code of the reference; `None` leaves it to the prior alone."""
    import torch

    from resect.cli.knowledge import Sigma, read_starts

    scene: Any = where.scene
    if flags.start is not None:
        sigma = Sigma(flags.sigma[0], flags.sigma[1] * scene.learned.orbit.radius)
        found = read_starts(flags.start, sigma)(photo.name)
    elif reference is not None:
        found = where.priors[0].propose(photo, where.count, torch.Generator().manual_seed(where.seed))
    else:
        return None
    modes = None if reference is None else reference.found.modes
    if modes is None or modes.code is None:
        return found
    return replace(found, code=modes.code[:1].expand(len(found), -1))


def _facts(scene: Any, answer: Answer, reference: Reference | None) -> dict[str, Any]:
    """The usual facts, the learned instance that the code is nearest to, and the motion from the reference."""
    from resect.geometry.so3 import to_quaternion

    facts = facts_of(answer)
    if isinstance(answer.found, str) or answer.found[1].cam_from_world is None:
        return facts
    found = answer.found[1]
    if found.modes is not None and found.modes.code is not None and scene.code_dim:
        nearest = (scene.codes - found.modes.code[0].to(scene.codes)).norm(dim=1).argmin()
        facts["like"] = scene.instances[int(nearest)]
    if reference is not None and found.cam_from_world is not None and reference.found.cam_from_world is not None:
        motion = found.cam_from_world @ reference.found.cam_from_world.inverse()
        facts["reference"] = reference.name
        facts["cam_from_reference_wxyz"] = to_quaternion(motion.R).tolist()
        facts["cam_from_reference_t"] = motion.t.tolist()
    return facts


def _line(row: dict[str, Any]) -> str:
    text = line_of(row) + (f"  like {row['like']}" if "like" in row else "")
    if "reference" not in row:
        return text
    quaternion = " ".join(f"{x:.5f}" for x in row["cam_from_reference_wxyz"])
    shift = " ".join(f"{x:.4f}" for x in row["cam_from_reference_t"])
    return f"{text}  from {row['reference']}: wxyz {quaternion}  t {shift}"


def _instance(scene: Any, found: "Estimate") -> Any:
    """The scene of the instance that was found; `None` where nothing was."""
    code = None if found.modes is None else found.modes.code
    return None if code is None else scene.of(code[0])


def _report(scene: Any, answers: list[Answer], folder: Path) -> None:
    """`poses.csv` and a page on which each photo lies beside what its own instance would look like."""
    from resect.evaluation.cases import cases_of_answers
    from resect.evaluation.pictures import painter
    from resect.evaluation.pose_file import UNREADABLE, PoseRow, rows_of, write_poses
    from resect.evaluation.report import write_report

    used = [a.found for a in answers if not isinstance(a.found, str)]
    rows = [r for photo, e in used for r in rows_of(photo.name, e, seconds=e.cost.seconds)]
    rows += [PoseRow(a.name, UNREADABLE, None) for a in answers if isinstance(a.found, str)]
    write_poses(folder / "poses.csv", rows, "scene", overwrite=True)
    cases = []
    for case, (_, estimate) in zip(cases_of_answers(used), used, strict=True):
        known = _instance(scene, estimate)
        cases.append(case if known is None else replace(case, paint=painter(known)))
    say(f"report: {write_report(folder, cases, overwrite=True)}")
