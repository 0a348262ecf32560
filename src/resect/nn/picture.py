"""What an image network sees of a photo: a pinhole view of a fixed size, turned and recoloured for training.

A regressor has no other way to know the camera, so every photo is resampled to the view of one camera. Training photos
are kept in a wider view: the camera turned about its centre sees part of that, and the turned pose is known exactly.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from resect.data.image import resize_area
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.types import Photo

_LUMA = (0.299, 0.587, 0.114)
_LEAST_CONTRAST = 1e-3


def view_camera(camera: Camera, side: int, share: float = 1.0, *, crop: bool = False) -> Camera:
    """The pinhole camera of a square picture.

    Args:
        camera: that photos are taken with.
        side: of the picture, pixels.
        share: of the photo's width and height that it shows.
        crop: show a square part, `share` of the shorter side; else all, stretched to a square.
    """
    width, height = (min(camera.width, camera.height),) * 2 if crop else (camera.width, camera.height)
    sx, sy = side / (share * width), side / (share * height)
    cx, cy = (side / 2 + (c - n / 2) * s for c, n, s in ((camera.cx, camera.width, sx), (camera.cy, camera.height, sy)))
    return Camera(camera.fx * sx, camera.fy * sy, cx, cy, side, side)


def look(photo: Photo, camera: Camera) -> Float[Tensor, "3 s s"]:
    """What `camera` would have shown from where the photo was taken; its edges go on where the photo ends.

    A photo whose camera is unknown is stretched.
    """
    image = photo.image.detach().float().cpu()
    mine = photo.camera
    if mine is None:
        return resize_area(image, camera.width, camera.height).permute(2, 0, 1).contiguous()
    shrink = min(1.0, max(camera.fx / mine.fx, camera.fy / mine.fy))
    mine = mine.rescale(max(1, round(mine.width * shrink)), max(1, round(mine.height * shrink)))
    source = resize_area(image, mine.width, mine.height).permute(2, 0, 1)[None]
    pixels, _ = mine.project(camera.rays(camera.pixels()))
    grid = _grid(pixels, mine).view(1, camera.height, camera.width, 2)
    return functional.grid_sample(source, grid, padding_mode="border", align_corners=False)[0].clamp(0, 1)


def turned(
    pictures: Float[Tensor, "b 3 i j"], wide: Camera, camera: Camera, turn: Float[Tensor, "b 3 3"]
) -> Float[Tensor, "b 3 s t"]:
    """What a camera sees that was turned: R' = turn · R, at the same place.

    Args:
        pictures: views of the pinhole camera `wide`.
        wide: their camera.
        camera: the pinhole camera of the result.
        turn: of each picture.
    """
    return sampled(pictures, source_pixels(wide, camera, turn.to(pictures)), wide, camera)


def source_pixels(wide: Camera, camera: Camera, turn: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b n 2"]:
    """Where in the picture of `wide` a turned camera's pixels come from; see `turned`."""
    rays = camera.rays(camera.pixels()).to(turn)
    x, y, z = (rays @ turn).unbind(-1)  # row vectors: turnᵀ · ray
    ahead = z.clamp_min(1e-3)
    return torch.stack([wide.fx * x / ahead + wide.cx, wide.fy * y / ahead + wide.cy], -1)


def sampled(
    pictures: Float[Tensor, "b 3 i j"], pixels: Float[Tensor, "b n 2"], wide: Camera, camera: Camera
) -> Float[Tensor, "b 3 s t"]:
    """Pictures of `camera`, whose pixels come from those places of pictures of `wide`; edges go on."""
    grid = _grid(pixels, wide).view(len(pictures), camera.height, camera.width, 2)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _grid(pixels: Tensor, camera: Camera) -> Tensor:
    return 2 * pixels / torch.tensor([camera.width, camera.height]).to(pixels) - 1


@dataclass(frozen=True)
class Changes:
    """How far pictures are changed for training; each draw is uniform.

    Attributes:
        turn_deg: of the camera about its x and y axes.
        roll_deg: about its optical axis.
        colour: of brightness, contrast, saturation and hue, as in torchvision's ColorJitter.
        blur_px: standard deviation of a Gaussian blur, at most.
    """

    turn_deg: float = 0.0
    roll_deg: float = 0.0
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    blur_px: float = 0.0

    def turns(self, count: int, generator: torch.Generator) -> Float[Tensor, "n 3 3"]:
        """Rotations, float64."""
        most = torch.tensor([self.turn_deg, self.turn_deg, self.roll_deg], dtype=torch.float64)
        draw = 2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1
        return so3.exp(torch.deg2rad(draw * most))

    def recolour(self, pictures: Float[Tensor, "b 3 s t"], generator: torch.Generator) -> Float[Tensor, "b 3 s t"]:
        """Each picture with its own brightness, contrast, saturation and hue, then blurred."""
        b = len(pictures)
        draw = 2 * torch.rand(b, 5, generator=generator).to(pictures) - 1
        most = pictures.new_tensor(self.colour)
        brightness, contrast, saturation = (1 + draw[:, :3] * most[:3]).T[:, :, None, None, None]
        luma = pictures.new_tensor(_LUMA).view(3, 1, 1)
        x = pictures * brightness
        x = (x - x.mean((1, 2, 3), keepdim=True)) * contrast + x.mean((1, 2, 3), keepdim=True)
        grey = (x * luma).sum(1, keepdim=True)
        x = grey + _turned_hue((x - grey) * saturation, draw[:, 3] * most[3])
        sigma = self.blur_px * (draw[:, 4] + 1) / 2
        return _blurred(x, sigma).clamp(0, 1) if self.blur_px > 0 else x.clamp(0, 1)


def _turned_hue(chroma: Float[Tensor, "b 3 s t"], share: Float[Tensor, "b"]) -> Float[Tensor, "b 3 s t"]:
    """Colours less their grey turned by a share of the full circle about the grey axis."""
    if not bool(share.any()):
        return chroma
    axis = torch.full((len(share), 3), 3**-0.5).to(chroma)
    rotation = so3.exp(axis * (2 * torch.pi * share)[:, None])
    return torch.einsum("bij,bjst->bist", rotation, chroma)


def _blurred(x: Float[Tensor, "b 3 s t"], sigma: Float[Tensor, "b"]) -> Float[Tensor, "b 3 s t"]:
    """Each picture under a Gaussian of its own width."""
    b, reach = len(x), max(1, int(2 * float(sigma.max())))
    offset = torch.arange(-reach, reach + 1).to(x)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp_min(0.1)[:, None]).square())
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    flat = functional.pad(x.reshape(1, 3 * b, *x.shape[2:]), (reach,) * 4, mode="replicate")
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=3 * b)
    return functional.conv2d(flat, kernel[:, None, :, None], groups=3 * b).view(x.shape)


def shows_nothing(picture: Float[Tensor, "3 s t"]) -> Bool[Tensor, ""]:
    """Whether a picture has no contrast."""
    return ~(picture.std() > _LEAST_CONTRAST)
