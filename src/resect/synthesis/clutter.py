"""Photos of several objects in clutter, drawn from a seed.

A photo is made so:

1. `objects` meshes, drawn with repetition only when there are fewer; rotation uniform on SO(3); distance of the middle
   uniform in `distance`; its pixel uniform in the middle `spread` of the image. A draw is repeated until the middles of
   any two are at least `apart` times the sum of the radii of their spheres away from each other (30 tries, then the
   object is left out): 1 keeps objects from touching, less makes a heap.
2. Albedo: the mesh's own colours with a gain exp(N(0, 0.25)) common to all channels, a tint exp(N(0, 0.08)) a
   channel, and contrast and saturation about the mean colour of U(0.7, 1.2) each: no mesh is coloured as a camera sees.
3. Light: ambient U(`ambient`); one to three distant lights from the camera's half space, strengths U(0.2, 0.8) divided
   by their number; Lambert on smooth normals; a highlight (Blinn–Phong, exponent U(10, 60)) of strength U(0, 0.3). In a
   share `shadowed` of the photos, all that is not background is lit and shadowed by a smooth random field.
4. Background: a random cut of one of the given pictures, its size U(0.5, 1) of the largest that fits, mirrored half of
   the time; where there are none, a smooth random texture with patches.
5. Litter, where it is asked for: so many further things as `synthesis/litter` says.
6. Composed at twice the size and averaged; then gain exp(N(`exposure`)), gamma U(0.8, 1.25), blur of U(0, `blur_px`)
   pixels, noise of U(0, `noise`), clipping, 8 bits.

Objects of which less than `visible` of the silhouette is seen, or that lie partly outside, are part of the clutter and
not asked for. All numbers above are this module's specification; another one gets another name.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.synthesis.backdrop import draw_background
from resect.synthesis.canvas import Canvas, Window, window_of
from resect.synthesis.light import AMBIENT, Light, draw_light, lit, shadows
from resect.synthesis.litter import draw_piece

_TRIES = 30
_MOST_SIDE = 4096


@dataclass(frozen=True)
class ClutterSettings:
    """What to draw.

    Attributes:
        objects: least and most objects a photo.
        distance: least and most distance of an object's middle along the optical axis, world units.
        spread: part of the image, about its middle, in which the middles lie.
        apart: least distance of two middles, in sums of the radii of the objects' spheres.
        visible: least visible part of what is asked for.
        blur_px: most blur.
        noise: most noise.
        exposure: mean and standard deviation of the logarithm of the gain.
        ambient: least and most light from everywhere.
        shadowed: share of the photos in which objects lie in shadows that nothing casts.
        litter: least and most pieces that lie about.
        size: of the objects, for the litter; world units.
    """

    objects: tuple[int, int] = (4, 8)
    distance: tuple[float, float] = (600.0, 1200.0)
    spread: float = 0.7
    apart: float = 1.0
    visible: float = 0.5
    blur_px: float = 1.2
    noise: float = 0.03
    exposure: tuple[float, float] = (0.0, 0.15)
    ambient: tuple[float, float] = AMBIENT
    shadowed: float = 0.0
    litter: tuple[int, int] = (0, 0)
    size: float = 100.0


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
    canvas = Canvas(draw_background((double.height, double.width), backgrounds, generator))
    light = draw_light(generator, settings.ambient)
    chosen, poses = _place(scenes, camera, settings, generator)
    alone = []
    for k, (which, pose) in enumerate(zip(chosen, poses, strict=True)):
        seen = _seen(scenes[which], double, pose, light, generator)
        if seen is not None:
            canvas.lay(*seen, k)
        alone.append(torch.zeros_like(canvas.owner, dtype=torch.bool) if seen is None else canvas.whole(*seen[2:]))
    for piece in _litter(double, settings, light, backgrounds, generator):
        canvas.lay(*piece)
    if settings.shadowed > 0 and float(torch.rand((), generator=generator)) < settings.shadowed:
        dark = shadows((double.height, double.width), generator)
        canvas.colour *= torch.where(canvas.depth.isfinite(), dark, 1.0)[..., None]
    objects = tuple(_placed(chosen[k], poses[k], canvas.owner == k, alone[k]) for k in range(len(poses)))
    asked = tuple(o.visible >= settings.visible and _inside(alone[k]) for k, o in enumerate(objects))
    return ClutterPhoto(developed(canvas.colour, settings, generator), objects, asked)


def _seen(
    scene: Scene, camera: Camera, pose: SE3, light: Light, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Window] | None:
    """Colours, depth and silhouette of one object in its window; nothing where it cannot be seen."""
    middle, radius = _sphere(scene)
    window = window_of(camera, pose[0].apply(middle[None].to(pose.t))[0], radius)
    if window is None:
        return None
    part = window.of(camera)
    shown = scene.render(part, pose, ("rgb", "depth", "normal", "alpha"))
    rgb, depth, mask = lit(shown, pose, part, light, generator)
    shape = (part.height, part.width)
    return rgb.reshape(*shape, 3), depth.reshape(shape), mask.reshape(shape), window


def _sphere(scene: Scene) -> tuple[Tensor, float]:
    """About the scene's bounds: middle and radius."""
    return scene.bounds.mean(0), float((scene.bounds[1] - scene.bounds[0]).norm()) / 2


def _litter(
    camera: Camera, s: ClutterSettings, light: Light, pictures: Sequence[Tensor], generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor, Window]]:
    if s.litter[1] > 0:
        count = int(torch.randint(s.litter[0], s.litter[1] + 1, (1,), generator=generator))
        for _ in range(count):
            piece = draw_piece(camera, s.distance, s.size, light, pictures, generator)
            if piece is not None:
                yield piece


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
        middle, radius = _sphere(scenes[which])
        for _ in range(_TRIES):
            u = torch.rand(3, generator=generator)
            z = s.distance[0] + float(u[2]) * (s.distance[1] - s.distance[0])
            pixel = size * (0.5 + s.spread * (u[:2] - 0.5))
            ray = camera.rays(pixel[None])[0]
            center = ray / ray[2] * z
            if all(float((center - c).norm()) > s.apart * (radius + r) for c, r in spheres):
                quaternion = torch.randn(4, generator=generator)
                turn = so3.from_quaternion(torch.nn.functional.normalize(quaternion, dim=0)[None])
                chosen.append(which)
                poses.append(SE3(turn, center[None] - (turn @ middle.to(turn)[:, None])[..., 0]))
                spheres.append((center, radius))
                break
    return chosen, poses


def developed(image: Float[Tensor, "y x 3"], s: ClutterSettings, generator: torch.Generator) -> Float[Tensor, "h w 3"]:
    """Step 6: half the size, exposure, gamma, blur, noise, 8 bits."""
    half = torch.nn.functional.avg_pool2d(image.movedim(-1, 0)[None], 2)
    gain = float((s.exposure[0] + s.exposure[1] * torch.randn(1, generator=generator)).exp())
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
