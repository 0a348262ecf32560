"""Photos of several objects in clutter, drawn from a seed.

A photo is made so:

1. `objects` meshes, drawn with repetition only when there are fewer; rotation uniform on SO(3); distance of the middle
   uniform in `distance`; its pixel uniform in the middle `spread` of the image. A draw is repeated until the spheres of
   the objects do not touch (30 tries, then the object is left out).
2. Albedo: the mesh's own colours with a gain exp(N(0, 0.25)) common to all channels, a tint exp(N(0, 0.08)) a
   channel, and contrast and saturation about the mean colour of U(0.7, 1.2) each: no mesh is coloured as a camera sees.
3. Light: ambient U(0.35, 0.8); one to three distant lights from the camera's half space, strengths U(0.2, 0.8) divided
   by their number; Lambert on smooth normals; a highlight (Blinn–Phong, exponent U(10, 60)) of strength U(0, 0.3).
4. Background: a random cut of one of the given pictures, its size U(0.5, 1) of the largest that fits, mirrored half of
   the time; where there are none, a smooth random texture with patches.
5. Composed at twice the size and averaged; then gain exp(N(0, 0.15)), gamma U(0.8, 1.25), blur of U(0, `blur_px`)
   pixels, noise of U(0, `noise`), clipping, 8 bits.

Objects of which less than `visible` of the silhouette is seen, or that lie partly outside, are part of the clutter and
not asked for. All numbers above are this module's specification; another one gets another name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.types import Render

_TRIES = 30
_MOST_SIDE = 4096


@dataclass(frozen=True)
class ClutterSettings:
    """What to draw.

    Attributes:
        objects: least and most objects a photo.
        distance: least and most distance of an object's middle along the optical axis, world units.
        spread: part of the image, about its middle, in which the middles lie.
        visible: least visible part of what is asked for.
        blur_px: most blur.
        noise: most noise.
    """

    objects: tuple[int, int] = (4, 8)
    distance: tuple[float, float] = (600.0, 1200.0)
    spread: float = 0.7
    visible: float = 0.5
    blur_px: float = 1.2
    noise: float = 0.03


@dataclass(frozen=True, eq=False)
class Placed:
    """One object in a photo.

    Attributes:
        scene: which of the given scenes.
        cam_from_world: its pose.
        visible: part of its silhouette that is seen.
        mask: (h, w), where it is seen.
    """

    scene: int
    cam_from_world: SE3
    visible: float
    mask: Bool[Tensor, "h w"]


@dataclass(frozen=True, eq=False)
class ClutterPhoto:
    """A photo and all that is in it; `asked` says which objects are whole enough to be asked for."""

    image: Float[Tensor, "h w 3"]
    objects: tuple[Placed, ...]
    asked: tuple[bool, ...]


def draw_photo(
    scenes: Sequence[Scene],
    camera: Camera,
    settings: ClutterSettings,
    generator: torch.Generator,
    backgrounds: Sequence[Float[Tensor, "h w 3"]] = (),
) -> ClutterPhoto:
    """One photo.

    Args:
        scenes: of single objects, with the channels "rgb", "depth", "normal" and "alpha".
        camera: without distortion.
        backgrounds: pictures to lay the objects on.
    """
    if not scenes or max(camera.width, camera.height) > _MOST_SIDE:
        raise ResectError("clutter", f"objects, and a camera of at most {_MOST_SIDE} pixels", f"{len(scenes)} objects")
    double = camera.rescale(2 * camera.width, 2 * camera.height)
    shape = (double.height, double.width)
    image = draw_background(shape, backgrounds, generator)
    nearest = torch.full(shape, torch.inf)
    owner = torch.full(shape, -1)
    alone: list[Tensor] = []
    light = draw_light(generator)
    chosen, poses = _place(scenes, camera, settings, generator)
    for k, (which, pose) in enumerate(zip(chosen, poses, strict=True)):
        shown = scenes[which].render(double, pose, ("rgb", "depth", "normal", "alpha"))
        rgb, depth, mask = lit(shown, pose, double, light, generator)
        mask, depth, rgb = mask.reshape(shape), depth.reshape(shape), rgb.reshape(*shape, 3)
        front = mask & (depth < nearest)
        image = torch.where(front[..., None], rgb, image)
        nearest, owner = torch.where(front, depth, nearest), torch.where(front, k, owner)
        alone.append(mask)
    objects = tuple(_placed(chosen[k], poses[k], owner == k, alone[k]) for k in range(len(poses)))
    asked = tuple(o.visible >= settings.visible and _inside(alone[k]) for k, o in enumerate(objects))
    return ClutterPhoto(developed(image, settings, generator), objects, asked)


def _place(
    scenes: Sequence[Scene], camera: Camera, s: ClutterSettings, generator: torch.Generator
) -> tuple[list[int], list[SE3]]:
    count = int(torch.randint(s.objects[0], s.objects[1] + 1, (1,), generator=generator))
    order = torch.cat([torch.randperm(len(scenes), generator=generator) for _ in range(math.ceil(count / len(scenes)))])
    chosen: list[int] = []
    poses: list[SE3] = []
    spheres: list[tuple[Tensor, float]] = []
    size = torch.tensor([camera.width, camera.height])
    for which in order[:count].tolist():
        bounds = scenes[which].bounds
        middle, radius = bounds.mean(0), float((bounds[1] - bounds[0]).norm()) / 2
        for _ in range(_TRIES):
            u = torch.rand(3, generator=generator)
            z = s.distance[0] + float(u[2]) * (s.distance[1] - s.distance[0])
            pixel = size * (0.5 + s.spread * (u[:2] - 0.5))
            ray = camera.rays(pixel[None])[0]
            center = ray / ray[2] * z
            if all(float((center - c).norm()) > radius + r for c, r in spheres):
                quaternion = torch.randn(4, generator=generator)
                turn = so3.from_quaternion(torch.nn.functional.normalize(quaternion, dim=0)[None])
                chosen.append(which)
                poses.append(SE3(turn, center[None] - (turn @ middle.to(turn)[:, None])[..., 0]))
                spheres.append((center, radius))
                break
    return chosen, poses


@dataclass(frozen=True, eq=False)
class Light:
    """Light of one photo: from everywhere, from distant lamps (unit directions to them, camera frame), a highlight."""

    ambient: float
    directions: Float[Tensor, "l 3"]
    strengths: Float[Tensor, "l"]
    highlight: float
    exponent: float


def draw_light(generator: torch.Generator) -> Light:
    """Step 3."""
    count = int(torch.randint(1, 4, (1,), generator=generator))
    toward = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    toward[:, 2] = -toward[:, 2].abs()  # the camera looks along +z: lights stand on its side
    strengths = _uniform(generator, 0.2, 0.8, count) / count
    numbers = torch.rand(3, generator=generator).tolist()
    return Light(0.35 + 0.45 * numbers[0], toward, strengths, 0.3 * numbers[1], 10 + 50 * numbers[2])


def lit(
    shown: Render, pose: SE3, camera: Camera, light: Light, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours under the light, depth and silhouette of one object, recoloured: steps 2 and 3; black outside of it."""
    assert shown.rgb is not None
    assert shown.depth is not None
    assert shown.normal is not None
    assert shown.alpha is not None
    mask = shown.alpha[0] > 0.5
    rgb = torch.zeros_like(shown.rgb[0])
    if not bool(mask.any()):
        return rgb, shown.depth[0], mask
    albedo = _recoloured(shown.rgb[0, mask], generator)
    normal = shown.normal[0, mask] @ pose.R[0].mT.to(shown.normal)
    view = -camera.rays(camera.pixels()[mask]).to(normal)
    normal = torch.where(((normal * view).sum(-1) < 0)[:, None], -normal, normal)
    halfway = torch.nn.functional.normalize(view[:, None] + light.directions, dim=-1)
    diffuse = ((normal @ light.directions.mT).clamp_min(0) * light.strengths).sum(-1)
    shine = ((normal[:, None] * halfway).sum(-1).clamp_min(0) ** light.exponent * light.strengths).sum(-1)
    rgb[mask] = albedo * (light.ambient + diffuse)[:, None] + light.highlight * shine[:, None]
    return rgb, shown.depth[0], mask


