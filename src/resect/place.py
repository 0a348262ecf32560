"""A place: one folder with a scene, its priors and its error model. What `fit` makes and `estimate` opens.

The folder holds the scene's own artefact with `split.json`; `priors/NAME/`, guesses learned from the same training
photos; `place.json`, the training camera, scale and units; `errors.json`, how exact the scene is.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from resect import artifact, zoo
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.localizer import Localizer
from resect.place_errors import measure_errors, read_errors
from resect.protocols import Prior, Scene
from resect.taught import framed
from resect.training.log import Progress
from resect.types import PhotoSet, Split

if TYPE_CHECKING:
    from resect.refine.levenberg_marquardt import System

DEFAULT_PRIORS = ("landmarks", "retrieval")


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
) -> Any:
    """Fits a scene and the priors beside it, or a prior alone; all from training photos.

    The same call again goes on where the last one stopped and ends with the same place.

    Args:
        photos: all photos; only those of the training half are given to anything that learns.
        split: which are held out; written to `split.json`.
        name: of the scene in the zoo, e.g. "field", or of a prior.
        settings: its settings.
        out: the folder to make.
        priors: names of priors to learn beside it.
        resume: go on with what is found in `out`; what was made from anything else is refused.
        generator: its initial seed fixes all randomness, that of each part apart, so that resuming changes nothing.
        stage: called with the name of each part; gives what to call with (done, total, remark) while it runs.

    Returns:
        The scene, or the prior.
    """
    seed = 0 if generator is None else generator.initial_seed()
    parts = {name: settings}
    for prior in priors:
        parts[f"priors/{prior}"] = zoo.resolve(zoo.entry(prior, role="prior", fitted=True).settings)()
    train = note_place(photos, split, name, settings, out, seed=seed, resume=resume)
    for part, chosen in parts.items():
        own = torch.Generator().manual_seed((seed + zlib.crc32(part.encode())) % 2**63)
        with (stage or _silent)(part.rpartition("/")[2]) as progress:
            _fit(part, train, chosen, out, resume, own, progress)
    measured = zoo.entry(name).role == "scene" and getattr(settings, "measured", True)
    if measured and not (resume and (out / "errors.json").is_file()):
        with (stage or _silent)("errors") as progress:
            measure_errors(name, train, settings, out, torch.Generator().manual_seed(seed), progress)
    return zoo.load(out)


def note_place(
    photos: PhotoSet,
    split: Split,
    name: str,
    settings: object,
    out: Path,
    *,
    seed: int = 0,
    resume: bool = True,
    further: Mapping[str, Any] | None = None,
) -> PhotoSet:
    """Writes `place.json` and `split.json`, before anything is learned, and gives the training photos.

    Args:
        photos: all photos.
        split: which are held out.
        name: of the method.
        settings: its settings.
        out: the folder to make.
        seed: of all randomness.
        resume: refuse a folder that was made from anything else.
        further: what else the result depends on, as JSON.
    """
    from resect.data.split import save_split

    train = photos.subset(split.train)
    made_from = {**_made_from(train, split, name, settings, seed), **(further or {})}
    if resume:
        _refuse_others(out, made_from)
    facts = {**_facts(train), "photos": len(photos), "made_from": made_from}
    out.mkdir(parents=True, exist_ok=True)
    artifact.write_json(out / "place.json", facts)
    save_split(split, photos, out / "split.json")
    return train


def _facts(train: PhotoSet) -> dict[str, Any]:
    """What `read_place` reads, as JSON."""
    from resect.metrics.pose import scene_scale

    scale, up = scene_scale(train.truth.cam_from_world), train.world.up
    if not 0 < scale < float("inf"):
        raise ResectError(train.root, "photos taken from different places", "cameras that all stand in one point")
    return {
        "camera": asdict(train.cameras[0]),
        "scene_scale": scale,
        "meters_per_unit": train.world.meters_per_unit,
        "up": None if up is None else up.tolist(),
        "trained_on": list(train.names),
        "cam_from_world_wxyz_t": _rows(train.truth.cam_from_world),
    }


def _made_from(train: PhotoSet, split: Split, name: str, settings: object, seed: int) -> dict[str, Any]:
    """What a place depends on, as JSON: whoever asks for another is refused."""
    from resect.data.digest import photos_digest

    return {
        "method": name,
        "settings": artifact.deciding(artifact.as_json(settings)),
        "seed": seed,
        "test": split.rule,
        "training photos and poses": photos_digest(train)[:16],
    }


def _refuse_others(out: Path, asked: Mapping[str, Any]) -> None:
    """An error, before anything is written, where `out` holds a place that was made from something else."""
    path = out / "place.json"
    if not path.is_file():
        return
    facts = artifact.read_json(path)
    made = facts.get("made_from") if isinstance(facts, dict) else None
    made = made if isinstance(made, dict) else {}
    settings = made.get("settings")
    pairs = [(artifact.deciding(settings) if isinstance(settings, dict) else {}, asked["settings"])]
    pairs += [({key: made.get(key)}, {key: asked[key]}) for key in asked if key != "settings"]
    differing = [artifact.difference(before, now) for before, now in pairs if before != now]
    if differing:
        fix = "Give the same flags to go on, another --out, or --overwrite to start anew."
        raise ResectError(out, "what it was made from", "; ".join(dict.fromkeys(differing)), fix)


def _fit(
    part: str,
    train: PhotoSet,
    settings: object,
    out: Path,
    resume: bool,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Fits one part unless `resume` finds it finished with the same settings."""
    folder, name = (_inside(out, out / part), part.rpartition("/")[2]) if "/" in part else (out, part)
    if resume and (folder / "artifact.json").is_file():
        facts, asked = artifact.read_facts(folder), artifact.deciding(artifact.as_json(settings))
        made = artifact.deciding(facts["settings"])
        if facts["kind"] != name or made != asked:
            got = f"'{name}', {artifact.difference(made, asked)}"
            fix = "Add --overwrite, or give another --out."
            raise ResectError(folder, f"'{facts['kind']}' with the settings it was made with", got, fix)
        return
    fit = zoo.resolve(zoo.entry(name, fitted=True).fit)
    fit(train, settings, out=folder, resume=resume, generator=generator, progress=progress)


