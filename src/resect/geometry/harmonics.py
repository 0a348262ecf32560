"""Real harmonics of the sphere, Y(n), and how they turn with it: Wigner's D(R).

The polar axis is **y**. A direction of azimuth α and colatitude β is (sin β sin α, cos β, sin β cos α), a rotation is
Ry(α) Rx(β) Ry(γ). Components of degree l are ordered m = −l … l, sines before cosines, and "component" normalised:

    Y₀₀ = 1,  Y₁ = √3 (x, y, z),  Σₘ Yₗₘ² = 2l + 1,  Y(R n) = D(R) Y(n),  D¹(R) = R.

These are the order and the normalisation of e3nn (`normalization="component"`), so published weights hold.

D is separable: D(R) = Z(α) J Z(β) J Z(γ). J turns by π about (1, 1, 0)/√2, which exchanges Rx and Ry; it is constant.
Z has cos mα on its diagonal and sin mα on its other diagonal, so multiplying by it costs two products an element.

Reference: Pinchon and Hoggan, "Rotation matrices for real spherical harmonics", J. Phys. A 40 (2007).
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor


def sphere_size(lmax: int) -> int:
    """How many harmonics of the sphere there are: (lmax + 1)²."""
    return (lmax + 1) ** 2


def spherical_harmonics(direction: Float[Tensor, "*b 3"], lmax: int) -> Float[Tensor, "*b k"]:
    """Y of unit vectors, degrees 0 … lmax; component l² + l + m. Polynomials: smooth at the poles too."""
    x, y, z = direction.unbind(-1)
    one = torch.ones_like(x)
    sine, cosine = [torch.zeros_like(x)], [one]  # of mα, times sinᵐ β: the powers of z + ix
    legendre: list[list[Tensor]] = [[one]]  # [m][n − m]: normalised Pₙᵐ(cos β) / sinᵐ β
    for m in range(1, lmax + 1):
        sine, cosine = [*sine, x * cosine[-1] + z * sine[-1]], [*cosine, z * cosine[-1] - x * sine[-1]]
        legendre.append([math.sqrt((2 * m + 1) / (2 * m) * (2 if m == 1 else 1)) * legendre[-1][0]])
    for m, column in enumerate(legendre):
        for n in range(m + 1, lmax + 1):
            scale = math.sqrt((4 * n * n - 1) / (n * n - m * m))
            below = math.sqrt(((n - 1) ** 2 - m * m) / (4 * (n - 1) ** 2 - 1)) * column[n - 2 - m] if n > m + 1 else 0
            column.append(scale * (y * column[n - 1 - m] - below))
    found = []
    for n in range(lmax + 1):
        found += [legendre[m][n - m] * sine[m] for m in range(n, 0, -1)]
        found += [legendre[m][n - m] * cosine[m] for m in range(n + 1)]
    return torch.stack(found, -1)


def from_angles(
    alpha: Float[Tensor, "*b"], beta: Float[Tensor, "*b"], gamma: Float[Tensor, "*b"]
) -> Float[Tensor, "*b 3 3"]:
    """Ry(α) Rx(β) Ry(γ), radians."""
    return about_y(alpha) @ _about_x(beta) @ about_y(gamma)


def to_angles(rotation: Float[Tensor, "*b 3 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """(α, β, γ) with rotation = Ry(α) Rx(β) Ry(γ), β in [0, π]; where only α ± γ counts, some such pair."""
    pole = rotation[..., 1]
    alpha = torch.atan2(pole[..., 0], pole[..., 2])
    beta = torch.atan2(torch.hypot(pole[..., 0], pole[..., 2]), pole[..., 1])
    first = (about_y(alpha) @ _about_x(beta))[..., 0]  # of R Ry(−γ), the image of x
    row = (first[..., None, :] @ rotation)[..., 0, :]
    return alpha, beta, torch.atan2(row[..., 2], row[..., 0])


def wigner_d(rotation: Float[Tensor, "*b 3 3"], degree: int) -> Float[Tensor, "*b m m"]:
    """Dˡ of rotations, (2l + 1)² numbers each; orthogonal, and D(QR) = D(Q) D(R)."""
    return wigner_d_of_angles(*to_angles(rotation), degree)


def wigner_d_of_angles(
    alpha: Float[Tensor, "*b"], beta: Float[Tensor, "*b"], gamma: Float[Tensor, "*b"], degree: int
) -> Float[Tensor, "*b m m"]:
    """Dˡ of Ry(α) Rx(β) Ry(γ)."""
    j = swap(degree, beta.dtype, beta.device)
    return turn_columns(turn_rows(turn_columns(j, beta) @ j, alpha), gamma)


def turn_rows(matrix: Float[Tensor, "*b m n"], angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b m n"]:
    """Z(angle) @ matrix, for matrices with 2l + 1 rows."""
    sine, cosine = _waves(angle, matrix.shape[-2] // 2)
    return cosine[..., :, None] * matrix - sine[..., :, None] * matrix.flip(-2)


def turn_columns(matrix: Float[Tensor, "*c m n"], angle: Float[Tensor, "*b"]) -> Float[Tensor, "*d m n"]:
    """Matrix @ Z(angle), for matrices with 2l + 1 columns; batch shapes broadcast."""
    sine, cosine = _waves(angle, matrix.shape[-1] // 2)
    return cosine[..., None, :] * matrix + sine[..., None, :] * matrix.flip(-1)


@functools.cache
def swap(degree: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "m m"]:
    """J: Dˡ of the turn by π about (1, 1, 0)/√2. Symmetric, its own inverse; J Z(β) J = D(Rx(β))."""
    with torch.inference_mode(False), torch.no_grad():
        along = generators(degree, torch.float64, torch.device("cpu"))[:2].sum(0) / math.sqrt(2)
        return torch.linalg.matrix_exp(math.pi * along).to(device, dtype)


@functools.cache
def generators(degree: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "3 m m"]:
    """X with Dˡ(exp ω) = exp(ω · X): skew-symmetric, [X₀, X₁] = X₂ and so on."""
    with torch.inference_mode(False), torch.no_grad():
        m = torch.arange(-degree, degree + 1, dtype=torch.float64)
        raising = torch.diag((degree * (degree + 1) - m[:-1] * (m[:-1] + 1)).sqrt(), -1).to(torch.complex128)
        jx, jy, jz = (raising + raising.mT) / 2, (raising - raising.mT) / 2j, torch.diag(m).to(torch.complex128)
        real = _complex_from_real(degree)
        # The physicist's axes (x, y, z), polar axis z, are (z, x, y) here.
        axes = [(real.mH @ (-1j * j) @ real).real for j in (jy, jz, jx)]
        return torch.stack(axes).to(device, dtype)


def _complex_from_real(degree: int) -> Tensor:
    """Unitary: complex harmonics, with Condon and Shortley's phase, from the real ones (sines first)."""
    real, imaginary = torch.zeros(2, 2 * degree + 1, 2 * degree + 1, dtype=torch.float64)
    real[degree, degree] = 1
    for m in range(1, degree + 1):
        sign = (-1) ** m / math.sqrt(2)
        real[degree + m, degree + m], imaginary[degree + m, degree - m] = sign, -sign
        real[degree - m, degree + m], imaginary[degree - m, degree - m] = math.sqrt(0.5), math.sqrt(0.5)
    return torch.complex(real, imaginary)


def _waves(angle: Float[Tensor, "*b"], degree: int) -> tuple[Tensor, Tensor]:
    """Sin and cos of m × angle, m = −l … l."""
    m = torch.arange(-degree, degree + 1, dtype=angle.dtype, device=angle.device)
    phase = angle[..., None] * m
    return phase.sin(), phase.cos()


def about_y(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Ry(angle), radians; z turns towards x."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], -1).unflatten(-1, (3, 3))


def _about_x(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([one, zero, zero, zero, c, -s, zero, s, c], -1).unflatten(-1, (3, 3))
