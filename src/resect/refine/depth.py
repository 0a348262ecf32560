"""What a photo's own depth (RGB-D) says of a pose, as a term in units of σ.

The rendered depth is compared with the measured one (`rows.depth`) from the pose that the colours led to. How far the
two are apart there, the sensor's errors and the scene's together, is read off the photo itself: σ is the median
deviation, as a part of the depth. As with colours only so many rays count as independent, and fewer of them: the errors
of a scene's surfaces reach over large parts of a photo.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import Normal, State, System
from resect.refine.linearize import channel_of
from resect.refine.robust import Robust
from resect.refine.rows import depth
from resect.refine.view import View

_LEAST_SIGMA = 1e-3  # part of the depth: 2 mm at 2 m, better than any depth camera
_LEAST_RAYS = 100
_INDEPENDENT = 10.0  # surfaces of a learned scene are off together over large parts of a photo
_ROBUST = Robust("cauchy", 2.0)
_NORMAL_MAD = 1.4826


def depth_term(view: View, poses: SE3, independent: float) -> System | None:
    """The depth rows at H poses, linearised there; `None` where photo or scene has (nearly) no depth.

    Args:
        view: the photo, with its depth, and the scene at one size.
        poses: where the colours led to.
        independent: rays whose errors are independent of each other.
    """
    if view.depth is None or "depth" not in view.scene.channels:
        return None
    observed = view.depth * (view.weight > 0.5)
    if int((observed > 0).sum()) < _LEAST_RAYS:
        return None
    every = torch.arange(len(poses))
    shown = channel_of(view.render(poses, ("depth",)), "depth")[..., 0]
    parts = []
    for k in every.tolist():
        sigma, rays = _spread(shown[k], observed)
        if rays < _LEAST_RAYS:
            parts.append(Normal(torch.zeros(1, 6, 6).double(), torch.zeros(1, 6).double(), torch.zeros(1).double()))
            continue
        rows = depth(view, observed, sigma * observed.clamp_min(1e-9), _ROBUST)
        nothing = torch.zeros(1, 0, dtype=torch.float64)
        at = rows(State(poses[k : k + 1], nothing, every[:1], 0))
        parts.append(at.scaled(min(independent, _INDEPENDENT, rays) / rays))
    normal = Normal(*(torch.cat([getattr(p, name) for p in parts]) for name in ("matrix", "gradient", "loss")))
    return linearised(poses, normal)


def linearised(poses: SE3, normal: Normal) -> System:
    """The term whose normal equations at H poses are known, as a quadratic in log(cam_from_world @ pose⁻¹)."""
    about = poses.double()

    def system(state: State) -> Normal:
        offset = state.cam_from_world.double() @ about[state.index].inverse()
        step, jacobian = offset.log(), offset.inverse_left_jacobian()
        matrix, gradient = normal.matrix[state.index], normal.gradient[state.index]
        curve = (matrix @ step[..., None])[..., 0]
        loss = normal.loss[state.index] + (step * (gradient + 0.5 * curve)).sum(-1)
        return Normal(jacobian.mT @ matrix @ jacobian, (jacobian.mT @ (gradient + curve)[..., None])[..., 0], loss)

    return system


def _spread(shown: Float[Tensor, "n"], observed: Float[Tensor, "n"]) -> tuple[float, int]:
    """Standard deviation of the difference as a part of the depth, from its median, and the rays that have both."""
    both = (shown > 0) & (observed > 0)
    if not bool(both.any()):
        return _LEAST_SIGMA, 0
    part = ((shown - observed).abs() / observed.clamp_min(1e-9))[both]
    return max(_LEAST_SIGMA, _NORMAL_MAD * float(part.median())), int(both.sum())
