"""Cameras: pinhole, OpenCV radial-tangential(-rational) and fisheye lenses, projection and its inverse.

The pixel origin is the image corner: the first pixel's centre is (0.5, 0.5), so resizing scales fx, fy, cx, cy
linearly. A `Camera` is one camera in plain numbers; poses carry the batch dimensions.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError

CameraModel = Literal["pinhole", "opencv", "fisheye"]
_NEWTON_STEPS = 20


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one camera.

    Attributes:
        fx: focal length in pixels along x; > 0.
        fy: focal length in pixels along y; > 0.
        cx: principal point in pixels from the left image edge.
        cy: principal point in pixels from the upper image edge.
        width: image width in pixels.
        height: image height in pixels.
        model: lens model. "opencv" is k1 k2 p1 p2 k3 k4 k5 k6 of OpenCV (COLMAP's OPENCV and FULL_OPENCV), "fisheye"
            is k1…k4 of OpenCV's fisheye (Kannala–Brandt, COLMAP's OPENCV_FISHEYE).
        distortion: the lens model's numbers; missing ones at the end are zero.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    model: CameraModel = "pinhole"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(math.isfinite(x) for x in numbers):
            raise ResectError("camera", "finite intrinsics", str(numbers))
        if self.fx <= 0 or self.fy <= 0 or self.width < 1 or self.height < 1:
            got = f"fx {self.fx}, fy {self.fy}, size {self.width}x{self.height}"
            raise ResectError("camera", "positive focal lengths and a positive size", got)
        if self.model not in get_args(CameraModel):
            raise ResectError("camera model", f"one of {get_args(CameraModel)}", repr(self.model))
        most = {"pinhole": 0, "opencv": 8, "fisheye": 4}[self.model]
        if len(self.distortion) > most:
            raise ResectError("camera", f"at most {most} distortion numbers", str(len(self.distortion)))

    @classmethod
    def from_fov(cls, fov_rad: float, width: int, height: int) -> "Camera":
        """Square pixels, centred, from the horizontal field of view in radians."""
        if not 0 < fov_rad < math.pi:
            raise ResectError("fov", "an angle between 0 and 180 degrees", f"{math.degrees(fov_rad):.1f} degrees")
        focal = 0.5 * width / math.tan(0.5 * fov_rad)
        return cls(focal, focal, width / 2, height / 2, width, height)

    @property
    def matrix(self) -> Float[Tensor, "3 3"]:
        """K, float64."""
        rows = [[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]]
        return torch.tensor(rows, dtype=torch.float64)

    @property
    def pixel_rad(self) -> float:
        """Angle that one pixel spans at the image centre, radians."""
        return 2.0 / (self.fx + self.fy)

    def rescale(self, width: int, height: int) -> "Camera":
        """The camera of the same picture resized to `width` × `height`."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy, width=width, height=height
        )

    def fit_within(self, max_side: int) -> "Camera":
        """Resized so that the longer side has at most `max_side` pixels; never enlarged."""
        scale = min(1.0, max_side / max(self.width, self.height))
        return self.rescale(max(1, round(self.width * scale)), max(1, round(self.height * scale)))

    def crop(self, left: int, top: int, width: int, height: int) -> "Camera":
        """The camera of the cut-out whose corner is (left, top) pixels."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def with_focal_scale(self, factor: float) -> "Camera":
        """Both focal lengths times `factor`."""
        return replace(self, fx=self.fx * factor, fy=self.fy * factor)

    def pixels(self, stride: int = 1, dtype: torch.dtype = torch.float32) -> Float[Tensor, "n 2"]:
        """Centres (x, y) of all pixels in row order, or of every `stride`-th row and column."""
        x = torch.arange(0, self.width, stride, dtype=dtype) + 0.5
        y = torch.arange(0, self.height, stride, dtype=dtype) + 0.5
        gy, gx = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([gx, gy], -1).reshape(-1, 2)

    def project(self, points: Float[Tensor, "*b 3"]) -> tuple[Float[Tensor, "*b 2"], Bool[Tensor, "*b"]]:
        """Pixels of points in the camera frame, and whether each lies before the camera, within the lens's range and
        within the image. Pixels of invalid points are finite but mean nothing.
        """
        x, y, z = points.unbind(-1)
        ahead = z > 1e-9 * points.norm(dim=-1) if self.model != "fisheye" else points.norm(dim=-1) > 0
        if self.model == "fisheye":
            r2 = x * x + y * y
            on_axis = r2 < 1e-14 * z * z  # θ/r tends to 1/z there; the double `where` keeps its gradient finite
            radius = torch.where(on_axis | ~ahead, torch.ones_like(r2), r2).sqrt()
            theta = torch.atan2(radius, z)
            theta = torch.where(on_axis, torch.where(z > 0, 0.0, math.pi).to(theta), theta)
            inside = theta < self._max_angle
            near = 1 / torch.where(on_axis & ahead, z, torch.ones_like(z))
            gain = torch.where(on_axis, near, self._fisheye_radius(theta) / radius)
            u, v = x * gain, y * gain
        else:
            safe = torch.where(ahead, z, torch.ones_like(z))
            u, v = x / safe, y / safe
            inside = u * u + v * v < self._max_radius**2
            u, v = self._distort(u, v)
        px = torch.stack([self.fx * u + self.cx, self.fy * v + self.cy], -1)
        ahead = ahead & inside
        px = torch.where(ahead[..., None], px, torch.full_like(px, -1.0))
        within = (px >= 0).all(-1) & (px[..., 0] < self.width) & (px[..., 1] < self.height)
        return px, ahead & within

    def rays(self, pixels: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
        """Unit directions in the camera frame through pixels; the inverse of `project`.

        Newton's method on the distortion, in float64. A pixel beyond the lens's range gets the direction at its edge.
        """
        x = (pixels[..., 0].double() - self.cx) / self.fx
        y = (pixels[..., 1].double() - self.cy) / self.fy
        if self.model == "fisheye":
            return self._fisheye_rays(x, y).to(pixels)
        u, v = self._undistort(x, y) if any(self.distortion) else (x, y)
        direction = torch.stack([u, v, torch.ones_like(u)], -1)
        return torch.nn.functional.normalize(direction, dim=-1).to(pixels)

    def _coefficients(self, count: int) -> tuple[float, ...]:
        return self.distortion + (0.0,) * (count - len(self.distortion))

    def _distort(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if not any(self.distortion):
            return u, v
        k1, k2, p1, p2, k3, k4, k5, k6 = self._coefficients(8)
        r2 = u * u + v * v
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        x = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
        return x, v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v

    def _undistort(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        k1, k2, p1, p2, k3, k4, k5, k6 = self._coefficients(8)
        u, v = x.clone(), y.clone()
        limit = 0.999 * self._max_radius
        for _ in range(_NEWTON_STEPS):
            r2 = u * u + v * v
            top, bottom = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
            radial = top / bottom
            slope = ((k1 + r2 * (2 * k2 + 3 * r2 * k3)) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))) / bottom
            dx, dy = self._distort(u, v)
            j11 = radial + 2 * u * u * slope + 2 * p1 * v + 6 * p2 * u
            j12 = 2 * u * v * slope + 2 * p1 * u + 2 * p2 * v
            j22 = radial + 2 * v * v * slope + 6 * p1 * v + 2 * p2 * u
            ex, ey = dx - x, dy - y
            det = j11 * j22 - j12 * j12
            det = torch.where(det.abs() < 1e-12, torch.full_like(det, 1e-12), det)
            u, v = u - (j22 * ex - j12 * ey) / det, v - (j11 * ey - j12 * ex) / det
            shrink = (limit / torch.hypot(u, v).clamp_min(1e-30)).clamp_max(1.0)
            u, v = u * shrink, v * shrink
            if bool((torch.maximum(ex.abs(), ey.abs()) < 1e-13).all()):
                break
        return u, v

    def _fisheye_radius(self, theta: Tensor) -> Tensor:
        k1, k2, k3, k4 = self._coefficients(4)
        t2 = theta * theta
        return theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))

    def _fisheye_rays(self, x: Tensor, y: Tensor) -> Tensor:
        k1, k2, k3, k4 = self._coefficients(4)
        radius = torch.hypot(x, y)
        theta = radius.clamp_max(self._max_angle)
        for _ in range(_NEWTON_STEPS):
            t2 = theta * theta
            slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
            slope = torch.where(slope.abs() < 1e-9, torch.full_like(slope, 1e-9), slope)
            theta = (theta - (self._fisheye_radius(theta) - radius) / slope).clamp(0.0, self._max_angle)
        sin = torch.where(radius > 1e-12, theta.sin() / radius.clamp_min(1e-12), torch.ones_like(radius))
        return torch.stack([x * sin, y * sin, theta.cos()], -1)

    @property
    def _max_radius(self) -> float:
        return _max_radius(self._coefficients(8)) if self.model == "opencv" else math.inf

    @property
    def _max_angle(self) -> float:
        return _max_angle(self._coefficients(4))


@lru_cache(maxsize=256)
def _max_radius(k: tuple[float, ...]) -> float:
    """Undistorted radius up to which r·radial(r²) grows; beyond it the polynomial folds back. ∞ if it never does."""
    if not any(k):
        return math.inf
    r = torch.linspace(0, 20, 40001, dtype=torch.float64)
    r2 = r * r
    top, bottom = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4])), 1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7]))
    falling = (torch.diff(r * top / bottom) <= 0) | (bottom[1:] <= 0)
    return float(r[int(falling.nonzero()[0, 0])]) if bool(falling.any()) else math.inf


@lru_cache(maxsize=256)
def _max_angle(k: tuple[float, ...]) -> float:
    """Angle from the optical axis up to which the fisheye polynomial grows, at most π."""
    theta = torch.linspace(0, math.pi, 20001, dtype=torch.float64)
    t2 = theta * theta
    falling = torch.diff(theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))))) <= 0
    return float(theta[int(falling.nonzero()[0, 0])]) if bool(falling.any()) else math.pi
