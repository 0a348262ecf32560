"""Known objects in real photos: from disturbed starts, and from nothing but a visible box.

Specification, fixed before the first number was taken with it:

- Photos: the 32 of the LM-O selection (8 objects, coloured scans as meshes, millimetres). Nothing of the refiner was
  chosen on them; its constants come from synthetic clutter (`resect.synthesis`), of which the seeds are in
  `docs/decisions/objects.md`.
- "starts": objects at least 60 % visible. A start is the true pose turned by exactly A degrees about a random axis
  through the object's origin (uniform direction) and moved by exactly B millimetres in a random direction; five draws,
  seed 0, the same for every method. No mask, no box; the refiner is told the standard deviations A/√3 and B/√3 an axis
  about the object's origin. Levels A/B: 10/10, 20/20, 40/40, 10/4, 40/16.
- Success: ADD below 0.1 of the diameter, ADD-S for objects with symmetries (ADD(-S)). A failed photo is a failure; all
  photos count. Beside it: the median of ADD(-S) over the diameter, accepted answers that are wrong (ADD(-S) > 0.5
  diameter), answers that are the start itself, seconds an object.
- Baseline "one start": outline and surface rows with Levenberg–Marquardt from the start alone, coarse to fine, no
  search: the best single-start refinement there is here; "start": the start itself.
- "box": every object, its visible box from `scene_gt_info.json` and nothing else; all rotations laid into it. Scored by
  the BOP evaluation over objects at least 10 % visible: `ar_no_vsd`, ADD(-S) 0.1 d, 5°5cm. Beside it the third-party
  CSV of the folder, by the same evaluation.

Trials are kept beside the answer (`objects.trials.jsonl`); the same command goes on where it was cut off.

    python benchmarks/objects.py [--starts 10/10 20/20 40/40 10/4 40/16] [--box]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from journal import Journal
from record import RESULTS, Stopwatch, save, table, use_threads
from sets import data_folder

from resect.data.bop import BopFolder, read_bop, read_results, result_of, write_results
from resect.data.bop.photos import bop_objects
from resect.data.object_set import ObjectSet
from resect.data.workers import each
from resect.evaluation.bop import score_bop
from resect.geometry import so3
from resect.geometry.mesh import diameter
from resect.geometry.se3 import SE3
from resect.metrics.object import add_s
from resect.priors.views import Views
from resect.refine.object.refiner import ObjectInversion
from resect.refine.object.settings import ObjectSettings
from resect.scenes.mesh.scene import MeshScene
from resect.types import Estimate, Hypotheses, Photo, Status

COLUMNS = {
    "what": "what", "method": "method", "objects": "objects", "solved": "ADD(-S) 0.1d", "median": "median ADD/d",
    "wrong": "wrong, accepted", "failed": "failed", "start_itself": "start itself", "seconds": "s",
}  # fmt: skip
VISIBLE, DRAWS, VIEWS = 0.6, 5, 4000


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    starts: tuple[str, ...] = ("10/10", "20/20", "40/40", "10/4", "40/16")
    """Levels of the disturbed starts, degrees/millimetres."""
    draws: int = DRAWS
    """Starts an object and photo."""
    every: int = 1
    """Take the first of so many photos in a row, when time is short; the row says how many objects are left."""
    box: bool = True
    """Also from the visible box alone."""
    methods: tuple[str, ...] = ("start", "one start", "default")
    """For the disturbed starts."""
    seed: int = 0
    """Of the starts."""
    workers: int = 1
    """Processes that share the trials, each with one thread."""
    threads: int = 0
    """PyTorch's threads; 0: all cores."""
    out: Path | None = RESULTS / "objects.json"
    """JSON file to write."""
    quick: bool = False
    """One photo an object and one draw, to see whether the script runs."""


@dataclass(frozen=True)
class Known:
    """One object, ready to be rendered and judged."""

    objects: ObjectSet
    scene: MeshScene
    points: torch.Tensor
    diameter: float

    def error(self, found: SE3, truth: SE3) -> float:
        """ADD, or ADD-S where the object is symmetric, over the diameter."""
        found, truth = found.double(), truth.double()
        many = (SE3(x.R[None], x.t[None]) for x in (found, truth))
        return float(add_s(*many, self.points, self.objects.symmetries)) / self.diameter


def photos(every: int) -> BopFolder:
    """The first of so many images in a row, and what is in them."""
    folder = read_bop(data_folder() / "lmo")
    kept = sorted(folder.images)[::every]
    inside = [k for k, o in enumerate(folder.objects) if (o.scene, o.image) in kept]
    objects = tuple(folder.objects[k] for k in inside)
    images = {key: folder.images[key] for key in kept}
    return replace(folder, images=images, objects=objects, cam_from_obj=folder.cam_from_obj[inside], targets=None)


