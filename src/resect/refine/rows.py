"""Terms of the least-squares problem as normal equations: the photo, pose information, up, landmarks, depth, focal."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.so3 import hat
from resect.refine import exposure
from resect.refine.levenberg_marquardt import LMSettings, Normal, State, System, levenberg_marquardt, total
from resect.refine.linearize import channel_of, pixel_motion
from resect.refine.lock import Lock
from resect.refine.objectives import Features, linearize
from resect.refine.robust import Robust
from resect.refine.view import View
from resect.types import Linearized


def normal_of(rows: Linearized, robust: Robust | None = None) -> Normal:
    """Normal equations of robust rows; plain squares without `robust`."""
    weight, loss = rows.weight, 0.5 * rows.weight * rows.residual.square()
    if robust is not None:
        loss = rows.weight * robust.loss(rows.residual)
        weight = weight * robust.weight(rows.residual)
    weighted = (rows.jacobian * weight[..., None]).mT
    matrix, gradient = weighted @ rows.jacobian, (weighted @ rows.residual[..., None])[..., 0]
    return Normal(matrix.double(), gradient.double(), loss.sum(1).double())


def photometric(
    view: View,
    objective: Features,
    robust: Robust,
    *,
    index: Int[Tensor, "k"] | None = None,
    draw: "DrawPixels | None" = None,
    prior: exposure.Exposure | None = None,
    focal: bool = False,
    strength: float = 1.0,
) -> System:
    """The photo against the render.

    Args:
        objective: what is compared; one with a grid needs all pixels.
        index: pixels compared, all by default.
        draw: draws fresh pixels for each step instead.
        prior: whether gain and bias per channel are fitted and eliminated, and how far they may be from (1, 0); only
            with plain colour (`Difference`).
        focal: whether the first extra parameter is the logarithm of the focal length.
        strength: what the squares are multiplied by, so that they weigh against rows of known σ: the number of
            independent pixels over the number of rows times the variance of a residual.
    """
    fixed = None if draw is not None else _target(view, objective, index)

    def system(state: State) -> Normal:
        chosen = index if draw is None else draw(state.step)
        target, weight = fixed if fixed is not None else _target(view, objective, chosen)
        shown = view.sensitivity(state.cam_from_world, chosen, state.extra[:, 0] if focal else None)
        if prior is None:
            normal = normal_of(linearize(objective, shown, target, weight), robust)
        else:
            observed = view.observed[None] if chosen is None else view.observed[None, chosen]
            normal = _with_exposure(shown.values, shown.jacobian, observed, weight, robust, prior)
        return normal if strength == 1 else normal.scaled(strength)

    return system


class DrawPixels:
    """Pixels for each step, the same for the same step and seed.

    Args:
        weight: chance of each pixel.
        count: how many.
        seed: of the generator.
    """

    def __init__(self, weight: Float[Tensor, "n"], count: int, seed: int) -> None:
        self.weight, self.count, self.seed = weight.cpu(), count, seed

    def __call__(self, step: int) -> Int[Tensor, "k"]:
        """Indices for this step."""
        from resect.refine.pixels import draw

        return draw(self.weight, self.count, torch.Generator().manual_seed(self.seed * 10007 + step))


def _target(view: View, objective: Features, index: Tensor | None) -> tuple[Tensor, Tensor | None]:
    observed = view.observed if index is None else view.observed[index]
    target = objective.of(observed[None])
    if bool((view.weight == 1).all()):
        return target, None
    weight = view.weight if index is None else view.weight[index]
    repeated = weight[:, None].expand_as(observed)[None].contiguous()
    full = repeated.flatten(1) if repeated[0].numel() == target.shape[1] else objective.of(repeated)
    return target, full if repeated[0].numel() == target.shape[1] else torch.ones_like(target)


def _with_exposure(
    values: Tensor, jacobian: Tensor, observed: Tensor, base: Tensor | None, robust: Robust, prior: exposure.Exposure
) -> Normal:
    """Gain and bias by reweighting from plain squares, then the step with their columns eliminated."""
    ones = torch.ones_like(values) if base is None else base.reshape(1, *values.shape[1:]).expand_as(values)
    weight, residual, gain = ones, values - observed, ones
    for _ in range(3):
        gain_bias = exposure.fit(values, observed, weight, prior)
        gain, bias = gain_bias[:, None, :, 0], gain_bias[:, None, :, 1]
        residual = gain * values + bias - observed
        weight = ones * robust.weight(residual)
    scaled = gain[..., None] * jacobian
    flat, w = scaled.flatten(1, 2), weight.flatten(1)
    weighted = (flat * w[..., None]).mT
    matrix = exposure.eliminate(weighted @ flat, scaled, values, weight, prior)
    gradient = (weighted @ residual.flatten(1)[..., None])[..., 0]
    loss = (ones * robust.loss(residual)).flatten(1).sum(1)
    return Normal(matrix.double(), gradient.double(), loss.double())


def pose_information(mean: SE3, information: Float[Tensor, "h 6 6"]) -> System:
    """½ eᵀ Λ e with e = log(cam_from_world @ mean⁻¹): what is known of each pose beforehand."""
    mean, information = mean.double(), information.double()

    def system(state: State) -> Normal:
        offset = state.cam_from_world.double() @ mean[state.index].inverse()
        error, jacobian = offset.log(), offset.inverse_left_jacobian()
        weighted = jacobian.mT @ information[state.index]
        force = (weighted @ error[..., None])[..., 0]
        return Normal(weighted @ jacobian, force, _half_square(error, information[state.index]))

    return system


def pose_loss(poses: SE3, mean: SE3, information: Float[Tensor, "h 6 6"]) -> Float[Tensor, "h"]:
    """The loss of `pose_information` alone."""
    return _half_square((poses.double() @ mean.double().inverse()).log(), information.double())


def _half_square(error: Float[Tensor, "h 6"], information: Float[Tensor, "h 6 6"]) -> Float[Tensor, "h"]:
    return 0.5 * (error * (information @ error[..., None])[..., 0]).sum(-1)


def fuse(poses: SE3, terms: Sequence[System], lock: Lock | None = None) -> tuple[SE3, Float[Tensor, "h 6 6"]]:
    """The most likely poses under several terms in units of σ, from poses close to it, and their information."""
    system = total(terms)
    settings = LMSettings(steps=8, damping=1e-9, trust=10.0, stop=1e-9)
    end = levenberg_marquardt(system, poses.double(), settings, lock=lock)
    nothing = torch.zeros(len(poses), 0, dtype=torch.float64)
    normal = system(State(end.cam_from_world, nothing, torch.arange(len(poses)), 0))
    information = normal.matrix if lock is None else lock.firm(end.cam_from_world, normal.matrix)
    return SE3(end.cam_from_world.R.to(poses.R), end.cam_from_world.t.to(poses.t)), information


def intersect(
    a: Float[Tensor, "h 6 6"], b: Float[Tensor, "h 6 6"]
) -> tuple[Float[Tensor, "h 6 6"], Float[Tensor, "h 6 6"]]:
    """ω a and (1 − ω) b: what two sources say whose errors may be correlated in any way; their sum overstates nothing.

    ω, of eleven, is the one whose sum has the largest determinant; where one source knows far more it counts whole.

    Reference: Julier and Uhlmann, "A non-divergent estimation algorithm in the presence of unknown correlations", ACC
    1997 (covariance intersection).
    """
    share = torch.linspace(0, 1, 11, dtype=torch.float64, device=a.device)[:, None, None, None]
    sums = share * a.double() + (1 - share) * b.double()
    best = share.flatten()[torch.linalg.slogdet(sums).logabsdet.nan_to_num(-torch.inf).argmax(0)][:, None, None]
    return (best * a.double()).to(a), ((1 - best) * b.double()).to(b)


def up_direction(up_world: Float[Tensor, "3"], up_cam: Float[Tensor, "3"], sigma_rad: float) -> System:
    """The world's up as the camera's accelerometer saw it: residual (R up_world − up_cam) / σ."""

    def system(state: State) -> Normal:
        seen = state.cam_from_world.double().R @ torch.nn.functional.normalize(up_world.double(), dim=0)
        residual = (seen - torch.nn.functional.normalize(up_cam.double(), dim=0)) / sigma_rad
        turning = -hat(seen) / sigma_rad
        jacobian = torch.cat([torch.zeros_like(turning), turning], -1)
        return normal_of(Linearized(residual, jacobian, torch.ones_like(residual), ()))

    return system


def landmarks(
    points: Float[Tensor, "n 3"],
    pixels: Float[Tensor, "n 2"],
    camera: Camera,
    sigma_px: float,
    robust: Robust | None = None,
) -> System:
    """Known points against the pixels they were found at, for any lens.

    The residual is measured across the pixel's ray: f Eᵀ X/|X| / σ, with E two directions across the ray and f the
    focal length in pixels; at the image centre it is the reprojection error in pixels. Points behind do not count.
    """
    rays = camera.rays(pixels.double())
    spare = torch.zeros_like(rays).scatter_(-1, rays.abs().argmin(-1, keepdim=True), 1.0)
    first = torch.nn.functional.normalize(torch.linalg.cross(rays, spare), dim=-1)
    across = torch.stack([first, torch.linalg.cross(rays, first)], -2) / (camera.pixel_rad * sigma_px)
    world = points.double()
    kind = robust or Robust("cauchy", 2.0)

    def system(state: State) -> Normal:
        pose = state.cam_from_world.double()
        inside = pose.apply(world.expand(len(pose), -1, -1))
        distance = inside.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        unit = inside / distance
        residual = (across @ unit[..., None])[..., 0]
        by_point = (across - residual[..., None] * unit[..., None, :]) / distance[..., None]
        turning = torch.linalg.cross(inside[..., None, :].expand_as(by_point), by_point, dim=-1)
        jacobian = torch.cat([by_point, turning], -1)
        ahead = ((unit * rays).sum(-1) > 0).double().repeat_interleave(2, -1)
        return normal_of(Linearized(residual.flatten(1), jacobian.flatten(1, 2), ahead, ()), kind)

    return system


def depth(
    view: View, observed: Float[Tensor, "n"], sigma: float | Float[Tensor, "n"], robust: Robust | None = None
) -> System:
    """Rendered against measured depth along the optical axis: residual (render − photo) / σ, where both are known.

    The depth at a pixel changes because the seen point moves along the axis and because the depth image is carried
    along: dD = motion_z − ∇D · ∂π/∂δ.
    """
    kind = robust or Robust("cauchy", 2.0)
    h, w = view.shape
    pixels = view.pixels()
    rays = view.camera.rays(pixels)
    per_depth = rays / rays[:, 2:].clamp_min(1e-6)

    def system(state: State) -> Normal:
        shown = channel_of(view.render(state.cam_from_world, ("depth",)), "depth")[..., 0]
        dy, dx = torch.gradient(shown.unflatten(1, (h, w)), dim=(1, 2))
        slope = torch.stack([dx, dy], -1).flatten(1, 2)
        carried = (slope[..., None, :] @ pixel_motion(view.camera, pixels, shown))[..., 0, :]
        x, y, z = (per_depth * shown[..., None]).unbind(-1)
        zero, one = torch.zeros_like(z), torch.ones_like(z)
        along = torch.stack([zero, zero, one, y, -x, zero], -1)
        smooth = slope.norm(dim=-1) < 0.1 * shown
        known = ((shown > 0) & (observed > 0) & smooth).to(shown)
        residual = (shown - observed) / sigma * known
        jacobian = (along - carried) / torch.as_tensor(sigma, dtype=shown.dtype, device=shown.device)[..., None]
        return normal_of(Linearized(residual, jacobian, known, ()), kind)

    return system


def focal_prior(sigma: float) -> System:
    """½ (log f / σ)²: how far the focal length may be from where it started."""

    def system(state: State) -> Normal:
        h, value = len(state.extra), state.extra[:, 0]
        matrix, gradient = torch.zeros(h, 7, 7).to(value), torch.zeros(h, 7).to(value)
        matrix[:, 6, 6], gradient[:, 6] = 1 / sigma**2, value / sigma**2
        return Normal(matrix, gradient, 0.5 * (value / sigma) ** 2)

    return system
