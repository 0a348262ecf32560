"""What a network that tells rotations sees of a photo: the object in the middle of a picture of a virtual camera.

An object beside the middle of a photo looks turned. Where the photo's camera is known, the picture is what a camera at
the same place would have shown that looks straight at the object, without roll; rotations in it are turned back by
`View.turn`. Where the camera is not known, the picture is a square part of the photo and nothing can be turned.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, normalize, pad

from resect.data.image import resize_area
from resect.data.mask import Box
from resect.data.seen_through import seen_through
from resect.geometry.camera import Camera
from resect.priors.views import box_of
from resect.types import Photo

_LEAST_CONTRAST = 1e-3


@dataclass(frozen=True, eq=False)
class View:
    """A picture and how its camera is turned.

    Attributes:
        picture: RGB in [0, 1].
        turn: picture's camera from photo's camera: R_picture = turn @ R_photo; float64.
        focal: of the picture's camera, in half sides of the picture; `None` where the photo's camera is not known.
    """

    picture: Float[Tensor, "3 s s"]
    turn: Float[Tensor, "3 3"]
    focal: float | None = None

    @property
    def shows_nothing(self) -> bool:
        """Whether it has no contrast."""
        return not float(self.picture.std()) > _LEAST_CONTRAST


def look(photo: Photo, side: int) -> View:
    """The target's visible box, else the whole photo; what lies beyond the photo goes on as its edge."""
    image = photo.image.detach().float().cpu()
    height, width = image.shape[:2]
    box = box_of(photo.target) or (0.0, 0.0, float(width), float(height))
    if photo.camera is None:
        return View(_square(image, box, side), torch.eye(3, dtype=torch.float64))
    camera, turn = virtual_camera(photo.camera, box, side)
    return View(seen_through(image, photo.camera, camera, turn), turn, 2 * camera.fx / side)


def virtual_camera(camera: Camera, box: Box, side: int) -> tuple[Camera, Float[Tensor, "3 3"]]:
    """A camera at the same place that looks at a box and just holds it, and its rotation from the photo's camera.

    Its x axis is as near to the photo's as it can be: no roll.
    """
    left, top, right, bottom = box
    corners = torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=torch.float64)
    turn, reach = facing(camera.rays(corners))
    focal = side / 2 / float(reach)
    return Camera(focal, focal, side / 2, side / 2, side, side), turn


def facing(corners: Float[Tensor, "*b 4 3"]) -> tuple[Float[Tensor, "*b 3 3"], Float[Tensor, "*b"]]:
    """The rotation to a camera that looks at four unit directions without roll, and the tangent that just holds them.

    Float64, batched: see `virtual_camera`.
    """
    axis = normalize(corners.mean(-2), dim=-1)
    right_of = corners.new_tensor([1.0, 0.0, 0.0])
    x = normalize(right_of - (axis @ right_of)[..., None] * axis, dim=-1)
    turn = torch.stack([x, torch.linalg.cross(axis, x), axis], -2)
    seen = corners @ turn.mT
    return turn, (seen[..., :2] / seen[..., 2:]).abs().amax((-2, -1))


def rolled(pictures: Float[Tensor, "b 3 s s"], angle: Float[Tensor, "b"]) -> Float[Tensor, "b 3 s s"]:
    """Pictures turned about their middle, clockwise, radians: as if the object had turned about the optical axis."""
    c, s, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    back = torch.stack([torch.stack([c, s, zero], -1), torch.stack([-s, c, zero], -1)], -2).to(pictures)
    grid = torch.nn.functional.affine_grid(back, list(pictures.shape), align_corners=False)
    return grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _square(image: Float[Tensor, "h w 3"], box: Box, side: int) -> Float[Tensor, "3 s s"]:
    """The square about a box, on whole pixels."""
    height, width = image.shape[:2]
    size = max(1, round(max(box[2] - box[0], box[3] - box[1])))
    left, top = round((box[0] + box[2] - size) / 2), round((box[1] + box[3] - size) / 2)
    margin = max(0, -left, -top, left + size - width, top + size - height)
    whole = image.permute(2, 0, 1)[None]
    if margin:
        whole = pad(whole, (margin,) * 4, mode="replicate")
    part = whole[0, :, top + margin : top + margin + size, left + margin : left + margin + size]
    return resize_area(part.permute(1, 2, 0), side, side).permute(2, 0, 1).contiguous()
