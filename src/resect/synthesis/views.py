"""Crops of rendered models with a viewpoint each, drawn from a seed: what a viewpoint network learns from.

A crop is made so:

1. Viewpoint: where views are given, one of them plus a normal kernel of `spread_deg` an angle; else azimuth uniform
   over the circle, elevation uniform in `elevation_deg`, tilt N(0, `tilt_deg`). Elevation is kept within ±90°. Distance
   uniform in `distance` longest sides of the model. The camera looks at the middle of the model's box; its focal length
   is 1.094 image sides (that of the released renders of ShapeNet).
2. Colour and light: as in steps 2 and 3 of `synthesis/clutter`.
3. Background: with probability `cluttered` as in step 4 there (a cut of a given picture, else a random texture); else
   one colour, uniform in RGB.
4. Composed at twice the size and developed as in step 6 there, with its default blur and noise.
5. Crop: the box of the silhouette. With probability `truncated` each side moves inwards by U(0, `cut`) with probability
   ½; all other sides move outwards by U(0, `margin`), parts of the box's width or height, but not beyond the image.
   The crop is stretched to a square (aspect not kept).

Crop number i has a stream of its own, seeded with (seed, 1, i), and shows model i mod M. All numbers above are this
module's specification; another one gets another name. After Su et al., "Render for CNN", ICCV 2015, section 4, whose
view and truncation statistics were taken from annotated photos: `like` stands for the former.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import as_json, read_json, write_atomic, write_json
from resect.data.image import png_bytes
from resect.data.mask import Box, box_of
from resect.data.view_list import VIEWS_FILE, write_views
from resect.data.workers import each
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.upright import viewpoint_rotation
from resect.priors.viewpoint.network import crop
from resect.protocols import Scene
from resect.synthesis.backdrop import draw_background
from resect.synthesis.clutter import ClutterSettings, developed
from resect.synthesis.light import draw_light, lit
from resect.synthesis.view_settings import ViewSettings
from resect.types import Photo, Target

FOCAL = 149.84 / 137  # in image sides
_VERSION = 1
_AROUND = 1.25  # the image is so much larger than the crop is to be


def make_views(
    models: Sequence[str],
    load: Callable[[int], Scene],
    settings: ViewSettings,
    out: Path,
    *,
    like: Float[Tensor, "n 3"] | None = None,
    backgrounds: Sequence[Float[Tensor, "h w 3"]] = (),
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Writes a folder that `read_views` reads; images that are there are not made again.

    Args:
        models: "category/model" of each.
        load: the scene of model number i: y up, front +x, the middle of its box at the origin.
        settings: how many, and how.
        out: folder to make.
        like: viewpoints to draw like (radians, azimuth counter-clockwise).
        backgrounds: pictures.
        workers: processes; 0 takes all cores. With several, `load` is a function of a module or a `partial` of one.
        progress: called with (done, total, name of a model).

    Raises:
        ResectError: no models, or `out` holds crops of other settings.
    """
    if not models:
        raise ResectError("views", "at least one model", "none")
    seen_like = None if like is None else [[round(x, 6) for x in row] for row in like.tolist()]
    facts = {"resect_views": _VERSION, "settings": as_json(settings), "models": list(models), "like": seen_like}
    facts["backgrounds"] = len(backgrounds)
    record = out / "made.json"
    if out.exists() and any(out.iterdir()) and (not record.is_file() or read_json(record) != facts):
        raise ResectError(out, "no folder, or crops made so", "something else", "Choose another --out.")
    write_json(record, facts)
    work, done = partial(_write_model, len(models), load, settings, out, like, backgrounds), 0
    of_models = range(min(len(models), settings.images))
    for which, count in zip(of_models, each(work, of_models, workers), strict=True):
        done += count
        if progress is not None:
            progress(done, settings.images, models[which])
    rows = range(settings.images)
    angles, distances = zip(*(draw_viewpoint(settings, _stream(settings, i), like) for i in rows), strict=True)
    of, names = [models[i % len(models)] for i in rows], [_file_name(i) for i in rows]
    write_views(out / VIEWS_FILE, of, names, torch.stack(angles), torch.tensor(distances)[:, None])


