"""The focal length along with the pose, for photos whose camera is only guessed."""

import torch

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt, total
from resect.refine.objectives import Blurred, Features, GradientDomain
from resect.refine.recipe import Work
from resect.refine.robust import Robust
from resect.refine.rows import focal_prior, photometric

_BLUR_PX = 1.5


def solve_focal(work: Work, start: SE3, sigma: float) -> tuple[SE3, float]:
    """One pose and the logarithm of the factor of the focal length, coarse to fine.

    Args:
        work: the photo in hand, with the guessed camera.
        start: one pose, with a batch dimension of one.
        sigma: standard deviation of that logarithm.
    """
    s = work.settings
    pose, extra = start, torch.zeros(1, 1, dtype=torch.float64)
    with work.meter.stage("focal"):
        for side in (s.coarse_side, s.fine_side, s.polish_side):
            at = work.view(side)
            last = side == s.polish_side
            blurred = Blurred(*at.shape, _BLUR_PX, at.channel)
            objective: Features = GradientDomain(*at.shape, at.channel) if last else blurred
            robust = Robust("cauchy", s.gradient_scale if last else s.search.robust)
            # As if 100 pixels had independent errors of the size of the robust scale.
            strength = 100 / at.observed.numel() / robust.scale**2
            photo = photometric(at, objective, robust, focal=True, strength=strength)
            steps = LMSettings(steps=12, policy="decrease", damping=1e-3, stop=s.gradient_stop)
            found = levenberg_marquardt(
                total([photo, focal_prior(sigma)]), pose, steps, length=work.length, extra=extra
            )
            pose, extra = found.cam_from_world, found.extra
    return pose, float(extra)
