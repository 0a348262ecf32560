"""A category: novel views, poses of learned and unlearned instances, and the speed of a picture with derivatives.

The data and the protocol are those of docs/decisions/category-views.md, written before the first number:

    resect data instances chair --out CHAIRS
    resect fit sigma-srn CHAIRS/train --out SCENE           (and --sigma-srn.no-weighted for SRN's row)
    python benchmarks/category.py --data CHAIRS --scene SCENE [--plain SRN] [--device cuda]

Rows of poses, by `--methods`: "ours" (levels from the view grid), "ours-density" (levels from 64 draws of a density
over rotations that learned from the same views: 'resect fit image2sphere CHAIRS/train --out PRIOR'), "ours-adam" (24
starts, Adam, all the way), "published-24" and "published-4" (the port; the four starts are made from the truth: an
oracle), each for `known` instances, and the first two for unlearned ones with the code of a `reference` view and
`unknown`. The published rows take hours a photo on a CPU; there `--published-photos` bounds them, and what was not run
is not in the table. Beside every row: `failed_search`, photos whose true pose has a lower loss than the answer's;
`ceiling_deg`, the median error of what our refiner finds from the true pose. Trials that are done are kept beside
--out; the same command goes on.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal

import torch
import tyro
from journal import Journal
from published_sigma_srn import PublishedSigmaSrn, four_around, invert, twenty_four
from record import RESULTS, save, table, use_threads

from resect.category import open_category
from resect.data.instances import InstanceSet, read_instances
from resect.evaluation.category_score import score_category
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.metrics.image import psnr
from resect.priors.view_grid import ViewGrid
from resect.refine.category.inversion import CategoryInversion, Search
from resect.refine.category.settings import CategorySettings
from resect.refine.view import Meter
from resect.scenes.sigma_srn.fit import fit
from resect.scenes.sigma_srn.published import published_names
from resect.scenes.sigma_srn.scene import SigmaSrn
from resect.scenes.sigma_srn.settings import SigmaSrnSettings
from resect.scenes.sigma_srn.watch import picture
from resect.types import Hypotheses, Photo, Target

Method = Literal["ours", "ours-density", "ours-adam", "published-24", "published-4"]
Case = Literal["known", "reference", "unknown"]
POSE_COLUMNS = {
    "method": "method", "case": "instance", "photos": "photos", "median_deg": "median°", "mean_deg": "mean°",
    "within_5": "<5°", "within_15": "<15°", "within_30": "<30°", "failed_search": "search failed",
    "ceiling_deg": "ceiling°", "seconds": "s a photo", "oracle": "oracle",
}  # fmt: skip
VIEW_COLUMNS = {"what": "network", "views": "views", "psnr": "PSNR", "ssim": "SSIM", "iou": "IoU"}
_BEGAN = time.perf_counter()
SPEED_COLUMNS = {"what": "one picture of 64²", "side": "side", "seconds": "s", "times": "times"}


@dataclass(frozen=True)
class Arguments:
    """What is run, and where things are."""

    data: Path
    """What 'resect data instances chair' made."""
    scene: Path
    """What 'resect fit sigma-srn' made of its train folder."""
    prior: Path | None = None
    """What 'resect fit image2sphere' made of its train folder, for "ours-density"."""
    plain: Path | None = None
    """The same with --sigma-srn.no-weighted."""
    methods: tuple[Method, ...] = ("ours",)
    """Rows of poses."""
    cases: tuple[Case, ...] = ("known", "reference", "unknown")
    """What is known of the instance."""
    instances: int = 10
    """Instances of each row."""
    views: int = 10
    """Views of each."""
    published_photos: int = 100
    """Most photos of the published rows, spread over all."""
    minutes: float = math.inf
    """No trial of poses is begun later; rows say how many photos were done, spread over all."""
    novel: int = 500
    """Novel views scored, spread over all; 0 leaves the table out."""
    code_steps: int = 300
    """Of fitting one-shot codes."""
    speed: bool = True
    """Time one picture with derivatives."""
    device: str = "cpu"
    """PyTorch device."""
    threads: int = 0
    """0 takes all cores."""
    out: Path | None = RESULTS / "category.json"
    """JSON to write."""
    quick: bool = False
    """Two photos a row: does the script run?"""


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Runs what is not done and prints the tables."""
    a = tyro.cli(Arguments, args=arguments)
    if a.quick:
        a = replace(a, instances=2, views=1, novel=4, code_steps=3)
    use_threads(a.threads)
    scene = SigmaSrn.load(a.scene, a.device)
    val, unseen = read_instances(a.data / "val"), read_instances(a.data / "unseen")
    journal = Journal.open(None if a.out is None else a.out.with_suffix(".trials.jsonl"), f"{a.device} {a.scene}")
    novel = _novel(a, scene, val, journal) if a.novel else []
    with_codes = _with_codes(a, scene, unseen) if a.novel or "reference" in a.cases else scene
    if a.novel:
        novel.append(_one_shot(with_codes, unseen))
    poses = [
        row for m in a.methods for c in a.cases if (row := _poses(a, m, c, scene, val, unseen, with_codes, journal))
    ]
    speed = _speed(scene, a.device) if a.speed else []
    for rows, columns in ((novel, VIEW_COLUMNS), (poses, POSE_COLUMNS), (speed, SPEED_COLUMNS)):
        print(table(rows, columns) + "\n")
    rows = [*novel, *poses, *speed]
    save(a.out, "novel views and poses of a category", a, rows)
    return rows


