"""Viewpoints of chairs from crops: the reduced network on unseen procedural chairs and on CAD chairs.

Specification, fixed before the first number was taken with it (the crops': `synthesis/views`; the chairs':
docs/decisions/shapes-of-a-category.md):

- To learn from: 12 000 crops of 600 chairs of the train stream, seed 0, random textures behind (no pictures), all
  settings of `ViewSettings` and `ViewpointSettings` as they stand. To report: 1000 crops of 100 chairs of the test
  stream, seed 1.
- "network": accuracy within 30° and median of the true geodesic, medians of the wrapped azimuth and elevation errors,
  AVP-4/8/16/24. "two peaks", "four peaks": the best of the first 2 and 4 poses proposed, as an upper bound of what a
  refiner can make of them. "held": how often the true rotation lies within the 95 % ellipsoid of the best of four.
- "same answer": the answer that is the same for every crop and best on the training crops among 72 azimuths at their
  mean elevation: what a network has to beat.
- "cad": 200 crops, seed 2, of each mesh of `RESECT_TEST_DATA/meshes/{shapenet_chair_21bfb150, modelnet_chair}`, turned
  to the same axes; nothing was trained or chosen on them.
- Medians of three training seeds (0, 1, 2) with the range, unless `--seeds` names fewer. Seconds are the log's.

    python benchmarks/viewpoint.py [--cache runs/benchmarks/viewpoint]      # makes what is missing
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from record import CACHE, RESULTS, save, table, use_threads

from resect.data.mesh import read_mesh
from resect.data.prepare_shapes import canonical
from resect.data.procedural_shapes.families import draw
from resect.data.view_list import ViewList, read_views
from resect.evaluation.viewpoint_score import Viewpoints, answers_of, score_viewpoints
from resect.geometry import so3
from resect.priors.upright import viewpoint_rotation
from resect.priors.viewpoint.fit import fit
from resect.priors.viewpoint.prior import Viewpoint
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.scenes.mesh.scene import MeshScene
from resect.synthesis.view_settings import ViewSettings
from resect.synthesis.views import make_views

TRAIN, TEST = (12_000, 600), (1000, 100)
CAD_CROPS = 200
TINY = ViewpointSettings(encoder_width=4, side=32, hidden=16, bins=24, batch=4, steps=4)
CAD = {
    "shapenet_chair_21bfb150/model.obj": ("+y", "+x"),
    "modelnet_chair/chair_0890.off": ("+z", "-y"),
    "modelnet_chair/chair_0891.off": ("+z", "-y"),
}
CHI_SQUARE_95 = 7.815  # three degrees of freedom
COLUMNS = {
    "what": "what",
    "of": "of",
    "acc_30": "acc@30",
    "median_deg": "median°",
    "avp_8": "AVP-8",
    "avp_24": "AVP-24",
}


@dataclass(frozen=True)
class Arguments:
    """Where things are kept, and how often."""

    cache: Path = CACHE / "viewpoint"
    """Crops and networks."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of training."""
    device: str = "cpu"
    """What trains and answers."""
    threads: int = 0
    """0 takes all cores."""
    out: Path | None = RESULTS / "viewpoint.json"
    """JSON to write."""
    quick: bool = False
    """A few crops, a tiny network: does the script run?"""


def chairs(folder: Path, split: str, images: int, count: int, seed: int, side: int) -> ViewList:
    """Crops of procedural chairs."""
    names = [f"chair/{split}_{i:06d}" for i in range(count)]
    settings = ViewSettings(images=images, side=side, seed=seed)
    make_views(names, lambda i: scene(draw("chair", split, i).mesh()), settings, folder)
    return read_views(folder)


def scene(mesh: Any) -> MeshScene:
    return MeshScene(mesh.to(torch.float32), antialias=False)


def trained(arguments: Arguments, seed: int, data: ViewList) -> tuple[Viewpoint, float]:
    """The network of a seed and the seconds of its training."""
    settings = TINY if arguments.quick else ViewpointSettings()
    out = arguments.cache / f"network{seed}"
    if not (out / "artifact.json").is_file():
        fit(data, replace(settings, seed=seed, device=arguments.device), out=out, resume=True)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return Viewpoint.load(out, arguments.device), float(log[-1]["seconds"])


