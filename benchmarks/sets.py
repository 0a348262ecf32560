"""The photo sets of the benchmarks, and a place fitted from each: once, in a cache folder, used by every script.

A place is fitted as `resect fit field DATA --test RULE` does, with default settings. Its folder keeps the revision that
made it; after a change of what `fit` does, delete it. "room" is the synthetic capture of `resect demo`, of which
`quick` takes a small one and a small field, to see whether a script runs.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from record import Stopwatch, revision

from resect import zoo
from resect.artifact import read_json, write_json
from resect.data import make_split, read
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.errors import ResectError, unknown_name
from resect.localizer import Localizer
from resect.place import fit_place, open_place, read_place
from resect.scenes.field.settings import FieldSettings
from resect.types import Estimate, Photo, PhotoSet, Split

REAL = ("fox", "fern", "lego", "kitchen")


@dataclass(frozen=True)
class Source:
    """Where a set lies under RESECT_TEST_DATA, and what is held out."""

    folder: str
    rule: str
    poses: str = ""


SOURCES = {
    "fox": Source("fox", "every:8"),
    "fern": Source("llff_fern", "every:8"),
    "lego": Source("nerf_synthetic_lego", "given"),  # the train photos against the val photos
    "kitchen": Source("7scenes_redkitchen_seq01", "blocks:20:4", "sfm_pgt_redkitchen_seq01.txt"),
}

PIPELINES: dict[str, tuple[str, ...]] = {
    "default": ("landmarks", "retrieval"),
    "retrieval": ("retrieval",),
    "view-sphere": ("view-sphere",),
    "landmarks-alone": ("landmarks",),
}
"""Name → guesses in the order they are tried. All but "landmarks-alone" invert the field."""


def data_folder() -> Path:
    """The folder with real photos."""
    if "RESECT_TEST_DATA" not in os.environ:
        raise ResectError(
            "RESECT_TEST_DATA", "the folder with the real photos", "not set", "Set it, or use --sets room."
        )
    return Path(os.environ["RESECT_TEST_DATA"])


def open_set(name: str, *, quick: bool = False) -> tuple[PhotoSet, Split]:
    """The photos of a set and its split."""
    if name == "room":
        shot = SyntheticSettings(path="orbit")
        photos = make_capture(SyntheticSettings(path="orbit", photos=24, width=160, height=120) if quick else shot)
        return photos, make_split(photos, "every:8")
    if name not in SOURCES:
        raise unknown_name("--sets", name, [*SOURCES, "room"])
    source = SOURCES[name]
    folder = data_folder() / source.folder
    photos = read(folder, poses=folder / source.poses if source.poses else None)
    return photos, make_split(photos, source.rule)


def place_of(
    name: str, photos: PhotoSet, split: Split, cache: Path, *, seed: int = 0, quick: bool = False
) -> tuple[Path, dict[str, Any]]:
    """The folder of the fitted place, and how it was made; fits it unless it is there."""
    folder = cache / f"{name}{'-quick' if quick else ''}-seed{seed}"
    facts = folder / "fitted.json"
    if not facts.is_file():
        print(f"{name}: fitting {len(split.train)} photos, seed {seed} …", flush=True)
        settings = FieldSettings.tiny() if quick else FieldSettings()
        with Stopwatch() as spent:
            fit_place(photos, split, "field", settings, folder, generator=torch.Generator().manual_seed(seed))
        made = {"revision": revision(), "seed": seed, "fit_seconds": spent.wall, "fit_cpu_seconds": spent.cpu}
        write_json(facts, made | {"field": read_json(folder / "artifact.json")["settings"]})
    return folder, read_json(facts)


def open_pipeline(folder: Path, pipeline: str, *, seed: int = 0) -> Localizer:
    """The localizer of one of `PIPELINES`."""
    if pipeline not in PIPELINES:
        raise unknown_name("--pipelines", pipeline, PIPELINES)
    guesses = PIPELINES[pipeline]
    if pipeline != "landmarks-alone":
        return open_place(folder, prior=guesses, seed=seed)
    priors = tuple(zoo.load(folder / "priors" / name) for name in guesses)
    return Localizer(prior=priors, camera=read_place(folder).camera, seed=seed)


@dataclass
class Timed:
    """A localizer that notes the seconds of each answer, from decoded photo to pose."""

    where: Localizer
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def warm_up(self, photos: PhotoSet, indices: Sequence[int]) -> None:
        """Answers training photos from each guess alone, so that what is timed later is compiled and loaded."""
        guesses = self.where.prior if isinstance(self.where.prior, tuple) else (self.where.prior,)
        for guess in guesses:
            for i in indices:
                replace(self.where, prior=guess).estimate(photos[i])

    def estimate(self, photo: Photo) -> Estimate:
        with Stopwatch() as spent:
            answer = self.where.estimate(photo)
        self.wall.append(spent.wall)
        self.cpu.append(spent.cpu)
        return answer
