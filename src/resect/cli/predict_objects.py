"""`resect predict BOP_FOLDER --scene MODELS --out METHOD_DATASET-SPLIT.csv`: poses of known objects, as BOP results."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.cli.predict import PredictArguments
    from resect.data.bop import BopResult
    from resect.evaluation.pose_file import PoseList
    from resect.known_objects import KnownObjects
    from resect.types import Estimate, Hypotheses, Photo, PhotoSet


def run_objects(flags: "PredictArguments") -> int:
    """Predicts every object that there is a mesh of; resumable through the Pose file beside the results."""
    from resect.data.bop.results import check_name
    from resect.data.model_files import model_files
    from resect.known_objects import VIEWS, KnownObjects

    if flags.lock:
        raise ResectError("--lock", "the folder of a place as --scene", "meshes")
    check_name(flags.out)
    poses = poses_beside(flags.out)
    objects = KnownObjects(model_files(flags.scene), None, flags.count or VIEWS, flags.common.seed, flags.prior)
    photos = _photos(flags.data, objects)
    starts = None if flags.start is None else _starts(flags.start, objects, flags.sigma)
    start(flags.common)
    settings = {"from": flags.pointed} if flags.start is None else _start_settings(flags)
    if flags.out.exists() and not flags.overwrite and not poses.exists():
        raise ResectError(flags.out, "a new file", "one that exists", "Add --overwrite, or choose another --out.")
    found = predict_objects(
        objects, photos, flags.out, _Pointed(objects, flags.pointed, starts), settings, flags.overwrite
    )
    answered = sum(row.mode == 0 and row.cam_from_world is not None for row in found.rows)
    count = len({(row.photo, row.target) for row in found.rows})
    failed = count - answered
    say(f"{count} objects, {failed} failed; all modes: {poses}; now: resect score {flags.out} {flags.data}")
    result(flags.common, {"out": str(flags.out), "objects": count, "failed": failed}, str(flags.out))
    return SOME_FAILED if failed else DONE


def predict_objects(
    objects: "KnownObjects",
    photos: "PhotoSet",
    out: Path,
    answering: "_Pointed | None" = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> "PoseList":
    """Answers all photos, by default from their boxes, and writes `out` and, beside it, the Pose file of all modes."""
    from resect.cli.progress import bar
    from resect.data.bop import write_results
    from resect.evaluation.bop_answers import results_of
    from resect.evaluation.predict import predict
    from resect.types import Split

    with bar("objects") as advance:
        found = predict(
            answering or _Pointed(objects),
            photos,
            Split((), tuple(range(len(photos))), "given"),
            poses_beside(out),
            settings={
                "objects": _digests(objects),
                "count": objects.count,
                "seed": objects.seed,
                **_priors(objects),
                **(settings or {}),
            },
            overwrite=overwrite,
            progress=lambda done: advance(done.count, done.total, f"{done.photo} {done.status}"),
        )
    write_results(out, results_of(found.rows), overwrite=True)
    return found


def _priors(objects: "KnownObjects") -> dict[str, Any]:
    """The priors that were asked for, as answers depend on them."""
    from resect.artifact import digest

    folders = {name: Path(name) / "artifact.json" for name in objects.prior}
    asked = [[name, digest(Path(name)) if file.is_file() else ""] for name, file in folders.items()]
    return {"prior": asked} if asked else {}


def poses_beside(out: Path) -> Path:
    """The Pose file of all modes that results are made from."""
    return out.with_suffix(".poses.csv")


@dataclass(frozen=True, eq=False)
class _Pointed:
    """Answers photos from their boxes, their masks, or starts."""

    objects: "KnownObjects"
    pointed: str = "box"
    starts: "dict[tuple[int, int, str], list[Hypotheses]] | None" = None

    def estimate(self, photo: "Photo") -> "Estimate":
        from resect.data.bop.results import image_number
        from resect.types import Estimate, Status

        target = photo.target
        assert target is not None
        if self.starts is not None:
            there = self.starts.get((*image_number(photo.name), target.object_id), [])
            if target.instance >= len(there):
                return Estimate(Status.NO_HYPOTHESIS, camera_source=photo.camera_source)
            alone = replace(target, box=None, mask=None)
            return self.objects.estimate(replace(photo, target=alone), there[target.instance])
        if self.pointed == "mask" and target.mask is None:
            fix = "Take --from box."
            raise ResectError(photo.name, "a mask of each object (mask_visib)", "none", fix)
        if self.pointed == "box":
            target = replace(target, mask=None)
        return self.objects.estimate(replace(photo, target=target))


def _photos(data: Path, objects: "KnownObjects") -> "PhotoSet":
    from resect.data.objects import flatten, read_objects

    sets = read_objects(data)
    photos = flatten(sets)
    if photos.format != "bop":
        fix = "Its results go by scene and image; 'resect estimate' poses single photos."
        raise ResectError(data, "a BOP dataset", photos.format, fix)
    known = {name: s for name, s in sets.items() if name in objects.files}
    if not known:
        got = f"{', '.join(list(objects.files)[:8])}; in the photos are {', '.join(list(sets)[:8])}"
        raise ResectError("--scene", "a mesh of an object in the photos", got, "Say which is which: --scene ID=MESH.")
    if missing := [name for name in sets if name not in known]:
        say(f"no mesh of {', '.join(missing)}: left out")
    return flatten(known)


def _starts(
    path: Path, objects: "KnownObjects", sigma: tuple[float, float]
) -> "dict[tuple[int, int, str], list[Hypotheses]]":
    """(scene, image, object) → starts, the surest first."""
    from resect.cli.knowledge import Sigma
    from resect.data.bop import read_results
    from resect.geometry.mesh import diameter
    from resect.known_objects import middle_of
    from resect.priors.given import Given

    results: BopResult = read_results(path)
    Sigma(*sigma)
    lengths = {
        name: (sigma[1] * diameter(objects.mesh(name).vertices), middle_of(objects.mesh(name)))
        for name in {str(number) for number in results.object_id} & set(objects.files)
    }
    found: dict[tuple[int, int, str], list[Hypotheses]] = {}
    for k in sorted(range(len(results)), key=lambda k: -results.score[k]):
        name = str(results.object_id[k])
        if name in lengths:
            length, middle = lengths[name]
            given = Given(results.cam_from_obj[k], sigma[0], length, about=middle)
            found.setdefault((results.scene[k], results.image[k], name), []).append(given.hypotheses)
    return found


def _digests(objects: "KnownObjects") -> dict[str, str]:
    return {name: sha256(file.read_bytes()).hexdigest()[:16] for name, file in objects.files.items()}


def _start_settings(flags: "PredictArguments") -> dict[str, Any]:
    assert flags.start is not None
    return {"start": sha256(flags.start.read_bytes()).hexdigest(), "sigma": list(flags.sigma)}
