"""What other people's files mean. Readers convert with these tables; nothing else in resect flips or shifts.

Inside resect: OpenCV camera axes (+x right, +y down, +z forward), `cam_from_world`, quaternions wxyz with w ≥ 0, the
first pixel's centre at (0.5, 0.5).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import unknown_name
from resect.geometry.se3 import SE3

PIXEL_OFFSET: dict[str, float] = {
    "colmap": 0.0,
    "nerfstudio": 0.0,
    "instant-ngp": 0.0,
    "blender": 0.0,
    "7scenes-colmap": 0.0,
    "opencv": 0.5,
    "7scenes": 0.5,
    "bop": 0.5,
    "tum": 0.5,
    "kitti": 0.5,
    "srn": 0.5,
    "props": 0.5,
    "llff": 0.5,
}
"""What to add to a file's cx and cy: 0 where its pixel origin is the image corner, 0.5 where it is a pixel's centre."""

OPENGL: Float[Tensor, "3"] = torch.tensor([1.0, -1.0, -1.0])
"""Signs of OpenCV axes seen from an OpenGL camera (+x right, +y up, +z backward); its own inverse."""


def pixel_offset(format_name: str) -> float:
    """The half-pixel rule of a format, added to cx and cy when reading and subtracted when writing."""
    if format_name not in PIXEL_OFFSET:
        raise unknown_name("pixel_offset", format_name, PIXEL_OFFSET)
    return PIXEL_OFFSET[format_name]


def flip_opengl(transform: SE3, side: Literal["world_from_cam", "cam_from_world"]) -> SE3:
    """Between an OpenGL camera and an OpenCV camera (the same flip both ways)."""
    sign = OPENGL.to(transform.t)
    if side == "world_from_cam":
        return SE3(transform.R * sign, transform.t)
    return SE3(sign[:, None] * transform.R, sign * transform.t)


def world_from_cam_llff(matrix: Float[Tensor, "*b 3 4"]) -> SE3:
    """OpenCV `world_from_cam` from LLFF columns (down, right, backward, centre)."""
    down, right, backward, center = matrix.unbind(-1)
    return SE3(torch.stack([right, down, -backward], -1), center)


def wxyz_from_xyzw(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Scalar-last (TUM, ROS, SciPy) to scalar-first quaternions."""
    return torch.cat([q[..., 3:], q[..., :3]], -1)


def xyzw_from_wxyz(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Scalar-first to scalar-last quaternions."""
    return torch.cat([q[..., 1:], q[..., :1]], -1)
