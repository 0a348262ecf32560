"""The one table of protocols, and the way through one: starts, every refiner, tables and files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resect.artifact import write_atomic, write_json
from resect.errors import ResectError, unknown_name
from resect.evaluation.predict import Done
from resect.evaluation.protocols import basin, gsfeatloc, inerf, parallel_inversion
from resect.evaluation.protocols.spoil import Spoil
from resect.evaluation.protocols.starts import Start
from resect.evaluation.protocols.trials import Refine, Trials, run_trials, trial_table
from resect.types import PhotoSet, Split


@dataclass(frozen=True)
class Protocol:
    """A published benchmark.

    Attributes:
        settings: its dataclass.
        make_starts: photos, split, settings → starts.
        words: settings → the perturbation in words.
        unit: photos, settings → world units of one length of the protocol.
    """

    settings: type[Any]
    make_starts: Callable[[PhotoSet, Split, Any], list[Start]]
    words: Callable[[Any], str]
    unit: Callable[[PhotoSet, Any], float]


PROTOCOLS: dict[str, Protocol] = {
    "basin": Protocol(basin.BasinSettings, basin.make_starts, basin.words, lambda photos, settings: 1.0),
    "inerf": Protocol(inerf.InerfSettings, inerf.make_starts, inerf.words, lambda photos, settings: settings.unit),
    "parallel-inversion": Protocol(
        parallel_inversion.ParallelInversionSettings,
        parallel_inversion.make_starts,
        parallel_inversion.words,
        lambda photos, settings: settings.unit,
    ),
    "gsfeatloc": Protocol(
        gsfeatloc.GsfeatlocSettings,
        gsfeatloc.make_starts,
        gsfeatloc.words,
        lambda photos, settings: gsfeatloc.unit(photos),
    ),
}


def protocol(name: str) -> Protocol:
    """A protocol by name."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def run_benchmark(
    name: str,
    photos: PhotoSet,
    split: Split,
    refiners: Mapping[str, Refine],
    settings: object | None = None,
    *,
    spoil: Spoil | None = None,
    configuration: Mapping[str, Any] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[str, Done], None] | None = None,
) -> list[Trials]:
    """Every refiner from the same starts; `out` gets `REFINER/poses.csv`, `summary.json` and `table.txt`.

    Args:
        name: of the protocol.
        photos: all of them.
        split: which are held out.
        refiners: name → (photo, start) → answer.
        settings: of the protocol; its defaults when `None`.
        spoil: makes the photos worse before they are refined.
        configuration: of scene and refiners, for the record; another one does not resume the same files.
        out: folder; the same call resumes.
        overwrite: throw away what is there.
        progress: told after each trial, with the refiner's name.
    """
    entry = protocol(name)
    asked = entry.settings() if settings is None else settings
    if not isinstance(asked, entry.settings):
        raise ResectError(name, entry.settings.__name__, type(asked).__name__)
    starts, words = entry.make_starts(photos, split, asked), entry.words(asked)
    if spoil is not None:
        words += f"; photos spoiled by {spoil}"
    found = []
    for refiner, refine in refiners.items():
        told = None if progress is None else _named(progress, refiner)
        record = {"configuration": dict(configuration or {}), "refiner": refiner}
        path = None if out is None else out / refiner / "poses.csv"
        found.append(
            run_trials(
                refine, photos, split, starts, refiner=refiner, protocol=name, words=words, settings=record,
                unit=entry.unit(photos, asked), change=spoil, out=path, overwrite=overwrite, progress=told,
            )
        )  # fmt: skip
    if out is not None:
        write_json(out / "summary.json", [t.as_json() for t in found])
        write_atomic(out / "table.txt", (trial_table(found) + "\n").encode())
    return found


def _named(progress: Callable[[str, Done], None], refiner: str) -> Callable[[Done], None]:
    return lambda done: progress(refiner, done)