def known_objects(folder: BopFolder, quick: bool) -> dict[str, Known]:
    found = {}
    for name, objects in bop_objects(folder).items():
        assert objects.load_mesh is not None
        mesh = objects.load_mesh()
        chosen = objects.subset(range(1)) if quick else objects
        scene = MeshScene(mesh, antialias=False)
        found[name] = Known(chosen, scene, mesh.vertices.double(), objects.diameter or diameter(mesh.vertices))
    return found


def disturbed(truth: SE3, degrees: float, mm: float, generator: torch.Generator) -> Hypotheses:
    """A start and what is known of it, about the object's origin."""
    axes = torch.nn.functional.normalize(torch.randn(2, 3, generator=generator, dtype=torch.float64), dim=1)
    pose = SE3(so3.exp(math.radians(degrees) * axes[0]) @ truth.R, truth.t + mm * axes[1])
    sigma = torch.tensor([mm / 3**0.5] * 3 + [math.radians(degrees) / 3**0.5] * 3, dtype=torch.float64)
    back = torch.eye(6, dtype=torch.float64)
    back[:3, 3:] = -so3.hat(pose.t)
    information = back.mT @ torch.diag(sigma**-2) @ back
    return Hypotheses(SE3(pose.R[None], pose.t[None]), torch.zeros(1), information[None], source=("oracle:start",))


def alone(settings: ObjectSettings) -> ObjectSettings:
    """The baseline: nothing is searched around the start."""
    return replace(settings, reach_sigma=0.0, keep=(1,) * len(settings.keep))


@dataclass(frozen=True)
class Trial:
    """One object of one photo from one start."""

    photo: Photo
    truth: SE3
    start: Hypotheses


def trials(known: Known, args: Arguments) -> list[tuple[int, int]]:
    """Which photos of an object are asked about, by number among those that show enough of it, and which draws."""
    draws = 1 if args.quick else args.draws
    return [(k, draw) for k in range(len(known.objects.seen(VISIBLE))) for draw in range(draws)]


def key_of(known: Known, k: int, draw: int) -> str:
    return f"{int(known.objects.object_id)} {known.objects.seen(VISIBLE).photos.names[k]} {draw}"


def trial_of(known: Known, k: int, draw: int, level: str, args: Arguments) -> Trial:
    seen, one = known.objects.seen(VISIBLE), int(known.objects.object_id)
    degrees, mm = (float(x) for x in level.split("/"))
    truth, photo = seen.photos.truth.cam_from_world[k].double(), replace(seen.photos[k], target=None)
    seed = (args.seed * 1009 + draw) * 1_000_003 + sum(map(ord, photo.name)) * 131 + one
    start = disturbed(truth, degrees, mm, torch.Generator().manual_seed(seed))
    return Trial(photo, truth, start)


def answer(known: Known, trial: Trial, refiner: ObjectInversion | None) -> dict[str, Any]:
    """Error over the diameter (`None`: no pose), status and seconds of one trial; without a refiner, of the start."""
    if refiner is None:
        return {"error": known.error(trial.start.cam_from_world[0], trial.truth), "status": "START", "seconds": 0.0}
    with Stopwatch() as watch:
        found = refiner.refine(known.scene, trial.photo, trial.start)
    pose = found.cam_from_world
    error = None if pose is None else known.error(pose, trial.truth)
    return {"error": error, "status": found.status.name, "seconds": watch.wall, "cpu": watch.cpu}


def from_starts(known: dict[str, Known], level: str, method: str, args: Arguments, journal: Journal) -> dict[str, Any]:
    refiner = refiner_of(method)
    rows: list[dict[str, Any]] = []
    per_object: dict[str, list[float]] = {}
    for name, one in known.items():
        for k, draw in trials(one, args):
            key = f"{level} {method} {key_of(one, k, draw)}"
            row = journal.trial(key, lambda o=one, k=k, d=draw: answer(o, trial_of(o, k, d, level, args), refiner))  # type: ignore[misc]
            rows.append(row)
            per_object.setdefault(name, []).append(_error(row))
    errors = [_error(row) for row in rows]
    return {
        "what": f"{level} mm", "method": method, "objects": len(errors), "solved": _share(errors),
        "median": median(errors), "wrong": sum(0.5 < e < math.inf for e in errors),
        "failed": sum(e == math.inf for e in errors),
        "start_itself": sum(row["status"] == "NOT_IMPROVED" for row in rows),
        "seconds": median(row["seconds"] for row in rows),
        "per_object": {k: _share(v) for k, v in per_object.items()},
    }  # fmt: skip


