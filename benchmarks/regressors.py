"""Pose regressors in a place: how near one pass over a photo comes, and how near after render and compare.

Specification, fixed before the first number was taken with it:

- Sets and held-out photos: kitchen `blocks:20:4` (40, SfM poses); fox `every:8` (7). A place is fitted once with
  default settings; see `sets.py`. No landmarks are used in any row.
- Rows. "nearest": the training photo whose camera stands nearest to the true one (an oracle, a yardstick). "retrieval":
  the most alike training photo. "posenet": PoseNet (MobileNetV2, ImageNet weights in int8, not trained further) with
  default settings, training photos only. "posenet+views": the same with `--rendered` further training photos rendered
  from the place's own field (`resect.synthesis.scene_views`, default settings); the field has seen training photos
  alone. "ms-transformer": the multi-scene transformer with default settings and the same backbone, on the training
  photos of kitchen, fox, fern (`every:8`) and cabinet (TUM fr3, `every:8`), asked about the set's place; without
  rendered views. "rpr" and "iapr": relative regressors with default settings, "posenet+views" as the teacher.
- Defaults of PoseNet and of the views were chosen on training photos of the kitchen: two of its blocks of 20, one at
  the walk's end, were held out of a field and a regressor fitted to the rest; the fit of poses to looks also on those
  of the fox (every sixth, three folds; `docs/decisions/regressors.md`). First figures, with other defaults, had
  been taken on the held-out photos before that (the cause of their misses was looked at, no constant was fitted to it).
- "latent" and "neighbours" refine "posenet+views" among latents, by a pose decoder with default settings that learned
  from it on training photos: least squares (`LatentRefiner`), or three neighbours among training poses with the
  published network (`NeighbourCombination`, rotation kept). Gain: the median over photos of position error before less
  after, over the median before; its 90 % interval by 2000 paired bootstraps, seed 0. Milliseconds: of the refinement
  among latents, and beside it of the teacher's look at the photo. Rank: the share of 10 000 poses
  (training poses moved by a normal of 0.3 of the frame's unit and 15° an axis) that look more like the photo than the
  true one does; "best 1 %": of how many photos it is below 0.01. "Neighbourhood": the same of whichever looks most
  like the photo of the true pose and those of the 10 000 that are within 5° and 0.05 of the scene's scale of it.
- Alone: the first pose of a proposal. Refined: the default refiner inverts the field from the row's proposals; for
  "latent" and "neighbours", from the teacher's after their own refinement.
- Every held-out photo counts; one without an answer has infinite error and stands in medians and shares as such.
  Errors: distance of camera centres in world units (metres in the kitchen), geodesic angle. Solved: both below 5° and
  0.05 of the scene's scale. Inside: share of photos whose true pose lies in the proposal's 90 % ellipsoid.
- Seconds: of training on this machine (features, both trainings), and of one proposal (decoded photo to pose, median).
- Aims: regressor within 0.10 m and 4° in the kitchen, 0.02 m and 0.6° after refinement with 36 of 40 solved; on fox
  rendered views at least halve the median of the regressor.

Rows are written as they are done, over those of the same set, row and stage that the file has; each names its revision.

    RESECT_TEST_DATA=DIR python benchmarks/regressors.py [--sets kitchen,fox] [--rows posenet,…] [--device cuda]
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median as middle
from typing import Any

import torch
import tyro
from latents import Inverted, gain, ranks
from record import CACHE, RESULTS, Stopwatch, revision, save, table, use_threads
from sets import Timed, data_folder, open_set, place_of

from resect import zoo
from resect.artifact import read_json
from resect.data import make_split, read_photo
from resect.data.trajectory import read_trajectory
from resect.evaluation.predict import predict
from resect.evaluation.score import score
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.localizer import Localizer
from resect.metrics.pose import median, scene_scale
from resect.place import open_place, read_place
from resect.priors.ms_transformer.fit import fit as fit_several
from resect.priors.ms_transformer.settings import MSTransformerSettings
from resect.priors.posenet.fit import fit
from resect.priors.posenet.prior import PoseNet
from resect.priors.posenet.settings import PoseNetSettings
from resect.priors.relative.fit import fit as fit_relative
from resect.priors.relative.settings import IterativeSettings, RelativeSettings
from resect.refine.latent import LatentRefiner
from resect.refine.neighbours import NeighbourCombination
from resect.scenes.pose_decoder.fit import fit as fit_decoder
from resect.scenes.pose_decoder.settings import PoseDecoderSettings
from resect.synthesis.scene_views import SceneViewSettings, joined, scene_views
from resect.types import PhotoSet, Split, Truth, World

WEIGHTS = "weights/mobilenet_v2_imagenet/mobilenet_v2_imagenet_int8.npz"
CHI2_6_90 = 10.6446
ROWS = (
    "nearest", "retrieval", "posenet", "posenet+views", "ms-transformer", "latent", "neighbours", "rpr", "iapr",
)  # fmt: skip
COLUMNS = {
    "set": "set", "row": "row", "stage": "stage", "photos": "photos",
    "median_units": "median m", "median_deg": "median °",
    "solved": "5°/.05", "within_5cm_5deg": "5°/5cm", "failed": "failed", "wrong": "wrong", "inside": "inside 90 %",
    "gain": "gain", "gain_interval": "90 %", "best_1_percent": "best 1 %", "latent_ms": "latent ms",
    "teacher_ms": "teacher ms", "score_10000_ms": "10 000 ms", "seconds": "s", "training_seconds": "training s",
    "training_cpu_seconds": "cpu s",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    sets: str = "kitchen"
    """Names, separated by commas; "room" is synthetic."""
    rows: str = ",".join(ROWS)
    """Rows, separated by commas."""
    refine: str = "retrieval,posenet+views,ms-transformer,latent"
    """Rows that are refined too."""
    rendered: int = 2500
    """Views rendered from the field."""
    seed: int = 0
    """Of fitting and of every random number afterwards."""
    cache: Path = CACHE
    """Folder of fitted places, used again."""
    out: Path | None = RESULTS / "regressors.json"
    """JSON file to write."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    device: str = "cpu"
    """PyTorch device that PoseNet and the multi-scene transformer are trained on; answers are given by the CPU."""
    quick: bool = False
    """Tiny everything, to see whether the script runs."""


