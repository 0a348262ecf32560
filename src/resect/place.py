"""A place: one folder with a scene, its priors and its error model. What `fit` makes and `estimate` opens.

The folder holds the scene's own artefact with `split.json`; `priors/NAME/`, guesses learned from the same training
photos; `place.json`, the training camera, scale and units; `errors.json`, how exact the scene is.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from resect import artifact, zoo
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.localizer import Localizer
from resect.protocols import Prior, Scene
from resect.types import PhotoSet, Split

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
    report: Callable[[str], None] = lambda _: None,
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
        report: called with a line when a part is done.
    """
    from resect.data.frame import scene_scale
    from resect.data.split import save_split

    out.mkdir(parents=True, exist_ok=True)
    save_split(split, photos, out / "split.json")
    train = photos.subset(split.train)
    facts = {
        "camera": asdict(train.cameras[0]),
        "scene_scale": scene_scale(train),
        "meters_per_unit": photos.world.meters_per_unit,
        "photos": len(photos),
        "trained_on": len(train),
    }
    artifact.write_json(out / "place.json", facts)
    scene = _fit(name, train, settings, out, resume, generator)
    report(f"{name}: {out}")
    for prior in priors:
        folder = out / "priors" / prior
        _fit(
            prior, train, zoo.resolve(zoo.entry(prior, role="prior", fitted=True).settings)(), folder, resume, generator
        )
        report(f"{prior}: {folder}")
    return scene


def _fit(
    name: str, train: PhotoSet, settings: object, out: Path, resume: bool, generator: torch.Generator | None
) -> Any:
    """Fits one entry of the zoo unless `resume` finds it finished with the same settings."""
    if resume and (out / "artifact.json").is_file():
        made = artifact.read_facts(out)["settings"]
        if made == artifact.as_json(settings):
            return zoo.load(out)
        raise ResectError(out, "the settings it was made with", artifact.difference(made, artifact.as_json(settings)))
    return zoo.resolve(zoo.entry(name, fitted=True).fit)(train, settings, out=out, resume=resume, generator=generator)


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
    facts = artifact.read_json(folder / "place.json") if (folder / "place.json").is_file() else {}
    camera = artifact.settings_from_json(Camera, facts["camera"], folder / "place.json") if "camera" in facts else None
    guesses = tuple(_open_prior(folder, name, scene) for name in prior)
    errors_file = folder / "errors.json"
    errors = None
    if errors_file.is_file():
        errors = artifact.settings_from_json(ErrorModel, artifact.read_json(errors_file), errors_file)
    return Localizer(scene, guesses, Inversion(errors=errors), camera=camera, count=count, seed=seed)


def _open_prior(folder: Path, name: str, scene: Scene) -> Prior:
    inside = {p.parent.name: p.parent for p in folder.glob("priors/*/artifact.json")}
    if name in inside:
        return zoo.load(inside[name])
    if (Path(name) / "artifact.json").is_file():
        return zoo.load(name)
    if name == "view-sphere":
        from resect.priors.view_sphere import ViewSphere

        return ViewSphere.around(scene.bounds)
    raise unknown_name("--prior", name, [*inside, "view-sphere", "a folder of a fitted prior"])