def _write_model(
    models: int,
    load: Callable[[int], Scene],
    settings: ViewSettings,
    out: Path,
    like: Float[Tensor, "n 3"] | None,
    backgrounds: Sequence[Float[Tensor, "h w 3"]],
    which: int,
) -> int:
    """The crops of a model that are not there, and how many it has."""
    rows = range(which, settings.images, models)
    missing = [i for i in rows if not (out / _file_name(i)).is_file()]
    scene = load(which) if missing else None
    for i in missing:
        g = _stream(settings, i)
        viewpoint, distance = draw_viewpoint(settings, g, like)
        assert scene is not None
        photo = draw_view(scene, viewpoint, distance, settings, g, backgrounds)
        picture = (crop(photo, settings.side) * 255).round().byte().permute(1, 2, 0).contiguous()
        write_atomic(out / _file_name(i), png_bytes(picture))
    return len(rows)


def _stream(settings: ViewSettings, i: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, _VERSION, i])


def _file_name(i: int) -> str:
    return f"{i // 1000:03d}/{i:06d}.png"


def draw_viewpoint(
    settings: ViewSettings, g: np.random.Generator, like: Float[Tensor, "n 3"] | None = None
) -> tuple[Float[Tensor, "3"], float]:
    """Azimuth, elevation, tilt in radians and the distance in longest sides: step 1."""
    u, normal = g.random(4), g.normal(size=3)
    if like is None:
        low, high = settings.elevation_deg
        degrees = np.array([360 * u[0], low + (high - low) * u[1], settings.tilt_deg * normal[2]])
    else:
        chosen = like[min(int(u[0] * len(like)), len(like) - 1)].rad2deg().double().numpy()
        degrees = chosen + np.array(settings.spread_deg) * normal
    degrees[1] = np.clip(degrees[1], -90, 90)
    near, far = settings.distance
    return torch.from_numpy(degrees).deg2rad(), float(near + (far - near) * u[3])


def draw_view(
    scene: Scene,
    viewpoint: Float[Tensor, "3"],
    distance: float,
    settings: ViewSettings,
    g: np.random.Generator,
    backgrounds: Sequence[Float[Tensor, "h w 3"]] = (),
) -> Photo:
    """A photo whose target's box is the crop: steps 2 to 5.

    Args:
        scene: of one model, the middle of its box at the origin, with channels "rgb", "depth", "normal" and "alpha".
        viewpoint: azimuth, elevation, tilt in radians.
        distance: of the camera, in longest sides of the model.
    """
    generator = torch.Generator().manual_seed(int(g.integers(2**62)))
    side = round(_AROUND * settings.side)
    camera = Camera(FOCAL * side, FOCAL * side, side / 2, side / 2, side, side)
    longest = float((scene.bounds[1] - scene.bounds[0]).max())
    away = torch.tensor([[0.0, 0.0, distance * longest]])
    pose = SE3(viewpoint_rotation(viewpoint[None]).float(), away)
    double = camera.rescale(2 * side, 2 * side)
    shown = scene.render(double, pose, ("rgb", "depth", "normal", "alpha"))
    rgb, _, mask = lit(shown, pose, double, draw_light(generator), generator)
    behind = _background(2 * side, settings, backgrounds, generator, g)
    mask = mask.view(2 * side, 2 * side)
    image = torch.where(mask[..., None], rgb.view(*mask.shape, 3), behind)
    image = developed(image, ClutterSettings(), generator)
    left, top, right, bottom = box_of(mask) if bool(mask.any()) else (0.0, 0.0, 2.0 * side, 2.0 * side)
    box = draw_box((left / 2, top / 2, right / 2, bottom / 2), side, settings, g)
    return replace(Photo("view", image, camera), target=Target("view", box=box))


def draw_box(box: Box, side: int, settings: ViewSettings, g: np.random.Generator) -> Box:
    """The crop about a silhouette's box: step 5."""
    left, top, right, bottom = box
    is_cut = (g.random() < settings.truncated) & (g.random(4) < 0.5)
    moved = np.where(is_cut, -settings.cut, settings.margin) * g.random(4)
    width, height = right - left, bottom - top
    left, top = left - moved[0] * width, top - moved[1] * height
    right, bottom = right + moved[2] * width, bottom + moved[3] * height
    return float(max(0.0, left)), float(max(0.0, top)), float(min(side, right)), float(min(side, bottom))


def _background(
    side: int, settings: ViewSettings, pictures: Sequence[Tensor], generator: torch.Generator, g: np.random.Generator
) -> Tensor:
    if g.random() < settings.cluttered:
        return draw_background((side, side), pictures, generator)
    return torch.from_numpy(g.random(3)).float().expand(side, side, 3)
