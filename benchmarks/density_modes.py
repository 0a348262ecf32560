"""From a density over rotations to every pose that looks like the photo: a cube and a cylinder, one photo each time.

Specification, fixed before the first number was taken with it.

- Objects: meshes in closed form of one grey, a cube of side 40 and a cylinder of radius 20 and height 40. Photos: drawn
  of them at uniform rotations (`synthesis/model_rotations`: lit from aside, on white, 224 × 224, the object in the
  middle), `--photos` of each, seed 1, with the visible box and the camera, nothing else.
- Prior: Image2Sphere, one network for both which is not told which it sees, learned from 600 drawn photos of each (seed
  0; crops of 64 pixels by `priors/rotations/augment`, which takes their masks), equivalent labels, `--steps` steps.
  Symmetries are those that `shape/symmetry` finds in the meshes.
- Asked in three ways. "density": modes of the density alone. "refined": `Localizer` with the mesh, whose symmetries it
  is not told. "refined, symmetries": the same, told what `shape/symmetry` found.
- To report: the median of the error from the best mode to the nearest equivalent, and the share within 0.5° and within
  15°; the share of the equivalents (24; for the cylinder 40, 18° apart about its axis from the best mode, either way
  up) that have a mode within 9°; the greatest over the least mass of those modes (median over photos); the mass of
  modes that are no equivalent (mean); status; processor seconds.
- Settings were not chosen on these photos; whoever mends the refiner does so on `--seed` 5.

    python benchmarks/density_modes.py [--photos 10] [--cache runs/benchmarks/density_modes]
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import tyro
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.geometry import so3
from resect.geometry.mesh import Mesh
from resect.geometry.solids import cube, cylinder
from resect.geometry.symmetry import Symmetries
from resect.localizer import Localizer
from resect.priors.image2sphere.fit import fit
from resect.priors.image2sphere.prior import load_image2sphere
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.priors.rotations.augment import Variety, augmented
from resect.priors.rotations.prior import RotationPrior
from resect.refine.object.refiner import ObjectInversion
from resect.scenes.mesh.scene import MeshScene
from resect.shape.symmetry import find_symmetries
from resect.synthesis.model_rotation_settings import ModelRotationSettings
from resect.synthesis.model_rotations import make_model_rotations
from resect.synthesis.symsol.shapes import symmetries
from resect.types import Estimate, Hypotheses, Photo

NEAR_DEG, MOST = 9.0, 64
QUICK = {"cube": "cube", "cylinder": "cyl"}
WAYS = ("density", "refined", "refined, symmetries")
COLUMNS = {
    "object": "object",
    "way": "way",
    "photos": "photos",
    "median_deg": "median°",
    "within_half": "in 0.5°",
    "within_15": "in 15°",
    "found": "found",
    "mass_ratio": "mass ratio",
    "other_mass": "other mass",
    "cpu_seconds": "cpu s",
    "status": "status",
}


@dataclass(frozen=True)
class Arguments:
    """What is run, and where things are kept."""

    photos: int = 10
    """Of each object."""
    seed: int = 1
    """Of the photos' rotations."""
    steps: int = 1000
    """Of training the prior."""
    ways: tuple[str, ...] = WAYS
    """Which."""
    cache: Path = CACHE / "density_modes"
    """The network."""
    threads: int = 0
    """0 takes all cores."""
    out: Path | None = RESULTS / "density_modes.json"
    """JSON to write."""
    quick: bool = False
    """One photo of each, hardly any training: does the script run?"""


def meshes() -> dict[str, Mesh]:
    """Both, of one grey."""
    made = {"cube": cube(40.0), "cylinder": cylinder(20.0, 40.0, 96)}
    return {name: replace(m, colors=torch.full_like(m.vertices, 0.6)) for name, m in made.items()}


def drawn(objects: dict[str, Mesh], same: dict[str, Symmetries], settings: ModelRotationSettings) -> RotationSet:
    """Photos of both in turn, with their boxes."""
    names, groups = tuple(objects), {name: s.rotations(0.035) for name, s in same.items()}
    scenes = [MeshScene(mesh) for mesh in objects.values()]
    return make_model_rotations(names, lambda k: scenes[k], settings, groups)


def masked(photos: RotationSet) -> RotationSet:
    """The same with masks: the background is white, the objects are grey."""

    def load(i: int) -> Photo:
        photo = photos.load(i)
        assert photo.target is not None
        return replace(photo, target=replace(photo.target, mask=photo.image.amin(-1) < 0.99))

    return replace(photos, load=load)


