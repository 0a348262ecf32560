"""From unposed photos, or a video, to posed ones: COLMAP's features, matching and incremental mapping; a report."""

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from resect.artifact import write_json
from resect.data.capture import frames_of_video, is_video, upright_copies
from resect.data.colmap import read_colmap
from resect.data.colmap_run import ColmapRun, Progress, reconstruct
from resect.data.frame import look_at_point
from resect.data.structure_from_motion_settings import (
    StructureFromMotionSettings as StructureFromMotionSettings,
)
from resect.data.transforms import write_transforms
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.so3 import nearest_rotation
from resect.metrics.pose import scene_scale
from resect.types import PhotoSet

if TYPE_CHECKING:
    import pycolmap

_SEQUENTIAL_FROM = 200
_WORK = ".structure-from-motion"
_REPORT = "structure_from_motion.json"
_MADE = ("images", "sparse", "transforms.json", _REPORT)
_SHARED = ("one_camera", "lens", "max_side", "max_features", "threads", "seed")


@dataclass(frozen=True)
class StructureFromMotionReport:
    """What became of the photos.

    Attributes:
        registered: names of the photos that have a pose now.
        left_out: names of those that do not.
        points: triangulated.
        reprojection_px: mean error of the points in the photos, pixels of the photo.
        cameras: intrinsics found.
        models: photos in each connected group; only the largest is kept.
        seconds: by stage.
        notes: what else to know.
    """

    registered: tuple[str, ...]
    left_out: tuple[str, ...]
    points: int
    reprojection_px: float
    cameras: tuple[Camera, ...]
    models: tuple[int, ...]
    seconds: dict[str, float]
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The report in a line."""
        count = len(self.registered) + len(self.left_out)
        said = f"{len(self.registered)} of {count} photos posed, {self.points} points, {self.reprojection_px:.2f} px"
        return said + (f"; left out: {', '.join(self.left_out[:5])}" if self.left_out else "")

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return asdict(self)


def pose_photos(
    source: Path,
    out: Path,
    settings: StructureFromMotionSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
) -> tuple[PhotoSet, StructureFromMotionReport]:
    """Poses photos of a folder or frames of a video.

    Makes `out/images` (upright copies), `out/transforms.json`, `out/sparse/0` (COLMAP, with points) and
    `out/structure_from_motion.json`. The world is put right side up (z up, by the cameras' mean up direction), its
    origin at the point nearest the optical axes and its unit such that the scene's scale is 1; metres are unknown.

    Args:
        source: a folder of photos, or a video file.
        out: the folder to make.
        settings: see `StructureFromMotionSettings`.
        overwrite: replace what an earlier run made in `out`.
        progress: called with a stage and the share of it that is done.

    Raises:
        ResectError: no photos, too little overlap between them, or `out` is there already.
    """
    settings = settings or StructureFromMotionSettings()
    _check_out(out, overwrite)
    work = out / _WORK
    images = work / "images"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        names, video, notes = _material(source, images, settings, progress)
        in_order = settings.matching == "sequential" or (
            settings.matching == "auto" and (video or len(names) >= _SEQUENTIAL_FROM)
        )
        seconds: dict[str, float] = {}
        shared = {key: getattr(settings, key) for key in _SHARED}
        run = ColmapRun(images, work, names, in_order, progress=progress, seconds=seconds, **shared)
        best, sizes = _largest(reconstruct(run), source, settings)
        _upright(best)
        best.write(work)
        _put(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    photos = read_colmap(out)
    write_transforms(photos, out / "transforms.json")
    report = _report(photos, best, names, sizes, seconds, notes)
    write_json(out / _REPORT, {**report.as_json(), "settings": asdict(settings)})
    progress("done", 1.0)
    return replace(photos, notes=(*photos.notes, report.sentence)), report


def _report(
    photos: PhotoSet,
    model: "pycolmap.Reconstruction",
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    seconds: dict[str, float],
    notes: tuple[str, ...],
) -> StructureFromMotionReport:
    posed = {Path(n).name for n in photos.names}
    return StructureFromMotionReport(
        registered=photos.names,
        left_out=tuple(f"images/{n}" for n in names if n not in posed),
        points=model.num_points3D(),
        reprojection_px=float(model.compute_mean_reprojection_error()),
        cameras=tuple(dict.fromkeys(photos.cameras)),
        models=sizes,
        seconds=seconds,
        notes=notes,
    )


def _check_out(out: Path, overwrite: bool) -> None:
    """Only a folder that an earlier run made is ever replaced; photos or models of someone else's never are."""
    there = [name for name in _MADE if (out / name).exists()]
    if not there:
        return
    if _REPORT not in there:
        raise ResectError(out, f"a folder without {' or '.join(_MADE[:3])}", there[0], "Give another --out.")
    if not overwrite:
        raise ResectError(out, "a new folder", "one that was made before", "Give another --out, or --overwrite.")


def _put(work: Path, out: Path) -> None:
    """Moves photos and model to their places, once they are complete."""
    for name in _MADE:
        if name != _REPORT and (out / name).exists():
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink()
    (out / "sparse" / "0").mkdir(parents=True)
    for file in sorted(work.glob("*.bin")):
        file.rename(out / "sparse" / "0" / file.name)
    (work / "images").rename(out / "images")


def _material(
    source: Path, images: Path, settings: StructureFromMotionSettings, progress: Progress
) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """Fills the folder with upright photos: their names, whether they are a video's, what to say."""
    progress("photos", 0.0)
    video = is_video(source)
    notes = frames_of_video(source, images, settings.max_frames, progress) if video else upright_copies(source, images)
    names = tuple(sorted(p.name for p in images.iterdir()))
    if len(names) < 2:
        raise ResectError(source, "at least two photos", str(len(names)))
    return names, video, tuple(notes)


def _largest(
    models: "list[pycolmap.Reconstruction]", source: Path, settings: StructureFromMotionSettings
) -> "tuple[pycolmap.Reconstruction, tuple[int, ...]]":
    """The group with the most photos, and the sizes of all groups."""
    sizes = tuple(sorted((m.num_reg_images() for m in models), reverse=True))
    if not sizes or sizes[0] < settings.least_registered:
        fix = "Take photos that overlap by two thirds, from different places, of something with texture; avoid blur."
        raise ResectError(source, "photos that overlap", f"at most {sizes[0] if sizes else 0} could be joined", fix)
    return max(models, key=lambda m: m.num_reg_images()), sizes


def _upright(model: "pycolmap.Reconstruction") -> None:
    """Moves a model into a world with z up, origin at what the cameras look at, and scale 1."""
    import pycolmap

    images = [i for i in model.images.values() if i.has_pose]
    rows = torch.stack([torch.from_numpy(i.cam_from_world().matrix().copy()) for i in images])
    poses = SE3.from_matrix(rows.double())
    look = look_at_point(poses)
    up = look.up
    guide = torch.eye(3, dtype=torch.float64)[int(up.abs().argmin())]
    x = torch.linalg.cross(guide, up)
    world_from_model = nearest_rotation(torch.stack([x / x.norm(), torch.linalg.cross(up, x / x.norm()), up]))
    scale = 1 / max(scene_scale(poses), 1e-12)
    shift = -scale * (world_from_model @ look.point)
    rotation = pycolmap.Rotation3d(world_from_model.numpy())
    model.transform(pycolmap.Sim3d(scale, rotation, shift.numpy()))
