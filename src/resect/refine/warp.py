"""Inverse-compositional alignment: one render with depth, then only the photo is warped.

The render T at P₀ gives points X; the photo is read where exp(ξ) X projects to. Each step solves
∇T ∂π/∂ξ Δ = I(π(exp(ξ) X)) − T and composes exp(ξ) ← exp(ξ) exp(−Δ); the Jacobian stays.

Reference: Baker and Matthews, "Lucas–Kanade 20 Years On", IJCV 2004, section 3.2; with robust weights, which they add
in part 2, and rendered depth in place of a planar warp.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import Normal, solve
from resect.refine.linearize import channel_of, pixel_motion
from resect.refine.objectives import blur
from resect.refine.robust import Robust
from resect.refine.view import View


@dataclass(frozen=True)
class WarpSettings:
    """How to align.

    Attributes:
        sigmas_px: blur of render and photo, coarse to fine.
        steps: most steps at each blur.
        scale: of the Cauchy loss.
        stop: a step shorter than this, |(v / length, ω)|, ends a blur level.
        depth_jump: relative change of depth to a neighbour beyond which a pixel is left out.
    """

    sigmas_px: tuple[float, ...] = (2.0, 1.0, 0.5)
    steps: int = 10
    scale: float = 0.1
    stop: float = 1e-5
    depth_jump: float = 0.05


def inverse_compositional(view: View, start: SE3, settings: WarpSettings, *, length: float = 1.0) -> SE3:
    """Aligns H poses, each from one render."""
    render = view.render(start, (view.channel, "depth"))
    depth = channel_of(render, "depth")[..., 0]
    rays = view.camera.rays(view.pixels()).to(depth)
    points = rays / rays[:, 2:].clamp_min(1e-6) * depth[..., None]
    usable = (smooth_depth(depth.unflatten(1, view.shape), settings.depth_jump).flatten(1) * view.weight)[..., None]
    motion = pixel_motion(view.camera, view.pixels(), depth)
    moved = SE3.identity(len(start), dtype=torch.float64, device=depth.device)
    for sigma in settings.sigmas_px:
        shown, photo = (
            blur(x.unflatten(1, view.shape), sigma) for x in (channel_of(render, view.channel), view.observed[None])
        )
        dy, dx = torch.gradient(shown, dim=(1, 2))
        jacobian = (torch.stack([dx, dy], -1).flatten(1, 2) @ motion).flatten(1, 2)
        moved = _settle(view.camera, moved, points, shown.flatten(1, 2), photo, jacobian, usable, settings, length)
    result = moved @ start.double()
    return SE3(result.R.to(start.R), result.t.to(start.t))


def smooth_depth(depth: Float[Tensor, "h y x"], jump: float) -> Float[Tensor, "h y x"]:
    """1 where the depth is known and close to that of all neighbours, else 0."""
    padded = depth[:, None]
    high = torch.nn.functional.max_pool2d(padded, 3, stride=1, padding=1)[:, 0]
    low = -torch.nn.functional.max_pool2d(-padded, 3, stride=1, padding=1)[:, 0]
    return ((low > 0) & (high - low < jump * depth)).to(depth)


def _settle(
    camera: Camera,
    moved: SE3,
    points: Tensor,
    template: Tensor,
    photo: Tensor,
    jacobian: Tensor,
    usable: Tensor,
    settings: WarpSettings,
    length: float,
) -> SE3:
    robust = Robust("cauchy", settings.scale)
    free = torch.ones(6, dtype=torch.bool, device=points.device)
    damping = torch.full((len(points),), 1e-4, dtype=torch.float64, device=points.device)
    planes = photo.movedim(-1, 1).expand(len(points), -1, -1, -1)
    for _ in range(settings.steps):
        pose = SE3(moved.R.to(points), moved.t.to(points))
        pixels, inside = camera.project(pose.apply(points))
        seen = sample(planes, pixels, camera)
        residual = (seen - template) * inside[..., None]
        weight = (robust.weight(residual) * usable * inside[..., None]).flatten(1)
        weighted = (jacobian * weight[..., None]).mT
        gradient = (weighted @ residual.flatten(1)[..., None])[..., 0].double()
        step, _ = solve(Normal((weighted @ jacobian).double(), -gradient, gradient.sum(1)), damping, free)
        moved = moved @ SE3.exp(-step)
        size = torch.cat([step[:, :3] / length, step[:, 3:]], -1).norm(dim=-1)
        if float(size.max()) < settings.stop:
            break
    return moved


def sample(planes: Float[Tensor, "h c y x"], pixels: Float[Tensor, "h n 2"], camera: Camera) -> Float[Tensor, "h n c"]:
    """Bilinear values at pixels; beyond the edge, those of the edge."""
    size = torch.tensor([camera.width, camera.height], dtype=pixels.dtype, device=pixels.device)
    grid = (2 * pixels / size - 1)[:, None]
    found = torch.nn.functional.grid_sample(planes, grid, "bilinear", "border", align_corners=False)
    return found[:, :, 0].mT