def learned(objects: dict[str, Mesh], same: dict[str, Symmetries], a: Arguments) -> RotationPrior:
    """The network, from the cache or trained now."""
    steps = 3 if a.quick else a.steps
    folder = a.cache / f"image2sphere-{steps}"
    if not (folder / "artifact.json").is_file():
        settings = Image2SphereSettings(equivalents="random", steps=steps, warmup=100, tensorboard=False)
        photos = drawn(objects, same, ModelRotationSettings(views=4 if a.quick else 600, side=128, seed=0))
        fit(
            augmented(masked(photos), settings.side, Variety(200 if a.quick else 200_000)),
            settings,
            out=folder,
            resume=True,
            progress=_said,
        )
    return load_image2sphere(folder)


def _said(done: int, of: int, remark: str) -> None:
    if done % 100 == 0 or done == of:
        print(f"prior {done}/{of} {remark}", flush=True)


def answering(way: str, prior: RotationPrior, mesh: Mesh, same: Symmetries) -> Callable[[Photo], Estimate]:
    """What answers a photo."""
    mine = prior.of(mesh)
    if way == "density":
        return Localizer(prior=mine, count=MOST).estimate
    told = same if way == "refined, symmetries" else Symmetries()
    return Localizer(MeshScene(mesh, antialias=False), mine, ObjectInversion(symmetries=told), count=MOST).estimate


def judged(modes: Hypotheses | None, truth: Tensor, same: Symmetries) -> dict[str, float]:
    """One answer against all equivalents of the true rotation."""
    nothing = {"error_deg": math.inf, "found": 0.0, "mass_ratio": math.inf, "other_mass": 1.0}
    if modes is None:
        return nothing
    rotation, mass = modes.cam_from_world.R.double(), modes.log_weight.double().exp()
    every = truth @ same.rotations(0.002)
    error, nearest = _apart(rotation[:1], every)
    asked = every[nearest] @ same.rotations(math.pi / 20)  # the group, from the equivalent that the best mode is at
    to_mode, which = _apart(asked, rotation)
    hit = to_mode <= NEAR_DEG
    off = _apart(rotation, every)[0] > NEAR_DEG
    masses = mass[which[hit].unique()]
    return {
        "error_deg": float(error),
        "found": float(hit.double().mean()),
        "mass_ratio": float(masses.max() / masses.min()) if len(masses) else math.inf,
        "other_mass": float(mass[off].sum() / mass.sum()),
    }


def _apart(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Degrees from each of the first to the nearest of the second, and which that is."""
    nearest = (a.flatten(1) @ b.flatten(1).mT).argmax(1)
    return so3.angle(a, b[nearest]).rad2deg(), nearest


def row(name: str, way: str, estimate: Callable[[Photo], Estimate], data: RotationSet, same: Symmetries) -> Any:
    """Figures over the photos of one object."""
    found, status = [], Counter[str]()
    with Stopwatch() as watch:
        for i in range(len(data)):
            answer = estimate(data.photo(i))
            status[answer.status.name] += 1
            found.append(judged(answer.modes if answer.ok else None, data.rotation[i].double(), same))
            print(f"{name}, {way}, {i}: {answer.status.name} {found[-1]}", flush=True)
    errors = [f["error_deg"] for f in found]
    return {
        "object": name,
        "way": way,
        "photos": len(found),
        "median_deg": median(errors),
        "within_half": mean(e <= 0.5 for e in errors),
        "within_15": mean(e <= 15 for e in errors),
        "found": mean(f["found"] for f in found),
        "mass_ratio": median(f["mass_ratio"] for f in found),
        "other_mass": mean(f["other_mass"] for f in found),
        "cpu_seconds": watch.cpu / len(found),
        "status": dict(status),
        "each": found,
    }


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    a = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(a.threads)
    torch.manual_seed(0)
    objects = meshes()
    same = {n: symmetries(QUICK[n]) if a.quick else find_symmetries(m).symmetries for n, m in objects.items()}
    prior = learned(objects, same, a)
    data = drawn(objects, same, ModelRotationSettings(views=1 if a.quick else a.photos, seed=a.seed))
    rows = []
    for k, (name, mesh) in enumerate(objects.items()):
        mine = data.subset(range(k, len(data), len(objects)))
        rows += [row(name, way, answering(way, prior, mesh, same[name]), mine, same[name]) for way in a.ways]
    print(table(rows, COLUMNS))
    save(a.out, "from a density to every equivalent pose", a, rows)
    return rows


if __name__ == "__main__":
    main()
