"""The pixels that a scene is trained on: colours, rays, and the batches drawn from them.

Pixels are held photo by photo, within a photo in tiles of 8x8, so that a sorted batch visits the grid coherently.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from resect.data.image import resize_area
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet

TILE = 8
MOST_SHUFFLED = 1 << 23
"""Pixels beyond which batches are drawn with replacement: shuffling them would take longer than a step."""
Floats = NDArray[np.float32]
Longs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PixelPool:
    """All training pixels, in tile order.

    Attributes:
        colour: (pixels, 3 or 4) float16; with transparency the colour is premultiplied and the fourth is opacity.
        first_pixel: (photos + 1,) where each photo's pixels begin.
        ray: (rays, 3) unit directions in the camera frame, one table a distinct camera.
        first_ray: (photos,) where each photo's table begins in `ray`.
        usable: (n,) indices of the pixels that masks allow, or `None` for all.
    """

    colour: NDArray[np.float16]
    first_pixel: Longs
    ray: Floats
    first_ray: Longs
    usable: Longs | None

    @property
    def photos(self) -> int:
        """Number of photos."""
        return len(self.first_ray)

    @property
    def usable_count(self) -> int:
        """Number of pixels that may be drawn."""
        return len(self.colour) if self.usable is None else len(self.usable)

    @property
    def transparent(self) -> bool:
        """Whether pixels have opacity."""
        return self.colour.shape[1] == 4


@dataclass(frozen=True, eq=False)
class Batch:
    """Rays of one training step, local frame.

    Attributes:
        origin, direction: (n, 3), unit directions.
        target: (n, 3) what the photos show; premultiplied where there is opacity.
        opacity: (n,) or `None`.
        photo: (n,) which photo each ray is of.
        start: (n,) offset of the first sample, in steps.
    """

    origin: Floats
    direction: Floats
    target: Floats
    opacity: Floats | None
    photo: Longs
    start: Floats


def load_pixels(data: PhotoSet, max_side: int, *, progress: Callable[[int, int, str], None] | None = None) -> PixelPool:
    """Reads, shrinks and lays out all photos of a set."""
    colours, masks = [], []
    tables: dict[Camera, int] = {}
    rays: list[Floats] = []
    first_ray = []
    length = 0
    for i in range(len(data)):
        photo = data[i]
        camera = data.cameras[i].fit_within(max_side)
        order = tile_order(camera.width, camera.height)
        if camera not in tables:
            tables[camera] = length
            rays.append(camera.rays(camera.pixels()).numpy()[order].astype(np.float32))
            length += len(order)
        first_ray.append(tables[camera])
        colours.append(_colours(photo, camera)[order])
        masks.append(_usable(photo, camera)[order])
        if progress is not None:
            progress(i + 1, len(data), "reading photos")
    channels = max(c.shape[1] for c in colours)
    first_pixel = np.concatenate([[0], np.cumsum([len(c) for c in colours])])
    colour = np.concatenate([_with_opacity(c, channels) for c in colours]).astype(np.float16)
    mask = np.concatenate(masks)
    if not mask.any():
        raise ResectError(data.root, "pixels that may be used", "masks that hide everything")
    usable = None if mask.all() else np.flatnonzero(mask)
    return PixelPool(colour, first_pixel, np.concatenate(rays), np.array(first_ray), usable)


def tile_order(width: int, height: int) -> Longs:
    """Row-order indices of an image's pixels, tile by tile."""
    y, x = np.divmod(np.arange(width * height), width)
    return np.lexsort((x % TILE, y % TILE, x // TILE, y // TILE))


def opaque_rays(pool: PixelPool, photo: int, poses: SE3) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """World rays (origins, directions) through the opaque pixels of a photo, where photos have opacity."""
    first, last = int(pool.first_pixel[photo]), int(pool.first_pixel[photo + 1])
    opaque = np.flatnonzero(pool.colour[first:last, 3] > 0.05)
    ray = torch.from_numpy(pool.ray[pool.first_ray[photo] + opaque]).double()
    direction = ray @ poses.R[photo]
    return poses.center[photo].expand_as(direction), direction


def _colours(photo: Photo, camera: Camera) -> Floats:
    """(pixels, 3 or 4) of a photo at the camera's size; premultiplied where it has opacity."""
    image = photo.image.float()
    if photo.alpha is not None:
        alpha = photo.alpha.float()[..., None]
        image = torch.cat([image - (1 - alpha), alpha], -1)
    small = resize_area(image, camera.width, camera.height)
    return small.reshape(-1, small.shape[-1]).numpy()


def _usable(photo: Photo, camera: Camera) -> NDArray[np.bool_]:
    """(pixels,) pixels wholly inside the mask."""
    if photo.mask is None:
        return np.ones(camera.width * camera.height, bool)
    return resize_area(photo.mask.float(), camera.width, camera.height).reshape(-1).numpy() > 0.999


def _with_opacity(colour: Floats, channels: int) -> Floats:
    if colour.shape[1] == channels:
        return colour
    return np.concatenate([colour, np.ones((len(colour), 1), np.float32)], 1)


class Batches:
    """Draws batches; which pixels a step gets depends on the seed and the step's number only.

    Args:
        pool: the pixels.
        rotation: (photos, 3, 3) local-from-camera rotations.
        center: (photos, 3) camera centres, local frame.
        size: rays in a batch.
        seed: of everything random.
    """

    def __init__(self, pool: PixelPool, rotation: Floats, center: Floats, size: int, seed: int) -> None:
        self.pool, self.rotation, self.center = pool, rotation, center
        self.size, self.seed = min(size, pool.usable_count), seed
        self._epoch = -1
        self._order: Longs = np.empty(0, np.int64)

    def draw(self, step: int) -> Batch:
        """The batch of a step, sorted by pixel."""
        chosen = self._chosen(step)
        pixel = np.sort(chosen if self.pool.usable is None else self.pool.usable[chosen])
        photo = np.searchsorted(self.pool.first_pixel, pixel, side="right") - 1
        ray = self.pool.ray[self.pool.first_ray[photo] + pixel - self.pool.first_pixel[photo]]
        colour = self.pool.colour[pixel].astype(np.float32)
        start = np.random.default_rng([self.seed, 1, step]).random(self.size, dtype=np.float32)
        direction = np.einsum("nij,nj->ni", self.rotation[photo], ray)
        opacity = np.ascontiguousarray(colour[:, 3]) if self.pool.transparent else None
        target = np.ascontiguousarray(colour[:, :3])
        return Batch(self.center[photo], direction, target, opacity, photo, start)

    def _chosen(self, step: int) -> Longs:
        """Which usable pixels a step takes: without replacement within an epoch, unless there are very many."""
        count = self.pool.usable_count
        if count > MOST_SHUFFLED:
            return np.random.default_rng([self.seed, 0, step]).integers(count, size=self.size)
        epoch, part = divmod(step, count // self.size)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, 0, epoch]).permutation(count)
        return self._order[part * self.size : (part + 1) * self.size]