def _recoloured(albedo: Float[Tensor, "n 3"], generator: torch.Generator) -> Float[Tensor, "n 3"]:
    gain, tint = torch.randn(1, generator=generator) * 0.25, torch.randn(3, generator=generator) * 0.08
    contrast, saturation = _uniform(generator, 0.7, 1.2, 2).tolist()
    mean = albedo.mean(0)
    grey = albedo.mean(1, keepdim=True)
    coloured = grey + saturation * (albedo - grey)
    return (mean + contrast * (coloured - mean)).clamp(0, 1) * (gain + tint).exp()


def draw_background(shape: tuple[int, int], pictures: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Step 4: (h, w, 3)."""
    if not pictures:
        return _texture(shape, generator)
    picture = pictures[int(torch.randint(len(pictures), (1,), generator=generator))]
    u = torch.rand(4, generator=generator).tolist()
    height, width = picture.shape[:2]
    scale = (0.5 + 0.5 * u[0]) * min(height / shape[0], width / shape[1])
    rows, columns = max(2, int(scale * shape[0])), max(2, int(scale * shape[1]))
    top, left = int(u[1] * (height - rows)), int(u[2] * (width - columns))
    part = picture[top : top + rows, left : left + columns].movedim(-1, 0)[None]
    image = torch.nn.functional.interpolate(part, size=shape, mode="bilinear", antialias=True)[0].movedim(0, -1)
    return image.flip(1) if u[3] < 0.5 else image


def _texture(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Noise of several scales, hard-edged in places."""
    total = torch.zeros(*shape, 3)
    for cells, strength in ((3, 0.25), (8, 0.15), (24, 0.1), (80, 0.05)):
        coarse = torch.randn(1, 3, cells, cells, generator=generator) * strength
        mode = "nearest" if cells in (8, 24) else "bicubic"
        total = total + torch.nn.functional.interpolate(coarse, size=shape, mode=mode)[0].movedim(0, -1)
    return (0.5 + total).clamp(0, 1)


def developed(image: Float[Tensor, "y x 3"], s: ClutterSettings, generator: torch.Generator) -> Float[Tensor, "h w 3"]:
    """Step 5: half the size, exposure, gamma, blur, noise, 8 bits."""
    half = torch.nn.functional.avg_pool2d(image.movedim(-1, 0)[None], 2)
    gain = float((torch.randn(1, generator=generator) * 0.15).exp())
    u = torch.rand(3, generator=generator).tolist()
    half = (gain * half).clamp(0, 1) ** (0.8 + 0.45 * u[0])
    half = _blurred(half, s.blur_px * u[1])
    half = half + s.noise * u[2] * torch.randn(half.shape, generator=generator)
    return ((half.clamp(0, 1) * 255).round() / 255)[0].movedim(0, -1).contiguous()


def _blurred(image: Float[Tensor, "1 3 y x"], sigma_px: float) -> Float[Tensor, "1 3 y x"]:
    radius = math.ceil(3 * sigma_px)
    if radius == 0:
        return image
    offset = torch.arange(-radius, radius + 1, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offset / max(sigma_px, 1e-3)) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = torch.nn.functional.pad(image, (radius,) * 4, mode="replicate")
    across = torch.nn.functional.conv2d(padded, kernel, groups=3)
    return torch.nn.functional.conv2d(across, kernel.mT, groups=3)


def _placed(which: int, pose: SE3, seen: Tensor, alone: Tensor) -> Placed:
    share = float(seen.sum()) / max(1.0, float(alone.sum()))
    small = torch.nn.functional.avg_pool2d(seen[None, None].float(), 2)[0, 0] > 0.5
    return Placed(which, pose, share, small)


def _inside(mask: Tensor) -> bool:
    """Whether a silhouette is there and touches no border of the image."""
    border = mask[0].any() | mask[-1].any() | mask[:, 0].any() | mask[:, -1].any()
    return bool(mask.any()) and not bool(border)


def _uniform(generator: torch.Generator, least: float, most: float, count: int) -> Tensor:
    return least + (most - least) * torch.rand(count, generator=generator)
