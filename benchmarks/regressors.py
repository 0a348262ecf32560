"""Pose regressors in a place: how near one pass over a photo comes, and how near after render and compare.

Specification, fixed before the first number was taken with it:

- Sets and held-out photos: kitchen `blocks:20:4` (40, SfM poses); fox `every:8` (7). A place is fitted once with
  default settings; see `sets.py`. No landmarks are used in any row.
- Rows. "nearest": the training photo whose camera stands nearest to the true one (an oracle, a yardstick). "retrieval":
  the most alike training photo. "posenet": PoseNet (MobileNetV2, ImageNet weights in int8, not trained further) with
  default settings, training photos only. "posenet+views": the same with `--rendered` further training photos rendered
  from the place's own field (`resect.synthesis.scene_views`, default settings); the field has seen training photos
  alone.
- "latent" and "neighbours" refine "posenet+views" among latents, by a pose decoder with default settings that learned
  from it on training photos: least squares (`LatentRefiner`), or three neighbours among training poses with the
  published network (`NeighbourCombination`, rotation kept). Gain: the median over photos of position error before less
  after, over the median before; its 90 % interval by 2000 paired bootstraps, seed 0. Rank: the share of 10 000 poses
  (training poses moved by a normal of 0.3 of the frame's unit and 15° an axis) that look more like the photo than the
  true one does; "best 1 %": of how many photos it is below 0.01.
- Alone: the first pose of a proposal. Refined: the default refiner inverts the field from the row's proposals.
- Every held-out photo counts; one without an answer has infinite error and stands in medians and shares as such.
  Errors: distance of camera centres in world units (metres in the kitchen), geodesic angle. Solved: both below 5° and
  0.05 of the scene's scale. Inside: share of photos whose true pose lies in the proposal's 90 % ellipsoid.
- Seconds: of training on this machine (features, both trainings), and of one proposal (decoded photo to pose, median).
- Aims: regressor within 0.10 m and 4° in the kitchen, 0.02 m and 0.6° after refinement with 36 of 40 solved; on fox
  rendered views at least halve the median of the regressor.

    RESECT_TEST_DATA=DIR python benchmarks/regressors.py [--sets kitchen,fox] [--rows posenet,posenet+views]
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median as middle
from typing import Any

import torch
import tyro
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads
from sets import Timed, data_folder, open_set, place_of

from resect import zoo
from resect.evaluation.predict import predict
from resect.evaluation.score import score
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.localizer import Localizer
from resect.metrics.pose import median, scene_scale
from resect.place import open_place, read_place
from resect.priors.posenet.fit import fit
from resect.priors.posenet.prior import PoseNet
from resect.priors.posenet.settings import PoseNetSettings
from resect.refine.latent import LatentRefiner
from resect.refine.neighbours import NeighbourCombination
from resect.scenes.pose_decoder.fit import fit as fit_decoder
from resect.scenes.pose_decoder.scene import PIXEL
from resect.scenes.pose_decoder.settings import PoseDecoderSettings
from resect.synthesis.scene_views import SceneViewSettings, joined, scene_views
from resect.types import PhotoSet, Split

WEIGHTS = "weights/mobilenet_v2_imagenet/mobilenet_v2_imagenet_int8.npz"
CHI2_6_90 = 10.6446
ROWS = ("nearest", "retrieval", "posenet", "posenet+views", "latent", "neighbours")
COLUMNS = {
    "set": "set", "row": "row", "stage": "stage", "photos": "photos",
    "median_units": "median m", "median_deg": "median °",
    "solved": "5°/.05", "within_5cm_5deg": "5°/5cm", "failed": "failed", "wrong": "wrong", "inside": "inside 90 %",
    "gain": "gain", "gain_interval": "90 %", "best_1_percent": "best 1 %", "latent_ms": "latent ms",
    "score_10000_ms": "10 000 ms", "seconds": "s", "training_seconds": "training s", "training_cpu_seconds": "cpu s",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    sets: str = "kitchen"
    """Names, separated by commas; "room" is synthetic."""
    rows: str = ",".join(ROWS)
    """Rows, separated by commas."""
    refine: str = "retrieval,posenet+views"
    """Rows that are refined too."""
    rendered: int = 1500
    """Views rendered from the field."""
    seed: int = 0
    """Of fitting and of every random number afterwards."""
    cache: Path = CACHE
    """Folder of fitted places, used again."""
    out: Path | None = RESULTS / "regressors.json"
    """JSON file to write."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Tiny everything, to see whether the script runs."""