def refiner_of(method: str) -> ObjectInversion | None:
    settings = ObjectSettings()
    return None if method == "start" else ObjectInversion(alone(settings) if method == "one start" else settings)


def share(known: dict[str, Known], args: Arguments, journal: Journal) -> None:
    """Takes the trials that are missing on several processes."""
    asked = [
        (f"{level} {method} {key_of(one, k, draw)}", (level, method, name, k, draw))
        for level in args.starts
        for method in args.methods
        for name, one in known.items()
        for k, draw in trials(one, args)
    ]
    missing = [(key, job) for key, job in asked if key not in journal.done]
    answers = each(partial(_trial, args), [job for _, job in missing], args.workers)
    for (key, _), row in zip(missing, answers, strict=True):
        journal.keep(key, row)


def _trial(args: Arguments, job: tuple[str, str, str, int, int]) -> dict[str, Any]:
    level, method, name, k, draw = job
    known = _all_known(args.every, args.quick)[name]
    return answer(known, trial_of(known, k, draw, level, args), refiner_of(method))


@cache
def _all_known(every: int, quick: bool) -> dict[str, Known]:
    return known_objects(photos(every), quick)


def _error(row: dict[str, Any]) -> float:
    return math.inf if row["error"] is None else float(row["error"])


def _share(errors: Sequence[float]) -> float:
    return sum(e < 0.1 for e in errors) / max(1, len(errors))


def in_box(known: Known, k: int, views: Views) -> dict[str, Any]:
    """Modes of one object from its visible box."""
    photo = known.objects.photos[k]
    assert photo.target is not None
    photo = replace(photo, target=replace(photo.target, mask=None))
    with Stopwatch() as watch:
        starts = views.propose(photo, VIEWS, torch.Generator().manual_seed(0))
        found = ObjectInversion().refine(known.scene, photo, starts)
    modes = found.modes
    rows = [] if modes is None else modes.cam_from_world.matrix()[:, :3].tolist()
    mass = [] if modes is None else modes.log_weight.tolist()
    return {"status": found.status.name, "modes": rows, "log_mass": mass, "seconds": watch.wall, "cpu": watch.cpu}


def estimate_of(row: dict[str, Any]) -> Estimate:
    """What `in_box` wrote down."""
    if not row["modes"]:
        return Estimate(Status[row["status"]])
    poses = torch.tensor(row["modes"], dtype=torch.float64)
    modes = Hypotheses(SE3(poses[:, :, :3], poses[:, :, 3]), torch.tensor(row["log_mass"]))
    return Estimate(Status[row["status"]], modes)


def from_boxes(known: dict[str, Known], folder: BopFolder, out: Path, journal: Journal) -> list[dict[str, Any]]:
    answers, seconds = [], []
    for one in known.values():
        views = Views.of(one.scene.mesh)
        for k in range(len(one.objects)):
            photo = one.objects.photos[k]
            key = f"box {one.objects.object_id} {photo.name}"
            row = journal.trial(key, lambda one=one, k=k, views=views: in_box(one, k, views))  # type: ignore[misc]
            answers.append((photo, estimate_of(row)))
            seconds.append(row["seconds"])
    result = result_of(answers)
    write_results(out.with_name("resect_lmo-test.csv"), result, overwrite=True)
    third = read_results(data_folder() / "lmo" / "third_party_results_lmo-test.csv")
    rows = []
    for method, these in (("default", result), ("third party", third)):
        score = score_bop(these, folder).visible
        rows.append({"what": "visible box", "method": method, "objects": score.objects, **score.all})
    rows[0]["seconds"] = median(seconds)
    return rows


def main(args: Arguments) -> None:
    use_threads(args.threads)
    folder = photos(args.every)
    known = known_objects(folder, args.quick)
    file = None if args.out is None else args.out.with_suffix(".trials.jsonl")
    journal = Journal.open(file, f"seed {args.seed}, {VIEWS} views")
    if args.workers != 1:
        share(known, args, journal)
    rows = [from_starts(known, level, method, args, journal) for level in args.starts for method in args.methods]
    print(table(rows, COLUMNS))
    boxes: list[dict[str, Any]] = []
    if args.box:
        boxes = from_boxes(known, folder, args.out or Path("runs/objects.json"), journal)
        print(table(boxes, {k: k for k in boxes[0] if k not in ("what",)}))
    save(args.out, "objects", args, [*rows, *boxes])


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