@contextmanager
def _silent(_: str) -> Iterator[Progress]:
    yield lambda done, total, remark: None


def _rows(poses: SE3) -> list[list[float]]:
    return torch.cat([so3.to_quaternion(poses.R), poses.t], -1).tolist()


def open_place(
    folder: Path,
    *,
    prior: Sequence[str] | None = None,
    count: int = 64,
    seed: int = 0,
    known: "Sequence[System]" = (),
    focal_sigma: float = 0.0,
    locked: Sequence[str] = (),
    anchor: SE3 | None = None,
    depth: bool = True,
) -> Localizer:
    """The localizer of a folder that `fit_place` made.

    Args:
        folder: the artefact folder of a scene; that of a prior answers by the prior alone.
        prior: in the order to try them: names of priors in the folder, "view-sphere", or folders of other priors;
            an empty sequence needs a start for each photo. Default: those in the folder, landmarks first, or
            "view-sphere" where there are none.
        count: hypotheses to ask a prior for.
        seed: of all randomness.
        known: what else is known of the pose (`refine.rows`), fused with what the photo says.
        focal_sigma: standard deviation of the logarithm of the focal length; 0 holds it as it is.
        locked: degrees of freedom that are known exactly: "rotation", "translation", or any of "vx" … "wz".
        anchor: the pose they are taken from; by default each start's own.
        depth: whether a photo's own depth is used, where it has any.
    """
    from resect.category import is_category, open_category
    from resect.refine.default import Inversion
    from resect.refine.recipe import RefineSettings

    folder = Path(folder)
    if folder.is_file():
        raise ResectError(folder, "the folder of a place", "a file", "A mesh is opened by resect.open_object.")
    if zoo.role_of(folder) == "prior":
        if locked:
            raise ResectError("lock", "a scene, whose refiner can hold it", f"{folder}, a prior alone")
        camera = read_place(folder).camera if (folder / "place.json").is_file() else None
        return Localizer(prior=zoo.load(folder), camera=camera, count=count, seed=seed)
    if is_category(scene := zoo.load(folder)):
        return open_category(scene, prior, count, seed)
    facts = read_place(folder)
    if scene.channels == ("feature",):
        return _open_latent(folder, scene, prior, facts, count, seed)
    names = _default_priors(folder) if prior is None else prior
    guesses = tuple(_open_prior(folder, name, scene, facts) for name in names)
    settings = RefineSettings(focal_sigma=focal_sigma, depth_side=RefineSettings.depth_side if depth else 0)
    errors = read_errors(folder)
    refiner = Inversion(settings, errors, seed=seed, known=tuple(known), locked=tuple(locked), anchor=anchor)
    return Localizer(scene, guesses, refiner, camera=facts.camera, count=count, seed=seed)


def _open_latent(
    folder: Path, scene: Any, prior: Sequence[str] | None, facts: "PlaceFacts", count: int, seed: int
) -> Localizer:
    """A pose decoder, which guesses by its teacher and is inverted among latents."""
    from resect.refine.latent import LatentRefiner

    guesses = (scene.teacher,) if prior is None else tuple(_open_prior(folder, n, scene, facts) for n in prior)
    return Localizer(scene, guesses, LatentRefiner(), camera=facts.camera, count=count, seed=seed)


