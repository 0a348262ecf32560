"""A photo and a scene side by side at one size, and the counter that every render passes through."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.data.image import resize_area
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.linearize import Sensitivity, channel_of, sensitivity
from resect.types import Channel, Cost, Photo, Render

_KNOWN = 0.98
_ONE_SURFACE = 0.03  # spread of depth within a pixel, as a part of it


@dataclass
class Meter:
    """Counts rays, images and milliseconds while a photo is worked on."""

    rays: int = 0
    images: float = 0.0
    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time inside to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + 1000 * (time.perf_counter() - start)

    @property
    def cost(self) -> Cost:
        """What was counted so far."""
        return Cost(self.images, self.rays, tuple(self.ms.items()))


@dataclass(frozen=True, eq=False)
class View:
    """One size at which a scene is compared with a photo.

    Attributes:
        scene: at the level of detail of this size.
        camera: of this size.
        observed: the photo, as the scene would show it: pixels in row order.
        weight: of each pixel, in [0, 1]: the photo's mask.
        channel: what is compared.
        meter: counts the cost.
        full: pixels of the working size that one render is counted in.
        depth: of the photo at the pixels, world units; 0 where unknown. `None` where the photo has none.
    """

    scene: Scene
    camera: Camera
    observed: Float[Tensor, "n c"]
    weight: Float[Tensor, "n"]
    channel: Channel
    meter: Meter
    full: int
    depth: Float[Tensor, "n"] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.camera.height, self.camera.width

    def pixels(self, index: Int[Tensor, "k"] | None = None) -> Float[Tensor, "k 2"]:
        """Centres of the chosen pixels, or of all."""
        every = self.camera.pixels().to(self.observed)
        return every if index is None else every[index]

    def render(
        self,
        cam_from_world: SE3,
        want: tuple[Channel, ...] | None = None,
        index: Int[Tensor, "k"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses show here, of the instances with these codes where the scene takes any."""
        pixels = None if index is None else self.pixels(index)
        self.count(len(cam_from_world) * (len(self.observed) if index is None else len(index)))
        return self.scene.render(self.camera, cam_from_world, want or (self.channel,), pixels, code)

    def shown(
        self,
        cam_from_world: SE3,
        index: Int[Tensor, "k"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Float[Tensor, "h k c"]:
        """Values of the compared channel."""
        return channel_of(self.render(cam_from_world, None, index, code), self.channel)

    def sensitivity(
        self, cam_from_world: SE3, index: Int[Tensor, "k"] | None = None, log_focal: Tensor | None = None
    ) -> Sensitivity:
        """Values and derivatives; with `log_focal` (H,), at each hypothesis's own focal length and for it too."""
        pixels = self.pixels(index)
        self.count(len(cam_from_world) * len(pixels))
        if log_focal is None:
            return sensitivity(self.scene, self.camera, cam_from_world, pixels, channel=self.channel)
        parts = [
            sensitivity(
                self.scene,
                self.camera.with_focal_scale(float(log_focal[k].exp())),
                cam_from_world[k : k + 1],
                pixels,
                channel=self.channel,
                focal=True,
            )
            for k in range(len(cam_from_world))
        ]
        values, jacobian = torch.cat([p.values for p in parts]), torch.cat([p.jacobian for p in parts])
        return Sensitivity(values, jacobian, parts[0].names)

    def count(self, rays: int) -> None:
        """Notes that so many were rendered."""
        self.meter.rays += rays
        self.meter.images += rays / self.full


def compared_channel(scene: Scene) -> Channel:
    """Colour where the scene has it, else its features, else its silhouette."""
    for channel in ("rgb", "feature", "alpha"):
        if channel in scene.channels:
            return channel
    raise ResectError("scene", "a channel that can be compared with a photo", f"only {scene.channels}")


def view(
    scene: Scene,
    photo: Photo,
    long_side: int,
    meter: Meter,
    full: int,
    *,
    sharp: bool = False,
    distance: float | None = None,
) -> View:
    """The photo and the scene at a size.

    Args:
        long_side: pixels of the longer image side; the photo is never enlarged.
        full: pixels that one render is counted in.
        sharp: whether to keep the scene's finest level of detail.
        distance: from which the scene is seen, where that is known.
    """
    camera = photo.known_camera().fit_within(long_side)
    detail = scene if sharp else scene.lod(camera.pixel_rad, distance)
    channel = compared_channel(scene)
    observed = channel_of(scene.observe(photo, camera), channel)[0]
    weight = _mask_weight(photo, camera).to(observed)
    depth = None if photo.depth is None else resize_depth(photo.depth, camera.width, camera.height).flatten()
    return View(detail, camera, observed, weight, channel, meter, full, depth)


def resize_depth(depth: Float[Tensor, "h w"], width: int, height: int) -> Float[Tensor, "height width"]:
    """Depth at another size: the mean of 1/depth over each new pixel, which is exact for planes, else 0 (unknown).

    A new pixel is unknown where more than a fiftieth of it is, or where it holds two surfaces.
    """
    known = (depth.isfinite() & (depth > 0)).float()
    inverse = torch.where(known > 0, 1 / depth.clamp_min(1e-12), torch.zeros_like(depth)).float()
    share, mean, square = (resize_area(x, width, height) for x in (known, inverse, inverse * inverse))
    mean, square = mean / share.clamp_min(1e-9), square / share.clamp_min(1e-9)
    single = (square - mean * mean).clamp_min(0) < (_ONE_SURFACE * mean) ** 2
    return torch.where((share > _KNOWN) & single, 1 / mean.clamp_min(1e-12), torch.zeros_like(mean))


def shrink(photo: Photo, long_side: int) -> Photo:
    """The photo no larger than the largest size it is compared at, so that making smaller ones is cheap."""
    camera = photo.known_camera().fit_within(long_side)
    if camera.width >= photo.image.shape[1]:
        return photo
    size = (camera.height, camera.width)

    def resized(plane: Tensor | None) -> Tensor | None:
        return None if plane is None else _area(plane[..., None].float(), size)[..., 0]

    mask = resized(photo.mask)
    return replace(
        photo,
        image=_area(photo.image, size),
        camera=camera,
        alpha=resized(photo.alpha),
        depth=None if photo.depth is None else resize_depth(photo.depth, camera.width, camera.height),
        mask=None if mask is None else mask > 0.5,
    )


def _area(image: Tensor, size: tuple[int, int]) -> Tensor:
    planes = image.movedim(-1, 0)[None]
    return torch.nn.functional.interpolate(planes, size=size, mode="area")[0].movedim(0, -1).contiguous()


def _mask_weight(photo: Photo, camera: Camera) -> Tensor:
    size = (camera.height, camera.width)
    weight = torch.ones(camera.height * camera.width)
    target = None if photo.target is None else photo.target.mask
    for mask in (photo.mask, target):
        if mask is not None:
            weight = weight * _area(mask[..., None].float(), size).flatten()
    return weight