def network_row(prior: Viewpoint, data: ViewList, what: str) -> dict[str, Any]:
    return {"what": what, "of": len(data), **score_viewpoints(answers_of(prior, data), data).mean.as_json()}


def peak_rows(prior: Viewpoint, data: ViewList, what: str) -> list[dict[str, Any]]:
    """The best of several proposals, and whether its spread holds the truth."""
    errors: dict[int, list[float]] = {2: [], 4: []}
    held = 0
    for i in range(len(data)):
        found = prior.propose(data.photo(i), 4, torch.Generator())
        truth = viewpoint_rotation(data.viewpoint[i : i + 1])
        error = so3.angle(found.cam_from_world.R, truth.expand(len(found), 3, 3))
        for count, kept in errors.items():
            kept.append(float(error[:count].min().rad2deg()))
        best = int(error.argmin())
        assert found.information is not None
        omega = so3.log(truth @ found.cam_from_world.R[best].mT)[0]
        held += float(omega @ found.information[best, 3:, 3:] @ omega) < CHI_SQUARE_95
    rows: list[dict[str, Any]] = [
        {
            "what": f"{what}, best of {k}",
            "of": len(e),
            "acc_30": sum(x < 30 for x in e) / len(e),
            "median_deg": median(e),
        }
        for k, e in errors.items()
    ]
    rows[-1]["held"] = held / len(data)
    return rows


def same_answer_row(train: ViewList, test: ViewList) -> dict[str, Any]:
    """The same answer for every crop."""
    elevation = float(train.viewpoint[:, 1].mean())
    azimuth = torch.arange(72, dtype=torch.float64) * (torch.pi / 36)
    every = torch.stack([azimuth, torch.full_like(azimuth, elevation), torch.zeros_like(azimuth)], -1)
    truth = viewpoint_rotation(train.viewpoint)
    within = [
        float((so3.angle(r.expand_as(truth), truth).rad2deg() < 30).double().mean()) for r in viewpoint_rotation(every)
    ]
    best = every[max(range(72), key=within.__getitem__)]
    answers = Viewpoints(best.expand(len(test), 3).clone(), torch.ones(len(test)))
    return {"what": "same answer", "of": len(test), **score_viewpoints(answers, test).mean.as_json()}


def cad_sets(arguments: Arguments) -> list[tuple[str, ViewList]]:
    """Crops of CAD chairs; none without the test data."""
    root, found = os.environ.get("RESECT_TEST_DATA"), []
    for name, (up, front) in CAD.items() if root else ():
        mesh = canonical(read_mesh(Path(root or "", "meshes", name)), up, front)  # type: ignore[arg-type]
        folder = arguments.cache / "cad" / Path(name).stem
        shown = scene(mesh)
        make_views(["chair/cad"], {0: shown}.__getitem__, ViewSettings(images=CAD_CROPS, seed=2), folder)
        found.append((f"cad {Path(name).name}", read_views(folder)))
    return found


def over_seeds(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the same row over seeds, with the range of accuracy and median error."""
    first = rows[0]
    numbers = [k for k, v in first.items() if isinstance(v, float)]
    made = {**first, **{k: median(r[k] for r in rows) for k in numbers}}
    return {
        **made,
        **{f"{k}_range": [min(r[k] for r in rows), max(r[k] for r in rows)] for k in ("acc_30", "median_deg")},
    }


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    quick = arguments.quick
    side = 32 if quick else 96
    train = chairs(arguments.cache / "train", "train", *((8, 4) if quick else TRAIN), 0, side)
    test = chairs(arguments.cache / "test", "test", *((6, 3) if quick else TEST), 1, side)
    sets = [("network", test), *([] if quick else cad_sets(arguments))]
    runs, seconds = [], []
    for seed in arguments.seeds:
        prior, took = trained(arguments, seed, train)
        seconds.append(took)
        runs.append(
            [row for what, data in sets for row in (network_row(prior, data, what), *peak_rows(prior, data, what))]
        )
    rows = [over_seeds(of) for of in zip(*runs, strict=True)]
    rows.append(same_answer_row(train, test))
    print(table(rows, COLUMNS))
    save(arguments.out, "viewpoint", arguments, rows, training_seconds=seconds)
    return rows


if __name__ == "__main__":
    main()
