"""What a camera carried over flat ground knows: its height, as a term that poses are held to."""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.refine.levenberg_marquardt import Normal, State, System
from resect.refine.rows import normal_of
from resect.types import Linearized


def camera_height(up_world: Float[Tensor, "3"], ground: float, height: float, sigma: float) -> System:
    """The camera's centre is `height` over the ground: residual (c · up − ground − height) / σ.

    c · up = −(R up) · t changes by −(R up) · v only: turning the camera about itself moves no centre.

    Args:
        up_world: of the world.
        ground: coordinate of the ground along it, world units.
        height: over the ground, world units.
        sigma: standard deviation, world units.
    """
    up = torch.nn.functional.normalize(up_world.double(), dim=0)

    def system(state: State) -> Normal:
        pose = state.cam_from_world.double()
        seen = pose.R @ up
        residual = (-(seen * pose.t).sum(-1, keepdim=True) - ground - height) / sigma
        jacobian = torch.cat([-seen, torch.zeros_like(seen)], -1)[:, None] / sigma
        return normal_of(Linearized(residual, jacobian, torch.ones_like(residual), ()))

    return system
