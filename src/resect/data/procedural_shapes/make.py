"""Writes a folder of procedural shapes; the same command goes on where it stopped."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from resect.artifact import as_json, read_json, write_json
from resect.data.procedural_shapes.families import FAMILIES, SPLITS, VERSION, draw
from resect.data.procedural_shapes.settings import ProceduralSettings
from resect.data.procedural_shapes.views import draw_view, render
from resect.data.shapes import CUBE_SIDE, VIEWS_FOLDER, stored, write_points, write_surface, write_views
from resect.data.workers import each
from resect.errors import ResectError, unknown_name
from resect.geometry.se3 import SE3

_NEAR = 0.03  # standard deviation of the points near the surface


def make_shapes(
    category: str,
    settings: ProceduralSettings,
    out: Path,
    progress: Callable[[int, int, str], None] | None = None,
    *,
    workers: int = 1,
) -> None:
    """Writes `out/category`, in the layout of `data/shapes`; shapes that are there are not made again.

    Args:
        category: chair, table or car.
        settings: how many, and what is kept.
        out: folder to make.
        progress: called with (done, total, name).
        workers: processes; 0 takes all cores.

    Raises:
        ResectError: an unknown category, or `out` holds shapes of other settings.
    """
    if category not in FAMILIES:
        raise unknown_name("category of shapes", category, FAMILIES)
    folder = out / category
    facts = {"resect_shapes": VERSION, "category": category, "settings": as_json(settings)}
    record = folder / "made.json"
    if folder.exists() and (not record.is_file() or read_json(record) != facts):
        raise ResectError(folder, "no folder, or shapes of these settings", "something else", "Choose another --out.")
    write_json(record, facts)
    counts = {split: getattr(settings, split) for split in SPLITS}
    jobs = [(split, i) for split, count in counts.items() for i in range(count)]
    for done, name in enumerate(each(partial(_write_shape, folder, category, settings), jobs, workers), 1):
        if progress is not None:
            progress(done, len(jobs), name)
    for split, count in counts.items():
        (folder / f"{split}.lst").write_text("".join(f"{_name(split, i)}\n" for i in range(count)))


def _name(split: str, index: int) -> str:
    return f"{split}_{index:06d}"


def _write_shape(shapes: Path, category: str, settings: ProceduralSettings, job: tuple[str, int]) -> str:
    """Makes a shape, unless it is there, and tells its name."""
    (split, index), name = job, _name(*job)
    folder = shapes / name
    if (folder / "pointcloud.npz").is_file():  # the last of a shape's files
        return name
    solid = draw(category, split, index, settings.seed)
    # Views and points have streams of their own, so that more of the one do not change the other.
    stream = [VERSION, settings.seed, list(FAMILIES).index(category), SPLITS.index(split), index]
    for_views, for_points = np.random.default_rng([*stream, 1]), np.random.default_rng([*stream, 2])
    views = [draw_view(for_views, settings.side) for _ in range(settings.views)]
    images = [render(solid, view) for view in views]
    poses = SE3.stack([view.cam_from_obj for view in views])
    write_views(folder / VIEWS_FOLDER, images, [view.camera for view in views], poses)
    count = settings.train_points if split == "train" else settings.points
    uniform = torch.from_numpy(for_points.uniform(-CUBE_SIDE / 2, CUBE_SIDE / 2, (count, 3)))
    generator = torch.Generator().manual_seed(int(for_points.integers(2**62)))
    surface, normals = solid.surface(max(settings.surface, settings.train_points), generator)
    near = surface + torch.from_numpy(for_points.normal(0, _NEAR, surface.shape))
    for name, points in (("points", uniform), ("points_near", near[: settings.train_points])):
        points = stored(points)
        write_points(folder / f"{name}.npz", points, solid.contains(points))
    write_surface(folder / "pointcloud.npz", surface[: settings.surface], normals[: settings.surface])
    return name