def _novel(a: Arguments, scene: SigmaSrn, val: InstanceSet, journal: Journal) -> list[dict[str, Any]]:
    chosen = [k * len(val.photos) // a.novel for k in range(min(a.novel, len(val.photos)))]
    part = InstanceSet(val.photos.subset(chosen), val.instance[chosen], val.names)
    networks = [("σSRN", scene)] + ([] if a.plain is None else [("SRN", SigmaSrn.load(a.plain, a.device))])
    rows = [
        {"what": name, **journal.trial(f"novel {name}", lambda made=made: score_category(made, part).as_json())}  # type: ignore[misc]
        for name, made in networks
    ]
    train = read_instances(a.data / "train")
    values = []
    for k in chosen:
        same = (train.instance == train.names.index(val.names[int(val.instance[k])])).nonzero()[:, 0]
        axes = train.photos.truth.cam_from_world[same.tolist()].axis
        near = int(same[(axes @ val.photos.truth.cam_from_world[k].axis).argmax()])
        values.append(psnr(train.photos[near].image, val.photos[k].image))
    return [*rows, {"what": "nearest training view", "views": len(chosen), "psnr": mean(values)}]


def _with_codes(a: Arguments, scene: SigmaSrn, unseen: InstanceSet) -> SigmaSrn:
    """The networks with codes of the unseen instances, each from its first view."""
    first = InstanceSet(unseen.photos.subset(_firsts(unseen)), torch.arange(len(unseen.names)), unseen.names)
    settings = SigmaSrnSettings(
        steps=a.code_steps, rate=0.02, batch=min(16, len(first.names)), pixels=256, tensorboard=False, device=a.device
    )
    return fit(first, settings, frozen=scene)


def _firsts(data: InstanceSet) -> list[int]:
    return [int((data.instance == k).nonzero()[0, 0]) for k in range(len(data.names))]


def _one_shot(scene: SigmaSrn, unseen: InstanceSet) -> dict[str, Any]:
    """The last half of the views of each unseen instance, by the code of the first."""
    rows = [k for k in range(len(unseen.photos)) if k - _firsts(unseen)[int(unseen.instance[k])] >= 10]
    part = InstanceSet(unseen.photos.subset(rows), unseen.instance[rows], unseen.names)
    return {"what": "σSRN, one-shot code of unseen", **score_category(scene, part).as_json()}


def _poses(
    a: Arguments,
    method: Method,
    case: Case,
    scene: SigmaSrn,
    val: InstanceSet,
    unseen: InstanceSet,
    with_codes: SigmaSrn,
    journal: Journal,
) -> dict[str, Any] | None:
    """One row; `None` for what there is not."""
    if method not in ("ours", "ours-density") and case != "known":
        return None
    data, skip = (val, 0) if case == "known" else (unseen, 1)
    used = with_codes if case == "reference" else scene
    firsts = _firsts(data)[: a.instances]
    photos = [first + skip + v for first in firsts for v in range(a.views)]
    if method.startswith("published"):
        photos = photos[:: max(1, len(photos) // a.published_photos)][: a.published_photos]
    found = []
    for k in _spread_out(photos):
        key = f"{method} {case} {data.photos.names[k]}"
        if key in journal.done or time.perf_counter() - _BEGAN < 60 * a.minutes:
            found.append(journal.trial(key, lambda k=k: _trial(a, method, case, used, data, k)))  # type: ignore[misc]
    if not found:
        return None
    errors, ceilings = [f["error_deg"] for f in found], [f["ceiling_deg"] for f in found]
    shares = {f"within_{d}": mean(e < d for e in errors) for d in (5, 15, 30)}
    return {
        "method": method, "case": case, "photos": len(found), "median_deg": median(errors), "mean_deg": mean(errors),
        **shares, "failed_search": mean(f["loss"] > f["true_loss"] for f in found), "ceiling_deg": median(ceilings),
        "seconds": mean(f["seconds"] for f in found), "oracle": "yes" if method == "published-4" else "no",
    }  # fmt: skip


def _spread_out(photos: list[int]) -> list[int]:
    """In an order whose every beginning is spread over all: a run that is cut short is fair."""
    stride = next(s for s in range(round(0.62 * len(photos)) or 1, len(photos) + 2) if math.gcd(s, len(photos)) == 1)
    return [photos[k * stride % len(photos)] for k in range(len(photos))]


def _trial(a: Arguments, method: Method, case: Case, scene: SigmaSrn, data: InstanceSet, row: int) -> dict[str, Any]:
    """Error of the answer, its loss and that of the true pose, seconds, and the error from the true pose."""
    photo, true = data.photos[row], data.photos.truth.cam_from_world[row : row + 1].float()
    photo = replace(photo, target=Target("")) if case == "unknown" else photo
    settings = CategorySettings(optimizer="adam", sides=(64,), keep=(1,), steps=(1,))
    settings = settings if method == "ours-adam" else CategorySettings()
    began = time.perf_counter()
    if method.startswith("published"):
        pose = _published(method, scene, data, row)
    else:
        prior = (str(a.prior),) if method == "ours-density" else None
        found = open_category(scene, prior, settings=settings).estimate(photo)
        pose = None if found.modes is None else found.modes.cam_from_world[:1]
    seconds = time.perf_counter() - began
    error = _degrees(pose, true)
    # The loss is compared where the code is known; else each pose has its own best code.
    losses = (math.inf, 0.0) if pose is None else (0.0, 0.0) if case == "unknown" else _losses(scene, photo, pose, true)
    oracle = Hypotheses(true, torch.zeros(1), source=("oracle",))
    top = CategoryInversion(CategorySettings()).refine(scene, photo, oracle)
    at_top = None if top.modes is None else top.modes.cam_from_world[:1]
    return {
        "error_deg": error, "loss": losses[0], "true_loss": losses[1], "seconds": seconds,
        "ceiling_deg": _degrees(at_top, true),
    }  # fmt: skip


@torch.no_grad()
def _losses(scene: SigmaSrn, photo: Photo, pose: SE3, true: SE3) -> tuple[float, float]:
    assert photo.target is not None
    code = scene.code_of(photo.target.object_id).cpu()[None]
    search = Search(scene, photo, CategorySettings(), Meter())
    answer, truth = (float(search.loss(p.float(), code, search.views[-1])) for p in (pose, true))
    return answer, truth


def _degrees(pose: SE3 | None, true: SE3) -> float:
    return 180.0 if pose is None else float(so3.angle(pose.R.float(), true.R).rad2deg())


def _published(method: Method, scene: SigmaSrn, data: InstanceSet, row: int) -> SE3:
    """The port's answer of least loss."""
    device, learned = scene.settings.device, scene.learned
    model = _port(scene)
    _, seen = picture(scene, data, row)
    camera, code = data.photos.cameras[row], scene.code_of(data.names[int(data.instance[row])])
    c2w = data.photos.truth.cam_from_world[row].inverse().matrix().float()
    up = learned.orbit.up
    starts = four_around(c2w, up=up) if method == "published-4" else twenty_four(learned.orbit.radius, up)
    intrinsics = (camera.fx, camera.cx - 0.5, camera.cy - 0.5)
    target = 2 * seen.reshape(-1, 3).to(device) - 1
    ended, loss = invert(model, target, intrinsics, camera.width, code.to(device), starts.to(device))
    return SE3.from_matrix(ended[int(loss.argmin())].cpu()[None]).inverse()


def _port(scene: SigmaSrn) -> PublishedSigmaSrn:
    s = scene.settings
    weights = {k: v.cpu() for k, v in published_names(scene.network).items()}
    return PublishedSigmaSrn(weights, s.marches, s.start).to(s.device)


def _speed(scene: SigmaSrn, device: str) -> list[dict[str, Any]]:
    """One picture of 64² with the derivatives that a step needs: the port's gradient of the loss, ours of all."""
    s, orbit = scene.settings, scene.learned.orbit
    pose = ViewGrid(orbit.center, orbit.radius, orbit.up).poses()[4:5].float()
    camera = scene.learned.camera.rescale(64, 64)
    code, model = scene.codes[:1].to(s.device), _port(scene)
    c2w = pose.inverse().matrix().to(device)

    def theirs() -> None:
        leaf = c2w.clone().requires_grad_()
        shown = model(leaf, (camera.fx, camera.cx - 0.5, camera.cy - 0.5), 64, code)
        shown.square().mean().backward()  # type: ignore[no-untyped-call]

    def ours() -> None:
        scene.derivatives(camera, pose, camera.pixels(), code)

    def ours_gradient() -> None:
        leaf = torch.zeros(1, 6, requires_grad=True)
        shown = scene.render(camera, pose.retract(leaf), code=code).rgb
        assert shown is not None
        shown.square().mean().backward()  # type: ignore[no-untyped-call]

    rows = [
        ("port, gradient of the loss", theirs),
        ("ours, gradient of the loss", ours_gradient),
        ("ours, every colour's derivative", ours),
    ]
    timed = [(what, _seconds(run, device)) for what, run in rows]
    return [{"what": what, "side": 64, "seconds": t, "times": timed[0][1] / t} for what, t in timed]


def _seconds(run: Callable[[], None], device: str, times: int = 5) -> float:
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return median(found[1:])


if __name__ == "__main__":
    main()
