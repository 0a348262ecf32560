"""A camera as the z-buffer needs it: a pinhole plane of its own focal lengths, and what the lens does to pixels."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry.camera import Camera

_WIDEST = 0.05  # rays farther from the axis than this cosine (87°) are not on the plane


@dataclass(frozen=True)
class Lens:
    """The pinhole plane of a camera. Without distortion its points are the pixels themselves."""

    camera: Camera

    @property
    def straight(self) -> bool:
        """Whether pixels are points of the plane."""
        return self.camera.model != "fisheye" and not any(self.camera.distortion)

    def on_plane(self, pixels: Float[Tensor, "n 2"]) -> tuple[Float[Tensor, "n 2"], Bool[Tensor, "n"]]:
        """Where the rays through pixels meet the plane, and whether they do (those within 87° of the axis)."""
        pixels = pixels.double()
        if self.straight:
            return pixels, torch.ones(len(pixels), dtype=torch.bool, device=pixels.device)
        ray = self.camera.rays(pixels)
        meets = ray[:, 2] > _WIDEST
        flat = ray[:, :2] / ray[:, 2:].clamp_min(_WIDEST)
        c = self.camera
        plane = flat * flat.new_tensor([c.fx, c.fy]) + flat.new_tensor([c.cx, c.cy])
        return plane, meets

    def homogeneous(self, points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """K X of points in the camera's frame."""
        c, (x, y, z) = self.camera, points.unbind(-1)
        return torch.stack([c.fx * x + c.cx * z, c.fy * y + c.cy * z, z], -1)

    def rays(self, plane: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
        """(x, y, 1) of points of the plane."""
        c = self.camera
        x, y = (plane[:, 0] - c.cx) / c.fx, (plane[:, 1] - c.cy) / c.fy
        return torch.stack([x, y, torch.ones_like(x)], -1)

    def project(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n 2"], Bool[Tensor, "n"]]:
        """Pixels, outside of the image too, and whether they mean anything."""
        if self.straight:
            p = self.homogeneous(points)
            return p[:, :2] / p[:, 2:], points[:, 2] > 0
        c, wide = self.camera, 100 * max(self.camera.width, self.camera.height)
        larger = replace(c, cx=c.cx + wide, cy=c.cy + wide, width=c.width + 2 * wide, height=c.height + 2 * wide)
        pixels, valid = larger.project(points)
        return pixels - wide, valid

    def derivative(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2 3"]:
        """∂π(X)/∂X."""
        if self.straight:
            x, y, z = points.unbind(-1)
            zero = torch.zeros_like(z)
            c = self.camera
            rows = [c.fx / z, zero, -c.fx * x / z**2, zero, c.fy / z, -c.fy * y / z**2]
            return torch.stack(rows, -1).unflatten(-1, (2, 3))
        axes = torch.eye(3, dtype=points.dtype, device=points.device)
        columns = [torch.func.jvp(lambda p: self.project(p)[0], (points,), (a.expand_as(points),))[1] for a in axes]
        return torch.stack(columns, -1)