@dataclass(frozen=True, eq=False)
class Bench:
    """A set with its place.

    Attributes:
        name: of the set.
        photos: all of them.
        split: what is held out.
        folder: of the fitted place.
        arguments: of the run.
    """

    name: str
    photos: PhotoSet
    split: Split
    folder: Path
    arguments: Arguments

    @property
    def train(self) -> PhotoSet:
        """The training half."""
        return self.photos.subset(self.split.train)

    def fitted(self, name: str, make: Callable[[Path], Any]) -> tuple[Any, dict[str, Any]]:
        """What is in `regressors/NAME`, fitted unless it is there, and the seconds that took."""
        where = self.folder / "regressors" / name
        notes = where / "seconds.json"
        if not notes.is_file():
            with Stopwatch() as spent:
                make(where)
            facts = {"training_seconds": spent.wall, "training_cpu_seconds": spent.cpu}
            notes.write_text(json.dumps(facts | {"device": self.arguments.device}))
        return zoo.load(where), json.loads(notes.read_text())

    def generator(self) -> torch.Generator:
        """Of the seed."""
        return torch.Generator().manual_seed(self.arguments.seed)


def backbone(arguments: Arguments) -> dict[str, Any]:
    """Settings of what looks at the photos, and of a quick run."""
    where = {"device": arguments.device, "ahead": 0 if arguments.device == "cpu" else 2}
    if arguments.quick:
        return where | {"backbone": "mobilenet_v2", "pretrained": "", "side": 32, "steps": 4, "views": 2, "batch": 8}
    return where | {"backbone": "tf_mobilenet_v2", "pretrained": str(data_folder() / WEIGHTS)}


def posenet(bench: Bench, views: int) -> tuple[PoseNet, dict[str, Any]]:
    """The regressor of a place."""
    settings = replace(PoseNetSettings(tensorboard=False), **backbone(bench.arguments))

    def make(where: Path) -> None:
        train = bench.train
        if views:
            scene = zoo.load(bench.folder, role="scene")
            chosen = SceneViewSettings(count=views, seed=bench.arguments.seed)
            train = joined(train, scene_views(scene, train, chosen))
        fit(train, settings, out=where, resume=True, generator=bench.generator())

    return bench.fitted(f"posenet-{views}" if views else "posenet", make)


def teacher_of(bench: Bench) -> PoseNet:
    """What decoders and relative regressors learn from."""
    return posenet(bench, bench.arguments.rendered)[0]


def ms_transformer(bench: Bench) -> tuple[Any, dict[str, Any]]:
    """One regressor of four places, asked about this one."""
    names = [bench.name] if bench.arguments.quick else ["kitchen", "fox", "fern", "cabinet"]
    settings = replace(MSTransformerSettings(tensorboard=False), **backbone(bench.arguments))
    settings = replace(settings, **({"width": 8, "heads": 2, "head": 8} if bench.arguments.quick else {}))

    def make(where: Path) -> None:
        places = {bench.name: bench.train}
        for name in names:
            if name != bench.name:
                photos, split = cabinet() if name == "cabinet" else open_set(name)
                places[name] = photos.subset(split.train)
        fit_several(places, settings, out=where, resume=True, generator=bench.generator())

    made, facts = bench.fitted("ms-transformer", make)
    return made.of(bench.name), facts


def cabinet() -> tuple[PhotoSet, Split]:
    """TUM fr3/cabinet with its true poses, a place like any other."""
    folder = data_folder() / "tum_fr3_cabinet"
    files = sorted((folder / "raw_imgs").glob("*.jpg"))
    camera = Camera(535.4, 539.2, 320.6, 248.1, 640, 480)
    poses = read_trajectory(folder / "truth_cam_poses.txt").world_from_cam.inverse()
    photos = PhotoSet(
        folder, "tum", tuple(f.name for f in files), (camera,) * len(files), Truth(poses), World(1.0),
        lambda i: read_photo(files[i], camera=camera, name=files[i].name),
    )  # fmt: skip
    return photos, make_split(photos, "every:8")


