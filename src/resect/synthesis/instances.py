"""Views of the instances of a category, in the layout that `data.instances` reads.

docs/decisions/category-views.md specifies what is drawn; all numbers here are that specification's, version 1.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import as_json, read_json, write_json
from resect.data.image import png_bytes
from resect.data.instances import write_instance
from resect.data.procedural_shapes.families import draw
from resect.data.procedural_shapes.solid import Solid, join
from resect.data.procedural_shapes.views import FOCAL, View, render
from resect.data.workers import each
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.mesh.shade import Light
from resect.synthesis.instance_settings import InstanceSettings

Picture = Callable[[Camera, SE3], Float[Tensor, "v h w 3"]]
"""From a camera and V poses to pictures of an instance on white."""

_VERSION = 1
_FOLDERS = {"train": 10, "val": 11, "unseen": 12}  # each with its number in the seeds
_LIGHT = (0.6, 0.7, 0.4)
_DARK, _MIDDLE, _PALE = 0.35, 0.45, 0.5
_IN_FRONT = 0.02  # of the middle of a part
_THICKER, _REACH, _ROUND = 0.004, (0.98, 0.98), (0.66, 0.7)


def make_instances(
    names: Sequence[str],
    load: Callable[[int], Picture],
    unseen: frozenset[int],
    settings: InstanceSettings,
    out: Path,
    *,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Writes `out/train`, `out/val` and `out/unseen`; instances that are there are not made again.

    Args:
        names: of all instances, a folder name each.
        load: what pictures instance number i: y up, front +x, its box about the origin, the longest side 1.
        unseen: numbers of those that are kept apart.
        settings: how many views, and how.
        out: folder to make.
        seed: of the views.
        workers: processes; 0 takes all cores. With several, `load` is a function of a module or a `partial` of one.
        progress: called with (done, total, name).

    Raises:
        ResectError: nothing to learn, or `out` holds views made otherwise.
    """
    if len(unseen) >= len(names):
        fix = "Ask for fewer --instances.unseen."
        raise ResectError("instances", f"more than {len(unseen)}, which are kept apart", f"{len(names)}", fix)
    facts = {"resect_instances": _VERSION, "seed": seed, "settings": as_json(settings), "instances": list(names)}
    record = out / "made.json"
    if out.exists() and any(out.iterdir()) and (not record.is_file() or read_json(record) != facts):
        raise ResectError(out, "no folder, or instances made so", "something else", "Choose another --out.")
    write_json(record, facts)
    work = partial(_write_instance, names, load, unseen, settings, out, seed)
    for done, name in enumerate(each(work, range(len(names)), workers), 1):
        if progress is not None:
            progress(done, len(names), name)


def _write_instance(
    names: Sequence[str],
    load: Callable[[int], Picture],
    unseen: frozenset[int],
    settings: InstanceSettings,
    out: Path,
    seed: int,
    i: int,
) -> str:
    """The views of an instance that are not there, and its name."""
    counts = {"train": settings.views, "val": settings.other_views}
    for folder, count in ({"unseen": settings.unseen_views} if i in unseen else counts).items():
        if count and not (out / folder / names[i]).exists():
            g = np.random.default_rng([_VERSION, seed, _FOLDERS[folder], i])
            _write(out / folder / names[i], load(i), draw_poses(settings, count, g), settings.side)
    return names[i]


def draw_poses(settings: InstanceSettings, count: int, g: np.random.Generator) -> SE3:
    """Upright cameras around the origin that look at it, float64."""
    low, high = (math.sin(math.radians(x)) for x in settings.elevation_deg)
    azimuth = torch.from_numpy(g.uniform(0, 2 * math.pi, count))
    return _around(azimuth, torch.from_numpy(g.uniform(low, high, count)).asin(), settings.distance)


def _around(azimuth: Float[Tensor, "n"], elevation: Float[Tensor, "n"], distance: float) -> SE3:
    flat = elevation.cos()
    toward = torch.stack([flat * azimuth.cos(), elevation.sin(), flat * azimuth.sin()], -1)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    return look_at(distance * toward, torch.zeros_like(toward), up)


