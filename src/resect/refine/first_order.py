"""Adam on the tangent space, as published systems invert a field: fresh random rays, a falling learning rate.

Reference: Yen-Chen et al., "iNeRF: Inverting Neural Radiance Fields for Pose Estimation", IROS 2021: mean squared
colour error on 2048 (or 512) rays, rate 0.01 · 0.8^(k/100), 300 steps. Differs: the step is a twist δ in
exp(δ) @ cam_from_world, so the pose stays rigid; published code optimises an unnormalised screw.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.protocols import Objective
from resect.refine.first_order_settings import FirstOrderSettings as FirstOrderSettings
from resect.refine.moments import Moments
from resect.refine.pixels import choose, dilate, draw, keypoint_mask
from resect.refine.view import View
from resect.types import Render


def adam(
    view: View,
    start: SE3,
    settings: FirstOrderSettings,
    *,
    length: float = 1.0,
    seed: int = 0,
    objective: Objective | None = None,
    report: Callable[[int, SE3, Float[Tensor, "h"]], None] | None = None,
) -> SE3:
    """Steps H poses; each has its own moments.

    Args:
        length: world units that count as much as one radian; 1 as published.
        objective: what is minimised, summed, when it is not the mean squared colour difference; it sees all pixels.
        report: called with the number of the step, the poses after it, and the losses before it on its pixels.
    """
    pose, pick = start, _picker(view, settings, torch.Generator().manual_seed(seed))
    scale = torch.tensor([length] * 3 + [1.0] * 3).to(start.t)
    moments = Moments(scale.expand(len(start), 6), settings.betas)
    for step in range(settings.steps):
        loss, slope = _slope(view, pose, pick(), objective, settings.frame)
        rate = settings.rate * settings.decay ** ((step + 1) / 100)
        delta = -rate * scale * moments.direction(slope * scale)
        pose = pose.retract(delta, about=settings.frame)
        if report is not None:
            report(step + 1, pose, loss)
    return pose


def _picker(view: View, settings: FirstOrderSettings, generator: torch.Generator) -> Callable[[], Int[Tensor, "k"]]:
    """Draws the pixels of each step; keypoints are looked for once."""
    image, allowed = view.observed.unflatten(0, view.shape), (view.weight > 0.5).unflatten(0, view.shape)
    if settings.pixels not in ("interest_points", "interest_regions"):
        return lambda: choose(settings.pixels, image, settings.rays, generator, allowed)
    mask = keypoint_mask(image)
    mask = dilate(mask, settings.box, settings.growths) if settings.pixels == "interest_regions" else mask
    weight = allowed.double().cpu() * torch.where(mask, 1.0, 1e-9)
    return lambda: draw(weight.flatten(), settings.rays, generator)


def _slope(
    view: View, pose: SE3, index: Tensor, objective: Objective | None, frame: Literal["camera", "world"]
) -> tuple[Float[Tensor, "h"], Float[Tensor, "h 6"]]:
    """The loss, and its gradient with respect to δ, from the scene's derivatives and the objective's own gradient."""
    chosen = index if objective is None else None
    shown = view.sensitivity(pose, chosen)
    if objective is None:
        residual = shown.values - view.observed[None, index]
        outer = 2 * residual / residual[0].numel()
        loss = residual.square().mean((1, 2))
    else:
        loss, outer = _outer(view, shown.values, objective)
    by_camera = (outer[..., None] * shown.jacobian).sum((1, 2))
    if frame == "camera":
        return loss, by_camera
    return loss, (by_camera[:, None] @ pose.adjoint())[:, 0]


def _outer(view: View, values: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """The losses, and d loss / d values."""
    with torch.enable_grad():
        leaf = values.detach().requires_grad_()
        observed = view.observed[None]
        rgb = view.channel == "rgb"
        out = objective(
            Render(rgb=leaf) if rgb else Render(feature=leaf), Render(rgb=observed) if rgb else Render(feature=observed)
        )
        loss = 0.5 * out.square().flatten(1).sum(1) if objective.least_squares else out.flatten(1).sum(1)
        return loss.detach(), torch.autograd.grad(loss.sum(), leaf)[0]