def posenet(
    folder: Path, photos: PhotoSet, split: Split, views: int, seed: int, quick: bool
) -> tuple[PoseNet, dict[str, Any]]:
    """The regressor of a place, fitted unless it is there, and what that took."""
    where = folder / "regressors" / (f"posenet-{views}" if views else "posenet")
    notes = where / "seconds.json"
    if not notes.is_file():
        if quick:
            settings = PoseNetSettings(backbone="mobilenet_v2", pretrained="", side=32, steps=4, views=2, batch=8)
        else:
            settings = PoseNetSettings(backbone="tf_mobilenet_v2", pretrained=str(data_folder() / WEIGHTS))
        settings = replace(settings, tensorboard=False)
        train = photos.subset(split.train)
        with Stopwatch() as spent:
            if views:
                scene = zoo.load(folder, role="scene")
                train = joined(train, scene_views(scene, train, SceneViewSettings(count=views, seed=seed)))
            fit(train, settings, out=where, resume=True, generator=torch.Generator().manual_seed(seed))
        notes.write_text(json.dumps({"training_seconds": spent.wall, "training_cpu_seconds": spent.cpu}))
    return PoseNet.load(where), json.loads(notes.read_text())


def nearest(photos: PhotoSet, split: Split) -> dict[str, Any]:
    """The oracle: errors of the training camera that stands nearest."""
    poses = photos.truth.cam_from_world.double()
    test, train = poses[list(split.test)], poses[list(split.train)]
    found = train[torch.cdist(test.center, train.center).argmin(1)]
    return errors(found, test, scene_scale(train))


def errors(found: SE3, truth: SE3, scale: float) -> dict[str, Any]:
    """Medians and shares."""
    shift = (found.center - truth.center).norm(dim=-1)
    turn = torch.rad2deg(so3.angle(found.R, truth.R))
    return {
        "photos": len(truth), "median_units": median(shift), "median_deg": median(turn),
        "solved": int(((turn < 5) & (shift < 0.05 * scale)).sum()),
        "within_5cm_5deg": int(((turn < 5) & (shift < 0.05)).sum()),
    }  # fmt: skip


def alone(prior: Any, photos: PhotoSet, split: Split, seed: int) -> dict[str, Any]:
    """A prior's first poses."""
    poses, seconds, inside = [], [], []
    truth = photos.truth.cam_from_world.double()
    for i in split.test:
        photo = photos[i]
        with Stopwatch() as spent:
            found = prior.propose(photo, 1, torch.Generator().manual_seed(seed))
        seconds.append(spent.wall)
        best = found.cam_from_world[0].double()
        poses.append(best)
        if found.information is not None:
            delta = (truth[i] @ best.inverse()).log()
            inside.append(float(delta @ found.information[0].double() @ delta) < CHI2_6_90)
    scale = scene_scale(truth[list(split.train)])
    row = errors(SE3.stack(poses), truth[list(split.test)], scale) | {"seconds": middle(seconds)}
    return row | ({"inside": sum(inside) / len(inside)} if inside else {})


def refined(prior: Any, folder: Path, name: str, photos: PhotoSet, split: Split, seed: int) -> dict[str, Any]:
    """The same after the field was inverted from them."""
    place = open_place(folder, prior=(), seed=seed)
    where = Timed(Localizer(place.scene, prior, place.refiner, camera=read_place(folder).camera, seed=seed))
    out = folder / "predictions" / f"{name}.csv"
    predict(where, photos, split, out, overwrite=True, settings={"prior": name, "seed": seed})
    found = score(out, photos)
    turn, shift = found.rotation_deg, found.translation
    return {
        "photos": len(found.photos), "median_units": median(shift), "median_deg": median(turn),
        "solved": int(found.solved.sum()), "within_5cm_5deg": int(((turn < 5) & (shift < 0.05)).sum()),
        "failed": found.failed, "wrong": found.accepted_wrong, "seconds": middle(where.wall),
    }  # fmt: skip


