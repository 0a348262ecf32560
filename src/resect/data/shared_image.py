"""Images that several photos share: decoded once for all objects in them, the last few kept."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from jaxtyping import Float
from torch import Tensor

from resect.data.image import read_depth, read_image
from resect.errors import ResectError
from resect.geometry.camera import Camera

_KEPT = 4


class SharedImages:
    """Reads pictures and depth, and remembers the last few; the tensors are shared, so leave them as they are."""

    def __init__(self) -> None:
        self._images: OrderedDict[Path, Float[Tensor, "h w 3"]] = OrderedDict()
        self._depths: OrderedDict[Path, Float[Tensor, "h w"]] = OrderedDict()
        self._lock = Lock()

    def image(self, path: Path, camera: Camera) -> Float[Tensor, "h w 3"]:
        """RGB in [0, 1], as stored; its size must be the camera's."""
        with self._lock:
            if path not in self._images:
                image, _ = read_image(path, upright=False)
                size = (image.shape[1], image.shape[0])
                if size != (camera.width, camera.height):
                    expected = f"an image of {camera.width}x{camera.height} like the others of its scene"
                    raise ResectError(path, expected, f"{size[0]}x{size[1]}")
                self._images[path] = image
            return _latest(self._images, path)

    def depth(self, path: Path, units_per_count: float, camera: Camera) -> Float[Tensor, "h w"]:
        """Depth along the optical axis, world units; 0 where unknown."""
        with self._lock:
            if path not in self._depths:
                self._depths[path] = read_depth(path, units_per_count, camera.width, camera.height)
            return _latest(self._depths, path)


def _latest(kept: "OrderedDict[Path, Tensor]", path: Path) -> Tensor:
    kept.move_to_end(path)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
    return kept[path]
