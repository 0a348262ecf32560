"""One camera from points and their pixels: robust start by RANSAC (pycolmap), then weighted Gauss–Newton of our own.

Ours, because it takes any lens through `Camera.rays`, weighs each point by how well it is known, can solve for the
focal length, and hands on the information of all of it.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import NotInstalledError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.landmarks.triangulate import across

_STEPS = 10
_LEAST_POINTS = 6
_ROBUST_SIGMAS = 2.0
_EFFICIENCY = 1.2673  # (E ψ′)² / (E ψ² E w) of that kernel for Gaussian errors: Σ w JᵀJ alone is too little information
_RAYLEIGH_MEDIAN = 1.1774  # of the length of a vector of two unit Gaussians
_SCALES = (0.3, 4.0)
_STILL_RAD = 1e-7


@dataclass(frozen=True, eq=False)
class Seen:
    """Points of the world and where a photo shows them.

    Attributes:
        points: world units.
        covariance: of each point, world units squared.
        pixels: in the photo, float64.
        sigma_px: expected standard deviation of a pixel's error, photo pixels.
    """

    points: Float[Tensor, "n 3"]
    covariance: Float[Tensor, "n 3 3"]
    pixels: Float[Tensor, "n 2"]
    sigma_px: float

    def __len__(self) -> int:
        return len(self.points)

    def take(self, keep: Bool[Tensor, "n"]) -> "Seen":
        """These points."""
        return Seen(self.points[keep], self.covariance[keep], self.pixels[keep], self.sigma_px)


@dataclass(frozen=True, eq=False)
class Solution:
    """A camera that explains points.

    Attributes:
        cam_from_world: the pose.
        camera: its intrinsics, the focal length refined if that was asked for.
        information: of δ = (v, ω) in exp(δ) @ cam_from_world, the focal length eliminated.
        error_px: of each point, photo pixels; ∞ behind the camera.
        sigma_px: standard deviation of a pixel's error as the residuals have it, photo pixels.
    """

    cam_from_world: SE3
    camera: Camera
    information: Float[Tensor, "6 6"]
    error_px: Float[Tensor, "n"]
    sigma_px: float


def first_pose(
    seen: Seen, camera: Camera, *, find_focal: bool, max_error_px: float, trials: int, seed: int
) -> tuple[SE3, Camera, Bool[Tensor, "n"]] | None:
    """LO-RANSAC over three points (four with unknown focal length); which points agree; `None` if none do.

    Raises:
        NotInstalledError: without pycolmap.
    """
    if len(seen) < _LEAST_POINTS:
        return None
    pycolmap = _pycolmap()
    rays = camera.rays(seen.pixels)
    ahead = rays[:, 2] > 0.1
    focal = 1 / camera.pixel_rad
    flat = rays[:, :2] / rays[:, 2:].clamp_min(0.1) * focal
    params = [focal, 0.0, 0.0]
    lens = pycolmap.Camera(model="SIMPLE_PINHOLE", width=camera.width, height=camera.height, params=params)
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.estimate_focal_length = find_focal
    options.ransac.max_error = max_error_px
    options.ransac.min_num_trials = min(100, trials)
    options.ransac.max_num_trials = trials
    options.ransac.random_seed = seed % (1 << 31)
    found = pycolmap.estimate_absolute_pose(flat[ahead].numpy(), seen.points[ahead].numpy(), lens, options)
    if found is None or found["num_inliers"] < _LEAST_POINTS:
        return None
    inliers = torch.zeros(len(seen), dtype=torch.bool)
    inliers[ahead] = torch.from_numpy(found["inlier_mask"])
    pose = SE3.from_matrix(torch.tensor(found["cam_from_world"].matrix(), dtype=torch.float64))
    return pose, camera.with_focal_scale(float(lens.params[0]) / focal), inliers


def refine(seen: Seen, cam_from_world: SE3, camera: Camera, *, find_focal: bool) -> Solution:
    """Least squares over all points with a Cauchy kernel of two standard deviations.

    A point's variance is that of its pixel plus that of its own place as seen from here; all are scaled together until
    the median residual is what a Gaussian has.
    """
    transform, scale = cam_from_world.double(), 1.0
    rays = camera.rays(seen.pixels)
    variance = _variance(seen, transform, camera, rays)
    for _ in range(_STEPS):
        r, j = _rows(seen, transform, camera, rays, find_focal)
        square = (r * r).sum(-1) / variance
        scale = min(max(float(square.median().sqrt()) / _RAYLEIGH_MEDIAN, _SCALES[0]), _SCALES[1])
        weight = _weight(square, variance, scale)
        tall = j.flatten(0, 1)
        weighed = (weight[:, None, None] * j).flatten(0, 1)
        normal, gradient = weighed.mT @ tall, weighed.mT @ r.flatten()
        damping = 1e-9 * normal.diagonal().clamp_min(1e-30).diag()
        delta = -torch.linalg.solve(normal + damping, gradient)
        if not bool(delta.isfinite().all()):
            break
        transform = transform.retract(delta[:6])
        if find_focal:
            camera = camera.with_focal_scale(float(delta[6].clamp(-0.2, 0.2).exp()))
            rays = camera.rays(seen.pixels)
        if float(delta[3:].norm()) < _STILL_RAD:
            break
    information = normal[:6, :6]
    if find_focal:
        information = information - normal[:6, 6:] @ normal[6:, :6] / normal[6, 6].clamp_min(1e-30)
    error = reprojection_px(seen, transform, camera)
    return Solution(transform, camera, _EFFICIENCY * information, error, seen.sigma_px * scale)


def weighed_rows(
    seen: Seen, solution: Solution
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2 6"], Float[Tensor, "n"]]:
    """Residuals in pixels at a solution, their derivatives by δ, and the weight of each point there."""
    rays = solution.camera.rays(seen.pixels)
    r, j = _rows(seen, solution.cam_from_world, solution.camera, rays, find_focal=False)
    variance = _variance(seen, solution.cam_from_world, solution.camera, rays)
    scale = solution.sigma_px / seen.sigma_px
    return r, j, _weight((r * r).sum(-1) / variance, variance, scale)


def reprojection_px(seen: Seen, cam_from_world: SE3, camera: Camera) -> Float[Tensor, "n"]:
    """Distance of each point's direction from its pixel's, in pixels at the image centre; ∞ behind the camera."""
    rays = camera.rays(seen.pixels)
    unit = torch.nn.functional.normalize(seen.points.double() @ cam_from_world.R.mT + cam_from_world.t, dim=-1)
    angle = torch.atan2(torch.linalg.cross(rays, unit).norm(dim=-1), (rays * unit).sum(-1))
    return torch.where(angle < 1.5, angle / camera.pixel_rad, torch.full_like(angle, torch.inf))


def _weight(square: Float[Tensor, "n"], variance: Float[Tensor, "n"], scale: float) -> Float[Tensor, "n"]:
    """Cauchy's, over the variance."""
    return 1 / (variance * (scale**2 + square / _ROBUST_SIGMAS**2))


