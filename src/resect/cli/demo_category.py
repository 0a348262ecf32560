"""`resect demo category`: photos of chairs that no one has seen before → pose and shape from one photo each → report.

The networks come with the package (`demo_chairs`, made by `scripts/demo_category.py`): one renders any chair by a code,
the other tells which way a chair faces. They have learned 200 other chairs.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.output import say

if TYPE_CHECKING:
    from resect.cli.demo import DemoArguments
    from resect.types import Estimate, Photo, PhotoSet

MADE = ("chairs", "report")
NETWORK = Path(__file__).parent / "demo_chairs"
DENSITY = NETWORK / "density"
FIRST = 200  # of the stream of unseen chairs: those before are what figures are measured on


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        chairs: photos, each of another chair.
    """

    chairs: int = 3


QUICK = Sizes(chairs=1)


def run_category(flags: "DemoArguments") -> tuple[dict[str, Any], str, Path]:
    """Facts, what to print, and the report."""
    from resect import zoo
    from resect.category import open_category
    from resect.cli.progress import bar
    from resect.data.instances import read_instances

    sizes, chairs = QUICK if flags.quick else Sizes(), flags.out / "chairs"
    if not (chairs / "unseen").is_dir():
        say("photographing chairs that the network has not seen …")
        _photograph(sizes, chairs, flags.common.seed)
    photos = read_instances(chairs / "unseen").photos
    where = open_category(zoo.load(NETWORK), [str(DENSITY)], seed=flags.common.seed)
    say(f"finding pose and shape of {len(photos)} chairs, each from one photo …")
    answers: list[tuple[Photo, Estimate]] = []
    with bar("photos") as progress:
        for k in range(len(photos)):
            photo = replace(photos[k], name=f"chair-{k}.png")
            answers.append((photo, where.estimate(photo)))
            progress(k + 1, len(photos), answers[-1][1].status.name)
    return _told(where.scene, photos, answers, flags.out)


def _photograph(sizes: Sizes, out: Path, seed: int) -> None:
    from resect.synthesis.instance_settings import InstanceSettings
    from resect.synthesis.instances import instance, make_instances, picture_of_solid

    names = [f"chair_{k}" for k in range(sizes.chairs + 1)]
    settings = InstanceSettings(train=1, unseen=sizes.chairs, views=1, other_views=0, unseen_views=1)
    make_instances(
        names,
        lambda k: picture_of_solid(instance("chair", "test", FIRST + k)),
        frozenset(range(1, len(names))),
        settings,
        out,
        seed=seed,
    )


def _told(
    scene: Any, photos: "PhotoSet", answers: "list[tuple[Photo, Estimate]]", out: Path
) -> tuple[dict[str, Any], str, Path]:
    """Errors against the poses that the photos were taken from, and a page with photo and render side by side."""
    import torch

    from resect.evaluation.cases import cases_of_answers
    from resect.evaluation.pictures import painter
    from resect.evaluation.report import write_report
    from resect.geometry import so3

    truth, cases, lines, errors = photos.truth.cam_from_world, [], [], []
    for k, (case, (_, found)) in enumerate(zip(cases_of_answers(answers), answers, strict=True)):
        pose, code = found.cam_from_world, None if found.modes is None else found.modes.code
        if pose is None or code is None:
            errors.append(float("inf"))
            lines.append(f"{case.photo}: {found.status.name}. {found.status.sentence}")
            cases.append(case)
            continue
        turn = float(so3.angle(pose.R.double(), truth.R[k]).rad2deg())
        shift = float((pose.center.double() - truth.center[k]).norm())
        errors.append(turn)
        near = scene.instances[int((scene.codes - code[0]).norm(dim=1).argmin())]
        lines.append(f"{case.photo}: {turn:.1f}° and {shift:.2f} longest sides off, most like {near}")
        cases.append(replace(case, rotation_deg=turn, translation=shift, paint=painter(scene.of(code[0]))))
    report = write_report(out / "report", cases, overwrite=True)
    median = float(torch.tensor(errors).median())
    failed = sum(case.path == () or not case.answered for case in cases)
    facts = {"photos": len(photos), "failed": failed, "median_rotation_deg": median if median < 999 else None}
    return facts, "\n".join(lines), report
