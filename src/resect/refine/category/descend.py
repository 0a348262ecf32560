"""Adam on pose and code for every start at once, on whole pictures, as published.

Published i-σSRN steps three Euler angles and the camera's centre at 0.01; here the step is a twist about the middle of
what is seen, so that turns keep it in view. Every start has its own moments.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.category.losses import image_loss
from resect.refine.category.settings import CategorySettings
from resect.refine.category.term import Codes
from resect.refine.moments import Moments
from resect.refine.view import View

_RAYS = 1 << 15  # with derivatives at a time


def descend(
    view: View,
    start: SE3,
    codes: Codes,
    settings: CategorySettings,
    middle: Float[Tensor, "3"],
    report: Callable[[int, SE3, Tensor], None] | None = None,
) -> tuple[SE3, Float[Tensor, "h k"]]:
    """Poses and coordinates of codes after all steps; `report` is called with step, poses and losses."""
    pose, coordinates = start, codes.start().to(start.t)
    moments = Moments(torch.zeros(len(start), 6 + coordinates.shape[1]).to(start.t))
    for step in range(settings.adam_steps):
        loss, slope = _slope(view, pose, coordinates, codes, settings, middle)
        if report is not None:
            report(step, pose, loss)
        move = -settings.adam_rate * moments.direction(slope)
        pose = pose.retract(move[:, :6], about=middle.to(pose.t))
        coordinates = coordinates + move[:, 6:]
    return pose, coordinates


def _slope(
    view: View, pose: SE3, coordinates: Tensor, codes: Codes, settings: CategorySettings, middle: Tensor
) -> tuple[Float[Tensor, "h"], Float[Tensor, "h p"]]:
    """Loss of each start and its gradient, a few starts at a time."""
    losses, slopes = [], []
    for rows in torch.arange(len(pose)).split(max(1, _RAYS // len(view.observed))):
        with torch.enable_grad():
            move = torch.zeros(len(rows), 6 + coordinates.shape[1]).to(pose.t).requires_grad_()
            moved = pose[rows].retract(move[:, :6], about=middle.to(pose.t))
            code = codes.at(coordinates[rows] + move[:, 6:], rows)
            shown = view.shown(moved, None, code)
            weight = view.weight[None, :, None]
            target = view.observed
            loss = image_loss(settings.loss, weight * shown + (1 - weight) * target, target, view.shape)
            slopes.append(torch.autograd.grad(loss.sum(), move)[0])
        losses.append(loss.detach())
    return torch.cat(losses), torch.cat(slopes)
