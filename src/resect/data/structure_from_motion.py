"""From unposed photos, or a video, to posed ones: COLMAP's features, matching and incremental mapping; a report."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from resect.artifact import write_json
from resect.data.capture import frames_of_video, is_video, upright_copies
from resect.data.colmap import read_colmap
from resect.data.frame import look_at_point
from resect.data.transforms import write_transforms
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.so3 import nearest_rotation
from resect.metrics.pose import scene_scale
from resect.types import PhotoSet

if TYPE_CHECKING:
    import pycolmap

Progress = Callable[[str, float], None]
T = TypeVar("T")
_SEQUENTIAL_FROM = 200
_WORK = ".structure-from-motion"


@dataclass(frozen=True)
class StructureFromMotionSettings:
    """How photos are posed.

    Attributes:
        matching: "exhaustive" compares every photo with every other; "sequential" each with the ones near it in name
            order, for video and long walks; "auto" is sequential for video and from 200 photos on.
        one_camera: whether all photos come from one camera at one zoom.
        lens: COLMAP camera model to solve for.
        max_side: features are found at most at this size, pixels.
        max_features: of each photo.
        max_frames: of a video, the sharpest of as many equal spans of time.
        least_registered: fewer posed photos than this are an error.
        threads: processor threads; 0 takes all.
        seed: of everything random.
    """

    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    one_camera: bool = True
    lens: Literal["SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "SIMPLE_PINHOLE", "PINHOLE"] = "SIMPLE_RADIAL"
    max_side: int = 1600
    max_features: int = 4096
    max_frames: int = 150
    least_registered: int = 3
    threads: int = 0
    seed: int = 0


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
        overwrite: replace what is in `out`.
        progress: called with a stage and the share of it that is done.

    Raises:
        ResectError: no photos, too little overlap between them, or `out` is there already.
    """
    settings = settings or StructureFromMotionSettings()
    if (out / "transforms.json").exists() and not overwrite:
        raise ResectError(out, "a new folder", "one with transforms.json", "Give another --out, or --overwrite.")
    started = time.perf_counter()
    images, work = out / "images", out / _WORK
    if images.resolve() == source.resolve():
        raise ResectError(out, "another folder than the photos' parent", str(out), "Give another --out.")
    shutil.rmtree(images, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        progress("photos", 0.0)
        video = is_video(source)
        notes = (
            frames_of_video(source, images, settings.max_frames, progress) if video else upright_copies(source, images)
        )
        names = sorted(p.name for p in images.iterdir())
        if len(names) < 2:
            raise ResectError(source, "at least two photos", str(len(names)))
        seconds = {"photos": time.perf_counter() - started}
        models = _reconstruct(images, work, names, video, settings, seconds, progress)
        sizes = tuple(sorted((m.num_reg_images() for m in models), reverse=True))
        if not models or sizes[0] < settings.least_registered:
            fix = (
                "Take photos that overlap by two thirds, from different places, of something with texture; avoid blur."
            )
            raise ResectError(source, "photos that overlap", f"at most {sizes[0] if sizes else 0} could be joined", fix)
        best = max(models, key=lambda m: m.num_reg_images())
        _upright(best)
        model_folder = out / "sparse" / "0"
        shutil.rmtree(model_folder, ignore_errors=True)
        model_folder.mkdir(parents=True)
        best.write(model_folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    photos = read_colmap(out)
    write_transforms(photos, out / "transforms.json")
    posed = {Path(n).name for n in photos.names}
    report = StructureFromMotionReport(
        registered=photos.names,
        left_out=tuple(f"images/{n}" for n in names if n not in posed),
        points=best.num_points3D(),
        reprojection_px=float(best.compute_mean_reprojection_error()),
        cameras=tuple(dict.fromkeys(photos.cameras)),
        models=sizes,
        seconds={k: round(v, 2) for k, v in seconds.items()},
        notes=tuple(notes),
    )
    write_json(out / "structure_from_motion.json", {**report.as_json(), "settings": asdict(settings)})
    progress("done", 1.0)
    return replace(photos, notes=(*photos.notes, report.sentence)), report


def _reconstruct(
    images: Path,
    work: Path,
    names: list[str],
    video: bool,
    settings: StructureFromMotionSettings,
    seconds: dict[str, float],
    progress: Progress,
) -> "list[pycolmap.Reconstruction]":
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.ERROR.value)
    pycolmap.set_random_seed(settings.seed)
    threads = settings.threads or -1
    database = work / "database.db"
    cancel = pycolmap.CancellationToken()

    def stage(name: str, call: Callable[[], T]) -> T:
        progress(name, 0.0)
        start = time.perf_counter()
        result = _interruptible(call, cancel)
        seconds[name] = time.perf_counter() - start
        return result

    extraction = pycolmap.FeatureExtractionOptions(
        max_image_size=settings.max_side, num_threads=threads, sift={"max_num_features": settings.max_features}
    )
    stage(
        "features",
        lambda: pycolmap.extract_features(
            database,
            images,
            camera_mode=pycolmap.CameraMode.SINGLE if settings.one_camera else pycolmap.CameraMode.AUTO,
            reader_options=pycolmap.ImageReaderOptions(camera_model=settings.lens),
            extraction_options=extraction,
            device=pycolmap.Device.cpu,
            cancellation_token=cancel,
        ),
    )
    matching = pycolmap.FeatureMatchingOptions(num_threads=threads)
    verification = pycolmap.TwoViewGeometryOptions(ransac={"random_seed": settings.seed})
    in_order = settings.matching == "sequential" or (
        settings.matching == "auto" and (video or len(names) >= _SEQUENTIAL_FROM)
    )
    matcher = pycolmap.match_sequential if in_order else pycolmap.match_exhaustive
    stage(
        "matching",
        lambda: matcher(
            database,
            matching_options=matching,
            verification_options=verification,
            device=pycolmap.Device.cpu,
            cancellation_token=cancel,
        ),
    )
    mapping = pycolmap.IncrementalPipelineOptions(num_threads=threads, random_seed=settings.seed, min_model_size=3)
    registered = [2]

    def count() -> None:
        registered[0] += 1
        progress("mapping", min(1.0, registered[0] / len(names)))

    found = stage(
        "mapping",
        lambda: pycolmap.incremental_mapping(
            database, images, work, options=mapping, next_image_callback=count, cancellation_token=cancel
        ),
    )
    return list(found.values())


def _interruptible(call: Callable[[], T], cancel: Any) -> T:
    """Runs native code in a thread, so that Ctrl-C is heard at once; then waits for the code to stop."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    worker = threading.Thread(target=body, daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(0.1)
    except KeyboardInterrupt:
        cancel.cancel()
        worker.join(30)
        raise
    if failure:
        raise failure[0]
    return outcome[0]


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
