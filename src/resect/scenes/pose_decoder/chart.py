"""A pose decoder in closed form: features of poses near some starts, and their derivatives, in microseconds.

For a few poses PyTorch spends its time on calling operations, thousands of them in a refinement. Here a look at them is
some sixty calls of NumPy, in float64.

A pose is exp(ξ) @ start with ξ = (v, ω), so that what is known of a start is a plain quadratic form in ξ. With
b = (1 − cos θ)/θ² and c = (θ − sin θ)/θ³, θ = |ω|, its centre is c₀ − R₀ᵀ u, u = v − b ω×v + c ω×(ω×v), and its
quaternion (cos θ/2, ω sin(θ/2)/θ) ⊗ q₀. What depends on θ are power series in θ², which one product of matrices sums.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.nn.pose_loss import PoseFrame
from resect.scenes.pose_decoder.network import PoseDecoderNetwork

Array = NDArray[np.float64]
_TERMS = 32  # more than float64 can tell, up to 15 radians


def _series() -> Array:
    """Coefficients of cos θ/2, sin(θ/2)/θ, b, c, then of f'(θ)/θ of the last three, in powers of θ²."""
    f = math.factorial
    k = range(_TERMS + 1)
    first = [
        [(-0.25) ** n / f(2 * n) for n in k],
        [0.5 * (-0.25) ** n / f(2 * n + 1) for n in k],
        [(-1) ** n / f(2 * n + 2) for n in k],
        [(-1) ** n / f(2 * n + 3) for n in k],
    ]
    slopes = [[2 * (n + 1) * row[n + 1] for n in range(_TERMS)] for row in first[1:]]
    return np.array([row[:_TERMS] for row in first] + slopes)


_SERIES, _POWERS, _EYE = _series(), np.arange(_TERMS)[:, None], np.eye(3)
_HAT = np.cross(_EYE[:, None], -_EYE).reshape(3, 9)  # ω @ _HAT is [ω]ₓ, row by row


@dataclass(frozen=True, eq=False)
class Layers:
    """The decoder's layers, those of position and of rotation side by side.

    Attributes:
        octaves: 1, 2, 4, …: what the seven numbers of a pose are multiplied by.
        first: the first layers as one matrix.
        more: those after it; the last are folded with the projection to features.
        bias: of each, of the first first.
    """

    octaves: Float[Array, "o"]
    first: Float[Array, "w e"]
    more: tuple[Float[Array, "2 _ _"], ...]
    bias: tuple[Float[Array, "2 _ 1"], ...]

    @classmethod
    def of(cls, network: PoseDecoderNetwork, project: Array, middle: Array, scene: int) -> "Layers":
        """Those of a decoder, for one of its places."""
        halves = [_linear(encoder) for encoder in (network.x_encoder, network.q_encoder)]
        if network.scene_code is not None:  # a constant input, so a part of the first bias
            code = _array(network.scene_code.weight)[scene]
            for half in halves:
                weight, bias = half[0]
                known = weight.shape[1] - len(code)
                half[0] = (weight[:, :known], bias + weight[:, known:] @ code)
        for half, part, rest in zip(halves, np.split(project, 2, 1), np.split(middle, 2), strict=True):
            weight, bias = half[-1]
            half[-1] = (part @ weight, part @ (bias - rest))
        x, q = (half[0][0][:, _by_number(size, network.octaves)] for half, size in zip(halves, (3, 4), strict=True))
        first = np.block([[x, np.zeros((len(x), q.shape[1]))], [np.zeros((len(q), x.shape[1])), q]])
        layers = list(zip(*halves, strict=True))
        more = tuple(np.stack([of_x[0], of_q[0]]) for of_x, of_q in layers[1:])
        biases = tuple(np.stack([of_x[1], of_q[1]])[..., None] for of_x, of_q in layers)
        octaves = np.exp2(np.arange(network.octaves, dtype=np.float64))
        return cls(octaves, first, more, biases)

    def __call__(self, numbers: Float[Array, "7 h 4"]) -> Float[Array, "2 c h 4"]:
        """Features by position and by rotation, whose sum is meant; of numbers with three derivatives, likewise."""
        h, n, octaves = numbers.shape[1], len(self.octaves), self.octaves[:, None, None]
        angle = octaves * numbers[:, None, :, :1]
        sin, cos, slope = np.sin(angle), np.cos(angle), octaves * numbers[:, None, :, 1:]
        encoded = np.empty((7, 1 + 2 * n, h, 4))
        encoded[:, 0] = numbers
        encoded[:, 1 : 1 + n, :, :1], encoded[:, 1 + n :, :, :1] = sin, cos
        encoded[:, 1 : 1 + n, :, 1:], encoded[:, 1 + n :, :, 1:] = cos * slope, -sin * slope
        found = (self.first @ encoded.reshape(-1, 4 * h)).reshape(2, -1, h, 4)
        found[..., 0] += self.bias[0]
        for weight, bias in zip(self.more, self.bias[1:], strict=True):
            found *= found[..., :1] > 0
            found = (weight @ found.reshape(2, -1, 4 * h)).reshape(2, -1, h, 4)
            found[..., 0] += bias
        return found