def decoder(bench: Bench) -> Any:
    """The pose decoder of "posenet+views"."""
    quick = {"steps": 4, "views": 1} if bench.arguments.quick else {}
    settings = replace(PoseDecoderSettings(tensorboard=False), **quick)

    def make(where: Path) -> None:
        parents = (teacher_of(bench),)
        fit_decoder(bench.train, settings, out=where, parents=parents, resume=True, generator=bench.generator())

    return bench.fitted("decoder", make)


def relative(bench: Bench, name: str) -> tuple[Any, dict[str, Any]]:
    """A relative regressor."""
    kind = RelativeSettings if name == "rpr" else IterativeSettings
    quick = {"steps": 4, "views": 1, "hidden": 8} if bench.arguments.quick else {}
    settings = replace(kind(tensorboard=False), **quick)

    def make(where: Path) -> None:
        parents = (teacher_of(bench), *([decoder(bench)[0]] if name == "iapr" else []))
        fit_relative(bench.train, settings, out=where, parents=parents, resume=True, generator=bench.generator())

    return bench.fitted(name, make)


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


def inverted(bench: Bench, name: str) -> tuple[Inverted, dict[str, Any]]:
    """By least squares or by neighbours."""
    teacher, (scene, facts) = teacher_of(bench), decoder(bench)
    known = bench.train.truth.cam_from_world.double()
    refiners: dict[str, Any] = {
        "latent": LatentRefiner(length=float(teacher.frame.scale)),
        "neighbours": NeighbourCombination(known, seed=bench.arguments.seed),
    }
    return Inverted(teacher, scene, refiners[name]), facts


def among_latents(bench: Bench, name: str, prior: Inverted) -> dict[str, Any]:
    """How far refinement among latents gets, and what it costs."""
    teacher, scene, photos, split = prior.teacher, prior.scene, bench.photos, bench.split
    known = bench.train.truth.cam_from_world.double()
    starts, ends, costs = [], [], []
    for i in split.test:
        guess = teacher.propose(photos[i], 1, torch.Generator())
        answer = prior.refiner.refine(scene, photos[i], guess)
        costs.append(dict(answer.cost.ms))
        starts.append(guess.cam_from_world[0].double())
        ends.append(answer.modes.cam_from_world[0].double())
    truth = photos.truth.cam_from_world.double()[list(split.test)]
    before, after = ((SE3.stack(p).center - truth.center).norm(dim=-1) for p in (starts, ends))
    row = errors(SE3.stack(ends), truth, scene_scale(known)) | gain(before, after)
    row |= {"latent_ms": middle(c["latent"] for c in costs), "teacher_ms": middle(c["observe"] for c in costs)}
    if name == "latent":
        count = 100 if bench.arguments.quick else 10_000
        row |= ranks(scene, known, photos, split, float(teacher.frame.scale), count)
    return row


def row_of(bench: Bench, row: str) -> tuple[str, dict[str, Any], Any]:
    """Stage, figures, and the prior to refine from."""
    facts: dict[str, Any] = {}
    prior: Any
    if row == "nearest":
        return "oracle", nearest(bench.photos, bench.split), None
    if row in ("latent", "neighbours"):
        prior, facts = inverted(bench, row)
        return "latent", among_latents(bench, row, prior) | facts, prior
    if row == "retrieval":
        prior = zoo.load(bench.folder / "priors" / "retrieval", role="prior")
    elif row == "ms-transformer":
        prior, facts = ms_transformer(bench)
    elif row in ("rpr", "iapr"):
        prior, facts = relative(bench, row)
    else:
        prior, facts = posenet(bench, bench.arguments.rendered if row.endswith("+views") else 0)
    return "alone", alone(prior, bench.photos, bench.split, bench.arguments.seed) | facts, prior


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    done: dict[tuple[str, str, str], dict[str, Any]] = {}
    if arguments.out is not None and arguments.out.is_file():
        done = {(r["set"], r["row"], r["stage"]): r for r in read_json(arguments.out)["rows"]}

    def keep(row: dict[str, Any]) -> None:
        done[row["set"], row["row"], row["stage"]] = row | {"revision": revision()}
        print(json.dumps(row, ensure_ascii=False), flush=True)
        save(arguments.out, "regressors", arguments, list(done.values()))

    for name in arguments.sets.split(","):
        photos, split = open_set(name, quick=arguments.quick)
        folder, _ = place_of(name, photos, split, arguments.cache, seed=arguments.seed, quick=arguments.quick)
        bench = Bench(name, photos, split, folder, arguments)
        for row in arguments.rows.split(","):
            stage, figures, prior = row_of(bench, row)
            keep({"set": name, "row": row, "stage": stage, **figures})
            if prior is not None and row in arguments.refine.split(","):
                after = refined(prior, folder, row, photos, split, arguments.seed)
                keep({"set": name, "row": row, "stage": "refined", **after})
    print(table(list(done.values()), COLUMNS))
    return list(done.values())


if __name__ == "__main__":
    main()
