"""Writes a folder of procedural shapes; the same command goes on where it stopped."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from resect.artifact import as_json, read_json, write_json
from resect.data.procedural_shapes.families import FAMILIES, SPLITS, VERSION, draw
from resect.data.procedural_shapes.settings import ProceduralSettings
from resect.data.procedural_shapes.views import draw_view, render
from resect.data.shapes import CUBE_SIDE, VIEWS_FOLDER, stored, write_points, write_surface, write_views
from resect.errors import ResectError, unknown_name
from resect.geometry.se3 import SE3

_NEAR = 0.03  # standard deviation of the points near the surface


def make_shapes(
    category: str,
    settings: ProceduralSettings,
    out: Path,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Writes `out/category`, in the layout of `data/shapes`; shapes that are there are not made again.

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
    done, total = 0, sum(counts.values())
    for split, count in counts.items():
        names = [f"{split}_{i:06d}" for i in range(count)]
        for i, name in enumerate(names):
            if not (folder / name / "pointcloud.npz").is_file():  # the last of a shape's files
                _write_shape(folder / name, category, split, i, settings)
            done += 1
            if progress is not None:
                progress(done, total, name)
        (folder / f"{split}.lst").write_text("".join(f"{name}\n" for name in names))


def _write_shape(folder: Path, category: str, split: str, index: int, settings: ProceduralSettings) -> None:
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