def _default_priors(folder: Path) -> tuple[str, ...]:
    inside = learned_priors(folder)
    return tuple(name for name in DEFAULT_PRIORS if name in inside) or tuple(inside) or ("view-sphere",)


def learned_priors(folder: Path) -> dict[str, Path]:
    """Name → folder of the priors that were learned with a place."""
    return {p.parent.name: _inside(folder, p.parent) for p in sorted(folder.glob("priors/*/artifact.json"))}


def place_digest(folder: Path, prior: Sequence[str] | None = None) -> dict[str, Any]:
    """What answers of `open_place` depend on, as JSON."""
    errors = folder / "errors.json"
    inside = learned_priors(folder)
    named = _default_priors(folder) if prior is None else prior
    folders = {name: inside.get(name, Path(name)) for name in named}
    return {
        "scene": artifact.digest(folder),
        "errors": hashlib.sha256(errors.read_bytes()).hexdigest() if errors.is_file() else None,
        "prior": [[n, artifact.digest(f) if (f / "artifact.json").is_file() else ""] for n, f in folders.items()],
    }


def _inside(folder: Path, path: Path) -> Path:
    """The path, or an error when links lead it out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ResectError(path, f"a path inside {folder}", f"a link to {path.resolve()}", "Name that folder itself.")
    return path


@dataclass(frozen=True, eq=False)
class PlaceFacts:
    """What `place.json` says.

    Attributes:
        camera: of the training photos.
        scene_scale: mean distance of the training cameras from the point they look at, world units.
        meters_per_unit: length of a unit; `None` if unknown.
        up: direction in the world, if known.
        names: of the training photos.
        cam_from_world: their poses.
    """

    camera: Camera
    scene_scale: float
    meters_per_unit: float | None
    up: tuple[float, float, float] | None
    names: tuple[str, ...]
    cam_from_world: SE3


def read_place(folder: Path) -> PlaceFacts:
    """The facts of a place, checked."""
    path = folder / "place.json"
    if not path.is_file() and (folder / "artifact.json").is_file():
        fix = "Fit it on its photos; of an imported NeRF: 'resect import CHECKPOINT --photos FOLDER'."
        raise ResectError(path, "cameras and scale of the photos that it was learned from", "no file", fix)
    facts = artifact.read_json(path)
    try:
        camera = artifact.settings_from_json(Camera, facts["camera"], path)
        rows = torch.tensor(facts["cam_from_world_wxyz_t"], dtype=torch.float64).reshape(-1, 7)
        scale, names = float(facts["scene_scale"]), tuple(map(str, facts["trained_on"]))
        meters = None if facts["meters_per_unit"] is None else float(facts["meters_per_unit"])
        x, y, z = facts.get("up") or (0, 0, 0)
        up = (float(x), float(y), float(z)) if x or y or z else None
    except ResectError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ResectError(path, "the facts of a place", f"{type(error).__name__}: {error}", "Fit it again.") from None
    if len(names) != len(rows) or not bool(rows.isfinite().all()) or not 0 < scale < float("inf"):
        raise ResectError(
            path, "a pose for each training photo and a positive scale", "something else", "Fit it again."
        )
    return PlaceFacts(camera, scale, meters, up, names, SE3(so3.from_quaternion(rows[:, :4]), rows[:, 4:]))


def _open_prior(folder: Path, name: str, scene: Scene, facts: PlaceFacts) -> Prior:
    inside = learned_priors(folder)
    if name in inside:
        return zoo.load(inside[name], role="prior")
    path, _, asked = name.rpartition(":") if not (Path(name) / "artifact.json").is_file() else (name, "", "")
    if path and (Path(path) / "artifact.json").is_file():
        return _asked_about(framed(zoo.load(path, role="prior"), folder, Path(path)), asked, path)
    if name == "view-sphere":
        from resect.priors.view_sphere import ViewSphere

        return ViewSphere.around(scene.bounds, facts.cam_from_world)
    raise unknown_name("--prior", name, [*inside, "view-sphere", "a folder of a fitted prior"])


def _asked_about(prior: Any, scene: str, path: str) -> Prior:
    """A prior of several places, asked about one of them; others as they are."""
    names: tuple[str, ...] = getattr(prior, "names", ()) if hasattr(prior, "places") else ()
    if scene:
        if not names:
            raise ResectError(f"{path}:{scene}", "a prior of several places before the colon", "one of one place")
        found: Prior = prior.of(scene)
        return found
    if len(names) > 1 and prior.scene is None:
        raise ResectError(
            path, "the place to ask about", f"{len(names)} places", f"Give {path}:{names[0]}, or another."
        )
    return prior