def _write(folder: Path, picture: Picture, poses: SE3, side: int) -> None:
    """An instance's folder, which is there as a whole or not at all."""
    camera = Camera(FOCAL * side, FOCAL * side, side / 2, side / 2, side, side)
    images = [png_bytes((255 * x).round().byte()) for x in picture(camera, poses)]
    making = folder.with_name(f".{folder.name}")
    shutil.rmtree(making, ignore_errors=True)
    write_instance(making, images, camera, poses)
    making.rename(folder)


def picture_of_solid(solid: Solid) -> Picture:
    """Rays traced in closed form."""
    light = torch.nn.functional.normalize(torch.tensor(_LIGHT), dim=0)
    return lambda camera, poses: torch.stack(
        [render(solid, View(camera, poses[k], light))[..., :3] for k in range(len(poses))]
    )


def picture_of_mesh(mesh: Mesh) -> Picture:
    """Of a mesh that is canonical (`data.prepare_shapes`)."""
    scene = MeshScene(mesh.to(torch.float32), background=(1.0, 1.0, 1.0), light=Light(direction=_LIGHT))

    def picture(camera: Camera, poses: SE3) -> Float[Tensor, "v h w 3"]:
        shown = [scene.render(camera, poses[k : k + 1].float()).rgb for k in range(len(poses))]
        rows = torch.stack([rgb[0] for rgb in shown if rgb is not None])
        return rows.unflatten(1, (camera.height, camera.width)).clamp(0, 1)

    return picture


def instance(category: str, split: str, index: int, seed: int = 0) -> Solid:
    """A procedural shape of which one can see which way it faces."""
    solid = draw(category, split, index, seed)
    if category == "table":
        return _with_inlay(solid)
    if category == "car":
        return _with_bonnet(solid)
    return solid


def _with_inlay(table: Solid) -> Solid:
    """A board over the front half of the top, which is the part that covers most ground; front legs in its colour."""
    flat = table.half[:, 0] * table.half[:, 2] * (table.obj_from_part[:, 1, 1] > 0.99)
    top = int(flat.argmax())
    along, across = _ROUND if bool(table.round[top]) else _REACH
    x, y, z = table.half[top].tolist()
    half = torch.tensor([[along * x / 2, y + _THICKER / 2, across * z]], dtype=table.half.dtype)
    center = table.center[top] + torch.tensor([along * x / 2, 0, 0], dtype=table.half.dtype)
    turn = torch.eye(3, dtype=table.half.dtype)[None]
    paint = _contrast(table.color[top])
    inlay = Solid(center[None], turn, half, torch.tensor([False]), paint[None])
    in_front = table.center[:, :1] > _IN_FRONT
    return join([replace(table, color=torch.where(in_front, paint, table.color)), inlay])


def _with_bonnet(car: Solid) -> Solid:
    """The box that reaches furthest to the front in a colour of its own."""
    reach = torch.where(car.round, -math.inf, car.center[:, 0] + car.half[:, 0])
    bonnet = int(reach.argmax())
    color = car.color.clone()
    color[bonnet] = _contrast(car.color[bonnet])
    return replace(car, color=color)


def _contrast(color: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    return _DARK * color if float(color.mean()) > _MIDDLE else color + _PALE * (1 - color)


def facing_share(picture: Picture, side: int = 64, distance: float = 1.7) -> float:
    """The least share, over four azimuths, of pixels by which a view and that from the opposite side differ."""
    camera = Camera(FOCAL * side, FOCAL * side, side / 2, side / 2, side, side)
    azimuth = torch.arange(8, dtype=torch.float64) * math.pi / 4
    images = picture(camera, _around(azimuth, torch.full_like(azimuth, math.radians(30)), distance))
    differ = (images[:4] - images[4:]).abs().amax(-1) > 0.1
    return float(differ.float().mean((1, 2)).min())