@dataclass(frozen=True, eq=False)
class Chart:
    """Features of poses about some starts.

    Attributes:
        layers: of the decoder.
        center: of the starts, in the teacher's frame.
        turn: from u to a centre there, −R₀ᵀ over the frame's scale.
        quaternion: matrices that multiply by those of the starts from the right.
    """

    layers: Layers
    center: Float[Array, "h 3"]
    turn: Float[Array, "h 3 3"]
    quaternion: Float[Array, "h 4 4"]

    @classmethod
    def about(cls, start: SE3, frame: PoseFrame, layers: Layers) -> "Chart":
        """That of H starts."""
        start, scale = start.double(), float(frame.scale)
        center = (start.center.cpu() - frame.origin.cpu()) / scale
        w, x, y, z = so3.to_quaternion(start.R.cpu() @ frame.reference.double().cpu().mT).numpy().T
        rows = [w, -x, -y, -z, x, w, z, -y, y, -z, w, x, z, y, -x, w]
        turn = start.R.mT.cpu().numpy() / -scale
        return cls(layers, center.numpy(), turn, np.stack(rows, -1).reshape(-1, 4, 4))

    def __call__(self, xi: Float[Array, "h 6"]) -> tuple[Float[Array, "h c"], Float[Array, "h c 6"]]:
        """Features of exp(ξ) @ start, and their derivatives by ξ."""
        v, omega = xi[:, :3, None], xi[:, None, 3:]
        turns, moves = (xi.reshape(-1, 2, 3) @ _HAT).reshape(-1, 2, 3, 3)[:, ::-1].swapaxes(0, 1)  # [ω]ₓ, [v]ₓ
        theta2 = (omega * omega).sum((1, 2))
        w, s, b, c, s_slope, b_slope, c_slope = (_SERIES @ theta2**_POWERS)[..., None, None]
        across = turns @ v
        twice, both = turns @ across, turns @ moves
        by_v = _EYE - b * turns + c * (turns @ turns)
        by_omega = b * moves + c * (moves @ turns - 2 * both) + (c_slope * twice - b_slope * across) * omega
        by_xi = self.turn @ np.concatenate([v - b * across + c * twice, by_v, by_omega], 2)
        half = s * omega
        turning = np.concatenate([-0.5 * half, s * _EYE + s_slope * omega.swapaxes(1, 2) * omega], 1)
        q = self.quaternion @ np.concatenate([np.concatenate([w, half], 2).swapaxes(1, 2), turning], 2)
        q *= np.where(q[:, :1, :1] < 0, -1.0, 1.0)
        both = np.empty((7, len(xi), 4))  # seven numbers, each with three derivatives
        both[:3, :, 0], both[:3, :, 1:] = (self.center + by_xi[..., 0]).T, _EYE[:, None]
        both[3:] = q.swapaxes(0, 1)
        found = self.layers(both).transpose(0, 2, 1, 3)
        slope = found[0, :, :, 1:] @ by_xi[..., 1:]
        slope[..., 3:] += found[1, :, :, 1:]
        return found[..., 0].sum(0), slope


def _linear(encoder: object) -> list[tuple[Array, Array]]:
    """Weights and biases of the linear layers of one half."""
    layers = [m for m in encoder if hasattr(m, "weight")]  # type: ignore[attr-defined]
    return [(_array(m.weight), _array(m.bias)) for m in layers]


def _array(tensor: Tensor) -> Array:
    found: Array = tensor.detach().double().cpu().numpy()
    return found


def _by_number(size: int, octaves: int) -> NDArray[np.intp]:
    """Where, in the network's encoding, one number after another has itself, its sines, its cosines."""
    place = np.arange((1 + 2 * octaves) * size).reshape(-1, size)
    return np.concatenate([place[:1], place[1::2], place[2::2]]).T.ravel()
