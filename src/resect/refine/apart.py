"""How far poses are from each other."""

from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3


def apart(poses: SE3) -> tuple[Float[Tensor, "h h"], Float[Tensor, "h h"]]:
    """Angles between all pairs of rotations, radians, and distances between all pairs of camera centres."""
    h = len(poses)
    first = poses.R[:, None].expand(h, h, 3, 3)
    return so3.angle(first, first.transpose(0, 1)), (poses.center[:, None] - poses.center[None]).norm(dim=-1)
