"""A place: one folder with a scene, its priors and its error model. What `fit` makes and `estimate` opens.

The folder holds the scene's own artefact with `split.json`; `priors/NAME/`, guesses learned from the same training
photos; `place.json`, the training camera, scale and units; `errors.json`, how exact the scene is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from resect import artifact, zoo
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.localizer import Localizer
from resect.protocols import Prior, Scene
from resect.training.log import Progress
from resect.types import PhotoSet, Split

DEFAULT_PRIORS = ("landmarks", "retrieval")
_LEAST_MEASURED, _MOST_MEASURED = 3, 30


def fit_place(
    photos: PhotoSet,
    split: Split,
    name: str,
    settings: object,
    out: Path,
    *,
    priors: Sequence[str] = DEFAULT_PRIORS,
    resume: bool = True,
    generator: torch.Generator | None = None,
    stage: Callable[[str], AbstractContextManager[Progress]] | None = None,
) -> Scene:
    """Fits a scene, then its priors, then measures the scene's errors; all from training photos alone.

    Args:
        photos: all photos; only those of the training half are given to anything that learns.
        split: which are held out; written to `split.json`.
        name: of the scene in the zoo, e.g. "field".
        settings: its settings.
        out: the folder to make.
        priors: names of priors to learn beside it.
        resume: go on from checkpoints found in `out`.
        generator: of all randomness.
        stage: called with the name of each part; gives what to call with (done, total, remark) while it runs.
    """
    from resect.data.split import save_split
    from resect.metrics.pose import scene_scale

    out.mkdir(parents=True, exist_ok=True)
    save_split(split, photos, out / "split.json")
    train = photos.subset(split.train)
    facts = {
        "camera": asdict(train.cameras[0]),
        "scene_scale": scene_scale(train.truth.cam_from_world),
        "meters_per_unit": photos.world.meters_per_unit,
        "photos": len(photos),
        "trained_on": list(train.names),
        "cam_from_world_wxyz_t": _rows(train.truth.cam_from_world),
    }
    artifact.write_json(out / "place.json", facts)
    named = {name: settings}
    for prior in priors:
        named[f"priors/{prior}"] = zoo.resolve(zoo.entry(prior, role="prior", fitted=True).settings)()
    for part, chosen in named.items():
        with (stage or _silent)(part.rpartition("/")[2]) as progress:
            _fit(part, train, chosen, out, resume, generator, progress)
    if zoo.entry(name).role == "scene" and not (resume and (out / "errors.json").is_file()):
        with (stage or _silent)("errors") as progress:
            _measure_errors(name, train, settings, out, generator, progress)
    return zoo.load(out)


def _measure_errors(
    name: str, train: PhotoSet, settings: object, out: Path, generator: torch.Generator | None, progress: Progress
) -> None:
    """Fits a second scene without some training photos and measures on them; too few photos are not measured on."""
    from resect.refine.calibrate import calibrate, leave_out

    kept, held = leave_out(len(train), every=max(6, len(train) // _MOST_MEASURED))
    if len(held) < _LEAST_MEASURED:
        return
    fit = zoo.resolve(zoo.entry(name).fit)
    second = fit(train.subset(kept), settings, out=None, generator=generator, progress=progress)
    errors = calibrate(second, train, held, report=lambda done, of: progress(done, of, "photos left out"))
    artifact.write_json(out / "errors.json", asdict(errors))


def _fit(
    part: str,
    train: PhotoSet,
    settings: object,
    out: Path,
    resume: bool,
    generator: torch.Generator | None,
    progress: Progress,
) -> None:
    """Fits one part unless `resume` finds it finished with the same settings."""
    folder, name = (out / part, part.rpartition("/")[2]) if "/" in part else (out, part)
    if resume and (folder / "artifact.json").is_file():
        made, asked = artifact.read_facts(folder)["settings"], artifact.as_json(settings)
        if made != asked:
            fix = "Add --overwrite, or give another --out."
            raise ResectError(folder, "the settings it was made with", artifact.difference(made, asked), fix)
        return
    fit = zoo.resolve(zoo.entry(name, fitted=True).fit)
    fit(train, settings, out=folder, resume=resume, generator=generator, progress=progress)


@contextmanager
def _silent(_: str) -> Iterator[Progress]:
    yield lambda done, total, remark: None


def _rows(poses: SE3) -> list[list[float]]:
    return torch.cat([so3.to_quaternion(poses.R), poses.t], -1).tolist()


def open_place(folder: Path, *, prior: Sequence[str] = DEFAULT_PRIORS, count: int = 64, seed: int = 0) -> Localizer:
    """The localizer of a folder that `fit_place` made.

    Args:
        folder: the artefact folder of a scene.
        prior: in the order to try them: names of priors in the folder, "view-sphere", or folders of other priors;
            an empty sequence needs a start for each photo.
        count: hypotheses to ask a prior for.
        seed: of all randomness.
    """
    from resect.refine.default import Inversion
    from resect.refine.judge import ErrorModel

    scene = zoo.load(folder)
    facts = read_place(folder)
    guesses = tuple(_open_prior(folder, name, scene, facts) for name in prior)
    errors_file = folder / "errors.json"
    errors = None
    if errors_file.is_file():
        errors = artifact.settings_from_json(ErrorModel, artifact.read_json(errors_file), errors_file)
    return Localizer(scene, guesses, Inversion(errors=errors), camera=facts.camera, count=count, seed=seed)


@dataclass(frozen=True, eq=False)
class PlaceFacts:
    """What `place.json` says.

    Attributes:
        camera: of the training photos.
        scene_scale: mean distance of the training cameras from the point they look at, world units.
        meters_per_unit: length of a unit; `None` if unknown.
        names: of the training photos.
        cam_from_world: their poses.
    """

    camera: Camera
    scene_scale: float
    meters_per_unit: float | None
    names: tuple[str, ...]
    cam_from_world: SE3


def read_place(folder: Path) -> PlaceFacts:
    """The facts of a place, checked."""
    path = folder / "place.json"
    facts = artifact.read_json(path)
    try:
        camera = artifact.settings_from_json(Camera, facts["camera"], path)
        rows = torch.tensor(facts["cam_from_world_wxyz_t"], dtype=torch.float64).reshape(-1, 7)
        scale, names = float(facts["scene_scale"]), tuple(map(str, facts["trained_on"]))
        meters = None if facts["meters_per_unit"] is None else float(facts["meters_per_unit"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ResectError(path, "the facts of a place", f"{type(error).__name__}: {error}", "Fit it again.") from None
    if len(names) != len(rows) or not bool(rows.isfinite().all()) or not 0 < scale < float("inf"):
        raise ResectError(
            path, "a pose for each training photo and a positive scale", "something else", "Fit it again."
        )
    return PlaceFacts(camera, scale, meters, names, SE3(so3.from_quaternion(rows[:, :4]), rows[:, 4:]))


def _open_prior(folder: Path, name: str, scene: Scene, facts: PlaceFacts) -> Prior:
    inside = {p.parent.name: p.parent for p in folder.glob("priors/*/artifact.json")}
    if name in inside:
        return zoo.load(inside[name])
    if (Path(name) / "artifact.json").is_file():
        return zoo.load(name)
    if name == "view-sphere":
        from resect.priors.view_sphere import ViewSphere

        return ViewSphere.around(scene.bounds, facts.cam_from_world)
    raise unknown_name("--prior", name, [*inside, "view-sphere", "a folder of a fitted prior"])
