"""What a pose will be next: an extended Kalman filter on SE(3) with constant velocity and white noise on acceleration.

The state is `cam_from_world` and its velocity ξ = (v, ω) per second, both in the camera's frame:
T(t + Δ) = exp(Δ ξ) T(t). Its error is (δ, ε): exp(δ) T and ξ + ε.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3


@dataclass(frozen=True)
class MotionNoise:
    """How unsteadily a camera moves: spectral densities of its acceleration.

    Attributes:
        shift: world units / s^1.5.
        turn_rad: radians / s^1.5.
        first_shift: standard deviation of the unknown velocity after one pose, world units / s.
        first_turn_rad: the same of its turning, radians / s.
    """

    shift: float
    turn_rad: float
    first_shift: float
    first_turn_rad: float

    def density(self) -> Float[Tensor, "6"]:
        """Squared densities of (v, ω)."""
        return torch.tensor([self.shift**2] * 3 + [self.turn_rad**2] * 3, dtype=torch.float64)

    def first(self) -> Float[Tensor, "6"]:
        """Squared standard deviations of a velocity that nothing is known of."""
        return torch.tensor([self.first_shift**2] * 3 + [self.first_turn_rad**2] * 3, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Belief:
    """Where the camera is thought to be, and how it moves.

    Attributes:
        seconds: when.
        cam_from_world: one pose, float64.
        velocity: (v, ω) per second.
        covariance: of (δ, ε).
    """

    seconds: float
    cam_from_world: SE3
    velocity: Float[Tensor, "6"]
    covariance: Float[Tensor, "12 12"]

    @property
    def pose_covariance(self) -> Float[Tensor, "6 6"]:
        """Of δ in exp(δ) @ cam_from_world."""
        return self.covariance[:6, :6]


def begin(seconds: float, cam_from_world: SE3, covariance: Float[Tensor, "6 6"], noise: MotionNoise) -> Belief:
    """After the first pose: at rest, as far as anyone knows."""
    whole = torch.zeros(12, 12, dtype=torch.float64)
    whole[:6, :6], whole[6:, 6:] = covariance.double(), torch.diag(noise.first())
    return Belief(seconds, cam_from_world.double(), torch.zeros(6, dtype=torch.float64), whole)


def predict(belief: Belief, seconds: float, noise: MotionNoise) -> Belief:
    """The belief at a later time.

    exp(Δ (ξ + ε)) exp(δ) T = exp(Ad δ + Δ J ε + …) exp(Δ ξ) T with Ad that of exp(Δ ξ) and J the left Jacobian at Δ ξ.
    """
    wait = seconds - belief.seconds
    motion = SE3.exp(wait * belief.velocity)
    carry = torch.eye(12, dtype=torch.float64)
    carry[:6, :6] = motion.adjoint()
    carry[:6, 6:] = wait * torch.linalg.inv(motion.inverse_left_jacobian())
    q = torch.diag(noise.density())
    grown = torch.cat([torch.cat([wait**3 / 3 * q, wait**2 / 2 * q], 1), torch.cat([wait**2 / 2 * q, wait * q], 1)])
    covariance = carry @ belief.covariance @ carry.mT + grown
    return replace(belief, seconds=seconds, cam_from_world=motion @ belief.cam_from_world, covariance=covariance)


def innovation(
    predicted: Belief, cam_from_world: SE3, covariance: Float[Tensor, "h 6 6"]
) -> tuple[Float[Tensor, "h 6"], Float[Tensor, "h"]]:
    """How far measured poses are from the prediction: ξ = log(measured @ predicted⁻¹) and its squared Mahalanobis norm.

    For a correct filter the norm is χ² distributed with six degrees of freedom.
    """
    shift = (cam_from_world.double() @ predicted.cam_from_world.inverse()).log()
    spread = predicted.pose_covariance + covariance.double()
    return shift, (shift * torch.linalg.solve(spread, shift[..., None])[..., 0]).sum(-1)


def update(predicted: Belief, cam_from_world: SE3, covariance: Float[Tensor, "6 6"]) -> Belief:
    """The belief after a measured pose (Joseph's form, which keeps the covariance positive)."""
    step, _ = innovation(predicted, cam_from_world[None], covariance[None])
    gain = torch.linalg.solve(predicted.pose_covariance + covariance.double(), predicted.covariance[:6]).mT
    moved = gain @ step[0]
    keep = torch.eye(12, dtype=torch.float64)
    keep[:, :6] -= gain
    left = keep @ predicted.covariance @ keep.mT + gain @ covariance.double() @ gain.mT
    pose = SE3.exp(moved[:6]) @ predicted.cam_from_world
    return Belief(predicted.seconds, pose, predicted.velocity + moved[6:], 0.5 * (left + left.mT))
