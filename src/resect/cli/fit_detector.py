"""`resect fit posecnn OBJECTS --out DIR`: learn to find known objects in photos, from photos with masks and poses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.learn import begin, learn
from resect.cli.options import COMMON, CommonFlags, start
from resect.cli.output import result, say


@dataclass(frozen=True)
class FitDetectorArguments:
    """Where the photos of known objects are and what to make of them."""

    data: tyro.conf.Positional[Path]
    """BOP dataset (what 'resect data clutter' draws is one), PROPS-Pose folder, or frames as PoseCNN has them."""
    out: Path
    """Folder to make."""
    split: str | None = None
    """Split of the dataset to learn from; by default "train" where there is one."""
    begin: Path | None = None
    """Folder of a PoseCNN of the same objects to begin from, such as one that learned from other photos."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_detector(name: str, flags: FitDetectorArguments, settings: Any) -> int:
    """Fits a PoseCNN."""
    from resect import zoo
    from resect.data.objects import read_training_objects

    start(flags.common)
    data = read_training_objects(flags.data, split=flags.split)
    images = len({n for objects in data.values() for n in objects.photos.names})
    say(f"{images} photos of {len(data)} objects: {', '.join(list(data)[:12])}")
    begin(flags)
    learn(name, data, settings, flags, parents=() if flags.begin is None else (zoo.load(flags.begin),))
    say(f"now: resect score {flags.out} OBJECTS, or resect estimate PHOTO --scene MODELS --prior {flags.out}")
    result(flags.common, {"out": str(flags.out), "photos": images, "objects": list(data)}, str(flags.out))
    return 0