def _rows(
    seen: Seen, transform: SE3, camera: Camera, rays: Float[Tensor, "n 3"], find_focal: bool
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2 p"]]:
    """Residuals in pixels and their derivatives by (v, ω) and log-focal.

    Products over the last dimension, no batched matrices: those start threads for a few numbers each.
    """
    p, plane, r, by_point = _toward(seen, transform, camera, rays)
    j = torch.cat([by_point, torch.linalg.cross(p[:, None, :].expand_as(by_point), by_point)], -1)
    if find_focal:
        step = 1e-4
        wider = camera.with_focal_scale(1 + step).rays(seen.pixels)
        j = torch.cat([j, -(plane * (wider - rays)[:, None, :]).sum(-1, keepdim=True) / step], -1)
    return r, j


def _toward(
    seen: Seen, transform: SE3, camera: Camera, rays: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 2 3"], Float[Tensor, "n 2"], Float[Tensor, "n 2 3"]]:
    """Points in the camera, axes across their rays per pixel, residuals, derivatives by the points in the camera."""
    p = seen.points @ transform.R.mT + transform.t
    length = p.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    unit = p / length
    plane = across(rays).mT / camera.pixel_rad
    r = (plane * unit[:, None, :]).sum(-1)
    return p, plane, r, (plane - r[:, :, None] * unit[:, None, :]) / length[:, :, None]


def _variance(seen: Seen, transform: SE3, camera: Camera, rays: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Of each residual coordinate: that of the pixel and that of the point's own place, the mean over both axes."""
    by_world = _toward(seen, transform, camera, rays)[3] @ transform.R
    spread = (by_world[:, :, None, :] * seen.covariance[:, None]).sum(-1)
    return seen.sigma_px**2 + 0.5 * (spread * by_world).sum((-1, -2))


def _pycolmap() -> Any:
    try:
        import pycolmap
    except ImportError:
        raise NotInstalledError("pycolmap", "all", "the pose from landmarks (PnP)") from None
    return pycolmap
