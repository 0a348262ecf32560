"""Rotations as plain (..., 3, 3) tensors: exponential, logarithm, quaternions (wxyz), geodesic angle.

Every formula is smooth through its singular place: Taylor branches near zero are chosen with a double `where`, so
values and gradients stay finite, and angles come from `atan2`, which keeps its precision at both ends.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_SMALL = 1e-2  # squared angle below which the series (to the eighth power) are exact in float64


def hat(omega: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """The skew-symmetric matrix [ω]ₓ with [ω]ₓ x = ω × x."""
    x, y, z = omega.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def vee(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Inverse of `hat`, of the skew-symmetric part of the matrix."""
    m = 0.5 * (matrix - matrix.mT)
    return torch.stack([m[..., 2, 1], m[..., 0, 2], m[..., 1, 0]], -1)


def coefficients(theta2: Float[Tensor, "*b"]) -> tuple[Tensor, Tensor, Tensor]:
    """sin θ/θ, (1 − cos θ)/θ² and (θ − sin θ)/θ³ as functions of θ², each smooth at zero."""
    small = theta2 < _SMALL
    safe2 = torch.where(small, torch.ones_like(theta2), theta2)
    theta = safe2.sqrt()
    x = theta2
    a = torch.where(small, 1 - x / 6 * (1 - x / 20 * (1 - x / 42 * (1 - x / 72))), theta.sin() / theta)
    b = torch.where(small, 0.5 * (1 - x / 12 * (1 - x / 30 * (1 - x / 56 * (1 - x / 90)))), (1 - theta.cos()) / safe2)
    c_series = (1 - x / 20 * (1 - x / 42 * (1 - x / 72 * (1 - x / 110)))) / 6
    return a, b, torch.where(small, c_series, (theta - theta.sin()) / (safe2 * theta))


def exp(omega: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation about ω/|ω| by |ω| radians (Rodrigues)."""
    a, b, _ = coefficients((omega * omega).sum(-1))
    k = hat(omega)
    eye = torch.eye(3, dtype=omega.dtype, device=omega.device)
    return eye + a[..., None, None] * k + b[..., None, None] * (k @ k)


def log(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """The rotation vector of length ≤ π; at exactly π its sign is arbitrary."""
    q = to_quaternion(rotation)
    w, v = q[..., 0], q[..., 1:]
    v2 = (v * v).sum(-1)
    small = v2 < _SMALL / 4
    n = torch.where(small, torch.ones_like(v2), v2).sqrt()
    ratio2 = v2 / torch.where(small, w * w, torch.ones_like(w))
    series = 2 * (1 - ratio2 * (1 / 3 - ratio2 * (1 / 5 - ratio2 * (1 / 7 - ratio2 / 9))))
    factor = torch.where(small, series / torch.where(small, w, torch.ones_like(w)), 2 * torch.atan2(n, w) / n)
    return factor[..., None] * v


def angle(a: Float[Tensor, "*b 3 3"], b: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Geodesic distance between two rotations, radians in [0, π]."""
    relative = a.mT @ b
    cos = 0.5 * (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1)
    return torch.atan2(vee(relative).norm(dim=-1), cos)


def to_quaternion(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternion wxyz with w ≥ 0.

    The sixteen products 4 qᵢ qⱼ are linear in R; the row with the largest diagonal is a multiple of q that is never
    near zero.
    """
    entries = rotation.flatten(-2).movedim(-1, 0).contiguous()  # of all rotations together, for the sake of speed
    xx, m01, m02, m10, yy, m12, m20, m21, zz = entries.unbind(0)
    wx, wy, wz, xy, xz, yz = m21 - m12, m02 - m20, m10 - m01, m01 + m10, m02 + m20, m12 + m21
    w, x = torch.stack([1 + xx + yy + zz, wx, wy, wz]), torch.stack([wx, 1 + xx - yy - zz, xy, xz])
    y, z = torch.stack([wy, xy, 1 - xx + yy - zz, yz]), torch.stack([wz, xz, yz, 1 - xx - yy + zz])
    one, other = torch.where(w[0] >= x[1], w, x), torch.where(y[2] >= z[3], y, z)
    row = torch.where(torch.maximum(w[0], x[1]) >= torch.maximum(y[2], z[3]), one, other)
    q = row / row.square().sum(0).sqrt()
    return torch.where(q[:1] < 0, -q, q).movedim(0, -1).contiguous()


def from_quaternion(wxyz: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrix of a quaternion wxyz of any non-zero length."""
    w, x, y, z = (wxyz / wxyz.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def nearest_rotation(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation nearest to a matrix in the Frobenius norm (special orthogonal Procrustes)."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.linalg.det(u @ vt).sign()
    scale = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
    return (u * scale[..., None, :]) @ vt


def random(count: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """(count, 3, 3) rotations, uniform in Haar measure (Shoemake: normalised Gaussian quaternions)."""
    return from_quaternion(torch.randn(count, 4, generator=generator, dtype=dtype))
