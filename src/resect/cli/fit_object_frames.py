"""`resect fit object-frames PHOTOS --scene DIR --detector DIR`: where known objects stand in a place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.options import COMMON, CommonFlags, refuse_overwrite, start
from resect.cli.output import result, say


@dataclass(frozen=True)
class FitObjectFramesArguments:
    """The photos of a place, what was learned of it, and what finds the objects."""

    data: tyro.conf.Positional[Path]
    """Folder of the posed photos that the scene was learned from."""
    scene: Path
    """Folder of the fitted scene: its split.json says which photos may be looked at."""
    detector: Path
    """Folder of 'resect fit posecnn'."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes folder."""
    overwrite: bool = False
    """Replace what an earlier run made; without it the same command goes on where it was cut off."""
    common: CommonFlags = COMMON


def fit_object_frames(name: str, flags: FitObjectFramesArguments, settings: Any) -> int:
    """Finds the frames; they are kept in the scene's folder, among its priors."""
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import load_split, read
    from resect.priors.object_frames.prior import fit
    from resect.priors.object_frames.sightings import SEEN
    from resect.zoo import load

    out = flags.scene / "priors" / name
    begun = (out / SEEN).is_file() and not (out / "artifact.json").is_file()
    if not begun:
        refuse_overwrite(out, flags.overwrite)
    photos = read(flags.data, poses=flags.poses)
    train = photos.subset(load_split(flags.scene / "split.json", photos).train)
    with bar("looking") as progress:
        detector = load(flags.detector, role="prior")
        made = fit(train, settings, out=out, parents=(detector,), resume=not flags.overwrite, progress=progress)
    rows = {
        key: {
            "photos": s.photos,
            "scale": float(s.world_from_obj.s),
            "turn_deg": round(s.turn_rad * 57.29578, 2),
            "shift": s.shift,
        }
        for key, s in made.standing.items()
    }
    for key, row in rows.items():
        say(f"{key}: in {row['photos']} photos, which disagree by {row['turn_deg']}° and {row['shift']:.3g} units")
    say(f"now: resect estimate PHOTO --scene {flags.scene} --prior {flags.detector}")
    result(flags.common, {"out": str(out), "objects": rows}, str(out))
    return 0
