"""Training photos as a network sees them: kept in a view wider than the network's, turned and recoloured."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.picture import Changes, look, turned, view_camera
from resect.types import PhotoSet


class TrainingPictures:
    """Wide views of photos, in memory up to a bound; what does not fit is read again.

    Args:
        data: the photos.
        side: of the network's picture, pixels.
        share: of the photo that the network sees; the rest is room for turns.
        crop: whether the picture is a square part of the photo; see `view_camera`.
        memory_gb: most to keep.
        camera: that the network's view is of; by default that of the first photo.
    """

    def __init__(
        self,
        data: PhotoSet,
        side: int,
        share: float,
        *,
        crop: bool = False,
        memory_gb: float = 4.0,
        camera: Camera | None = None,
    ) -> None:
        self.data = data
        self.camera: Camera = view_camera(camera or data.cameras[0], side, share, crop=crop)
        self.wide: Camera = view_camera(camera or data.cameras[0], round(side / share), crop=crop)
        self.poses: SE3 = data.truth.cam_from_world.double()
        self._kept: dict[int, Tensor] = {}
        self._left = memory_gb * 2**30

    def __len__(self) -> int:
        return len(self.data)

    def wide_picture(self, index: int) -> Float[Tensor, "3 s s"]:
        """The wide view of a photo."""
        if index in self._kept:
            return self._kept[index].float() / 255
        seen = (look(self.data[index], self.wide) * 255).round().byte()
        if seen.nbytes <= self._left:
            self._left -= seen.nbytes
            self._kept[index] = seen
        return seen.float() / 255

    def plain(self, rows: Sequence[int]) -> Float[Tensor, "b 3 s s"]:
        """Pictures as the network sees them when it answers."""
        eye = torch.eye(3).expand(len(rows), 3, 3)
        return turned(torch.stack([self.wide_picture(i) for i in rows]), self.wide, self.camera, eye)

    def changed(
        self, rows: Sequence[int], changes: Changes, generator: torch.Generator
    ) -> tuple[Float[Tensor, "b 3 s s"], SE3]:
        """Turned and recoloured pictures, and their poses."""
        turn = changes.turns(len(rows), generator)
        wide = torch.stack([self.wide_picture(i) for i in rows])
        seen = changes.recolour(turned(wide, self.wide, self.camera, turn), generator)
        poses = self.poses[list(rows)]
        return seen, SE3(turn @ poses.R, (turn @ poses.t[..., None])[..., 0])
