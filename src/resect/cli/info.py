"""`resect info`: what a file or folder is."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.options import COMMON, CommonFlags, parse
from resect.cli.output import result
from resect.errors import ResectError

_MEDIAN_OF_THREE = 1.5382  # length of three normal numbers of σ = 1, the median


@dataclass(frozen=True)
class InfoArguments:
    """What to look at."""

    path: tyro.conf.Positional[Path]
    """What 'resect fit' made, a pose file, posed photos (a folder or its transforms.json), a photo or a mesh."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints what was recognised and its main facts."""
    description, example = "What a file or folder is.", "resect info runs/place"
    flags = parse(InfoArguments, arguments, prog="resect info", description=description, example=example)
    facts = describe(flags.path)
    text = "\n".join(f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in facts.items())
    result(flags.common, facts, text)
    return 0


def describe(path: Path) -> dict[str, Any]:
    """The main facts of an artefact, a pose file, a dataset, a photo or a mesh."""
    if not path.exists():
        raise ResectError(path, "a file or a folder", "nothing")
    if (path / "artifact.json").is_file():
        return _artifact(path)
    if path.is_dir() or path.suffix.lower() == ".json":
        return _dataset(path)
    if path.suffix.lower() in (".csv", ".txt"):
        from resect.evaluation.pose_file import read_poses

        poses = read_poses(path)
        facts = {"what": f"poses, format '{poses.format}'", "photos": poses.photos, "failed": poses.failed}
        oracle = any(row.oracle for row in poses.rows)
        return {**facts, "unit": poses.unit, "oracle": oracle, "notes": list(poses.notes)}
    from resect.data import read_photo
    from resect.data.mesh.read import SUFFIXES

    if path.suffix.lower() in SUFFIXES:
        return _mesh(path)
    photo = read_photo(path)
    height, width = photo.image.shape[:2]
    return {"what": "photo", "size": f"{width}x{height}", "camera": str(photo.camera), "source": photo.camera_source}


def _mesh(path: Path) -> dict[str, Any]:
    from resect.data.mesh import read_mesh
    from resect.geometry.mesh import diameter

    mesh = read_mesh(path)
    facts = {"what": "mesh", "vertices": len(mesh.vertices), "faces": len(mesh.faces)}
    return {**facts, "diameter": diameter(mesh.vertices), "notes": list(mesh.notes), "more": f"resect mesh info {path}"}


def _artifact(path: Path) -> dict[str, Any]:
    from resect.artifact import read_facts

    facts = read_facts(path)
    weights = path / "weights.safetensors"
    size = round(weights.stat().st_size / 1e6, 1) if weights.is_file() else None
    inside = sorted(p.parent.name for p in path.glob("priors/*/artifact.json"))
    shown = {k: facts[k] for k in ("version", "settings", "parents")}
    places = sorted(p.parent.name for p in path.glob("places/*/artifact.json"))
    known = {"places": [f"{path}:{name}" for name in places]} if places else {}
    return {
        "what": f"artefact '{facts['kind']}'",
        "megabytes": size,
        "priors": inside,
        **known,
        **_place(path),
        **shown,
    }


def _place(path: Path) -> dict[str, Any]:
    """What is known of the photos that it was learned from."""
    if not (path / "place.json").is_file():
        return {}
    from resect.place import read_place

    place = read_place(path)
    facts = {"trained_on": len(place.names), "camera": str(place.camera), "scene_scale": place.scene_scale}
    return {**facts, "meters_per_unit": place.meters_per_unit, "exact": _exactness(path, place.meters_per_unit)}


def _exactness(path: Path, meters_per_unit: float | None) -> str:
    """How far off answers typically are, as measured when the place was learned."""
    from resect.artifact import read_json, settings_from_json
    from resect.evaluation.wording import angle, length
    from resect.refine.judge import ErrorModel
    from resect.zoo import role_of

    file = path / "errors.json"
    if not file.is_file() and role_of(path) == "prior":
        return "each answer says, by its covariance"
    if not file.is_file():
        return "not measured: too few photos to leave some out, or a NeRF, which is measured by --nerf.measured"
    errors = settings_from_json(ErrorModel, read_json(file), file)
    if errors.photos < 3:
        return f"not measured: only {errors.photos} of the photos left out were solved"
    turn, shift = (errors_ * _MEDIAN_OF_THREE for errors_ in (errors.turn_rad, errors.shift))
    typical = f"{angle(math.degrees(turn))} and {length(shift, meters_per_unit)}"
    return f"half the answers are within {typical}, as measured on {errors.photos} training photos that were left out"


def _dataset(path: Path) -> dict[str, Any]:
    from resect.data import read

    photos = read(path)
    camera = photos.cameras[0]
    facts = {"what": f"dataset '{photos.format}'", "photos": len(photos), "camera": str(camera)}
    return {**facts, "notes": list(photos.notes), "meters_per_unit": photos.world.meters_per_unit}