def latent_rows(
    folder: Path, teacher: PoseNet, photos: PhotoSet, split: Split, rows: Sequence[str], seed: int, quick: bool
) -> list[dict[str, Any]]:
    """Refinement among latents, by least squares and by neighbours."""
    train = photos.subset(split.train)
    settings = replace(PoseDecoderSettings(tensorboard=False), **({"steps": 4, "views": 1} if quick else {}))
    where = folder / "regressors" / "decoder"
    if not (where / "artifact.json").is_file():
        fit_decoder(train, settings, out=where, parents=(teacher,), generator=torch.Generator().manual_seed(seed))
    scene = zoo.load(where, role="scene")
    known = train.truth.cam_from_world.double()
    refiners: dict[str, Any] = {
        "latent": LatentRefiner(length=float(teacher.frame.scale)), "neighbours": NeighbourCombination(known, seed=seed)
    }  # fmt: skip
    found = []
    for name in rows:
        ms, starts, ends = [], [], []
        for i in split.test:
            guess = teacher.propose(photos[i], 1, torch.Generator())
            answer = refiners[name].refine(scene, photos[i], guess)
            ms.append(dict(answer.cost.ms)["latent"])
            starts.append(guess.cam_from_world[0].double())
            ends.append(answer.modes.cam_from_world[0].double())
        truth = photos.truth.cam_from_world.double()[list(split.test)]
        before, after = ((SE3.stack(p).center - truth.center).norm(dim=-1) for p in (starts, ends))
        row = errors(SE3.stack(ends), truth, scene_scale(known)) | gain(before, after) | {"latent_ms": middle(ms)}
        if name == "latent":
            row |= ranks(scene, known, photos, split, float(teacher.frame.scale), 100 if quick else 10_000)
        found.append({"row": name, "stage": "latent", **row})
    return found


def gain(before: torch.Tensor, after: torch.Tensor) -> dict[str, Any]:
    """Relative gain of the median and its interval."""
    g = torch.Generator().manual_seed(0)
    i = torch.randint(len(before), (2000, len(before)), generator=g)
    middle_gain = (before - after)[i].median(1).values / before[i].median(1).values
    low, high = middle_gain.quantile(torch.tensor([0.05, 0.95], dtype=middle_gain.dtype)).tolist()
    return {"gain": float((before - after).median() / before.median()), "gain_interval": [low, high]}


def ranks(scene: Any, known: SE3, photos: PhotoSet, split: Split, unit: float, count: int = 10_000) -> dict[str, Any]:
    """Where the true pose stands among 10 000, and what scoring them takes."""
    g = torch.Generator().manual_seed(0)
    i = torch.randint(len(known), (count,), generator=g)
    sigma = torch.cat([torch.full((3,), 0.3 * unit), torch.deg2rad(torch.full((3,), 15.0))]).double()
    poses = known[i].retract(torch.randn(count, 6, generator=g, dtype=torch.float64) * sigma)
    poses, better, ms = SE3(poses.R.float(), poses.t.float()), [], []
    for k in split.test:
        photo = photos[k]
        truth = photos.truth.cam_from_world[k : k + 1]
        own = scene.distance2(photo, SE3(truth.R.float(), truth.t.float()))
        with Stopwatch() as looked:
            scene.observe(photo, PIXEL)
        with Stopwatch() as spent:
            others = scene.distance2(photo, poses)
        ms.append(1000 * (spent.wall - looked.wall))
        better.append(float((others < own).float().mean()))
    return {"best_1_percent": sum(b < 0.01 for b in better), "score_10000_ms": middle(ms)}


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    for name in arguments.sets.split(","):
        photos, split = open_set(name, quick=arguments.quick)
        folder, _ = place_of(name, photos, split, arguments.cache, seed=arguments.seed, quick=arguments.quick)
        for row in arguments.rows.split(","):
            facts: dict[str, Any] = {}
            if row == "nearest":
                made = {"set": name, "row": row, "stage": "oracle", **nearest(photos, split)}
                rows.append(made)
                print(json.dumps(made, ensure_ascii=False), flush=True)
                continue
            if row in ("latent", "neighbours"):
                continue
            if row == "retrieval":
                prior: Any = zoo.load(folder / "priors" / "retrieval", role="prior")
            else:
                views = arguments.rendered if row.endswith("+views") else 0
                prior, facts = posenet(folder, photos, split, views, arguments.seed, arguments.quick)
            rows.append(
                {"set": name, "row": row, "stage": "alone", **alone(prior, photos, split, arguments.seed), **facts}
            )
            print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
            if row in arguments.refine.split(","):
                after = refined(prior, folder, row, photos, split, arguments.seed)
                rows.append({"set": name, "row": row, "stage": "refined", **after})
                print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
        among = [row for row in arguments.rows.split(",") if row in ("latent", "neighbours")]
        if among:
            teacher, _ = posenet(folder, photos, split, arguments.rendered, arguments.seed, arguments.quick)
            for made in latent_rows(folder, teacher, photos, split, among, arguments.seed, arguments.quick):
                rows.append({"set": name, **made})
                print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    print(table(rows, COLUMNS))
    save(arguments.out, "regressors", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
