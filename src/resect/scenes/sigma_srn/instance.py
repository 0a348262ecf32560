"""One instance of a category: the same network with one code, a scene like any other."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Channel, Photo, Render

if TYPE_CHECKING:
    from resect.scenes.sigma_srn.scene import SigmaSrn


class Instance:
    """A scene without a code, so that every refiner works on it.

    Args:
        category: the network.
        code: of the instance.
    """

    def __init__(self, category: "SigmaSrn", code: Float[Tensor, "d"]) -> None:
        self.category, self.code = category, code

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for."""
        return self.category.channels

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners of a box around what there is to see."""
        return self.category.bounds

    @property
    def code_dim(self) -> int:
        """It has its code."""
        return 0

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo as the category sees it."""
        return self.category.observe(photo, camera)

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses would show of it."""
        if code is not None and code.shape[-1]:
            fix = "A category takes codes; of(…) gives one instance."
            raise ResectError("Instance.render: code", "none, as it has its own", str(tuple(code.shape)), fix)
        return self.category.render(camera, cam_from_world, want, pixels, self._codes(len(cam_from_world)))

    def linearize(
        self, camera: Camera, cam_from_world: SE3, pixels: Float[Tensor, "n 2"], channel: Channel
    ) -> tuple[Float[Tensor, "h n c"], Float[Tensor, "h n c 6"]]:
        """Colours at the pixels and their derivatives with respect to δ; other channels have none."""
        if channel != "rgb":
            raise unknown_name("Instance.linearize: channel", channel, ("rgb",))
        return self.category.derivatives(camera, cam_from_world, pixels, self._codes(len(cam_from_world)))

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Instance":
        """Itself."""
        del pixel_rad, distance
        return self

    def _codes(self, rows: int) -> Tensor:
        return self.code.expand(rows, len(self.code)) if len(self.code) else torch.zeros(rows, 0)
