"""`resect estimate PHOTO… --scene DIR`: poses of new photos, on screen, with overlays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, result, say, start
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.localizer import Localizer
    from resect.types import Estimate, Hypotheses, Photo


@dataclass(frozen=True)
class EstimateArguments:
    """Which photos, in which scene, from which guess."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """New photos, or folders of photos."""
    scene: Path
    """Folder that 'resect fit' made."""
    prior: tuple[str, ...] = ("landmarks", "retrieval")
    """Guesses in the order to try them: landmarks, retrieval, view-sphere, or a folder of a fitted prior."""
    start: Path | None = None
    """Pose to start from (JSON with cam_from_world, or a pose file), in place of a prior."""
    sigma: tuple[float, float] = (10.0, 0.1)
    """Spread of the start: degrees, and a fraction of the scene's scale."""
    camera: Path | None = None
    """Intrinsics of the photos: transforms.json, COLMAP cameras.txt, or JSON with fx fy cx cy width height."""
    fov_deg: float | None = None
    """Horizontal field of view, in place of --camera."""
    count: int = 64
    """Hypotheses to start from."""
    out: Path | None = None
    """Folder for overlays and poses.csv."""
    overwrite: bool = False
    """Write over what is in --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Estimates each photo; a photo that fails does not stop the others."""
    flags = parse(EstimateArguments, arguments, prog="resect estimate", description="Poses of new photos.")
    start(flags.common)
    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)
    from resect.place import open_place, read_place

    where = open_place(flags.scene, prior=() if flags.start else flags.prior, count=flags.count, seed=flags.common.seed)
    given = _start(flags) if flags.start else None
    answers = [_one(where, path, flags, given) for path in _files(flags.photos)]
    if flags.out is not None:
        from resect.cli.reporting import report_answers

        metric = read_place(flags.scene).meters_per_unit == 1.0
        say(f"report: {report_answers(where, answers, metric, flags.out)}")
    rows = [_facts(photo, estimate) for photo, estimate in answers]
    failed = sum(not e.ok for _, e in answers)
    result(flags.common, {"photos": rows, "failed": failed}, "\n".join(_line(row) for row in rows))
    return SOME_FAILED if failed else DONE


def _files(paths: Sequence[Path]) -> list[Path]:
    from resect.data.image import SUFFIXES

    files = [f for p in paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    named = set(paths)
    files = [f for f in files if f in named or f.suffix.lower() in SUFFIXES]
    if not files:
        raise ResectError(", ".join(map(str, paths)), "at least one photo", "none")
    return files


def _one(
    where: "Localizer", path: Path, flags: EstimateArguments, given: "Hypotheses | None"
) -> "tuple[Photo, Estimate]":
    from resect.data import read_photo

    photo = read_photo(path, camera_file=flags.camera, fov_deg=flags.fov_deg, scene_camera=where.camera)
    estimate = where.estimate(photo, given)
    say(f"{path}: {estimate.status.name} in {estimate.cost.seconds:.2f} s")
    return photo, estimate


def _start(flags: EstimateArguments) -> "Hypotheses":
    from resect.place import read_place
    from resect.priors.given import Given

    scale = read_place(flags.scene).scene_scale
    assert flags.start is not None
    return Given.from_file(flags.start, sigma_deg=flags.sigma[0], sigma_units=flags.sigma[1] * scale).hypotheses


def _facts(photo: "Photo", estimate: "Estimate") -> dict[str, Any]:
    from resect.geometry.so3 import to_quaternion

    facts: dict[str, Any] = {"photo": photo.name, "status": estimate.status.name}
    facts |= {"camera_source": estimate.camera_source, "seconds": round(estimate.cost.seconds, 3)}
    found = estimate.cam_from_world
    if found is None or estimate.modes is None:
        return {**facts, "sentence": estimate.status.sentence, "advice": estimate.status.advice}
    facts["cam_from_world_wxyz"] = to_quaternion(found.R).tolist()
    facts["cam_from_world_t"] = found.t.tolist()
    facts["camera_center"] = found.center.tolist()
    facts["modes"] = len(estimate.modes)
    covariance = estimate.covariance
    if covariance is not None:
        sigma = covariance.diagonal().clamp_min(0).sqrt()
        facts["sigma_units"] = float(sigma[:3].norm())
        facts["sigma_deg"] = float(sigma[3:].norm().rad2deg())
    return facts


def _line(row: dict[str, Any]) -> str:
    if "camera_center" not in row:
        return f"{row['photo']}: {row['status']}. {row['sentence']} {row['advice']}"
    center = " ".join(f"{x:.4f}" for x in row["camera_center"])
    quaternion = " ".join(f"{x:.5f}" for x in row["cam_from_world_wxyz"])
    spread = f"  ± {row['sigma_units']:.4f} units, {row['sigma_deg']:.3f}°" if "sigma_deg" in row else ""
    return f"{row['photo']}: {row['status']}  centre {center}  cam_from_world wxyz {quaternion}{spread}"
