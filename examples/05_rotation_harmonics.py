"""Harmonics of rotations: find how a pattern on a sphere was turned, by one convolution, as a density over SO(3).

python examples/05_rotation_harmonics.py        # writes turned-pattern.png
"""

from pathlib import Path

import torch

from resect.evaluation.rotation_pictures import draw_density, png
from resect.geometry import so3, so3_grid, so3_series, so3_waves
from resect.geometry.harmonics import spherical_harmonics, wigner_d
from resect.types import RotationDensity

LMAX, LEVEL = 8, 3
generator = torch.Generator().manual_seed(4)
truth = so3.random(1, generator=generator, dtype=torch.float64)[0]

# A pattern: five bright points. In harmonics it is a vector of (lmax + 1)² numbers.
points = torch.nn.functional.normalize(torch.randn(5, 3, generator=generator, dtype=torch.float64), dim=-1)
pattern = spherical_harmonics(points, LMAX).sum(0)
seen = spherical_harmonics(points @ truth.mT, LMAX).sum(0)  # the same, turned

# Turning the points turns the harmonics of each degree among themselves, by Wigner's D.
for degree in (1, 4, 8):
    part = slice(degree**2, (degree + 1) ** 2)
    difference = (wigner_d(truth, degree) @ pattern[part] - seen[part]).abs().max()
    print(f"degree {degree}: Y(R n) = D(R) Y(n) to {float(difference):.0e}")

# How alike are the seen pattern and the pattern turned by R? ⟨seen, D(R) pattern⟩ is a series on SO(3), and its
# coefficients are products of the two vectors: a convolution, without looking at a single rotation.
blocks = []
for degree in range(LMAX + 1):
    part = slice(degree**2, (degree + 1) ** 2)
    blocks.append(torch.outer(seen[part], pattern[part]) / (2 * degree + 1) ** 0.5)
alike = so3_series.unblock(blocks)

# Its values at all 36 864 cells of a grid, a fibre of tilts at a time, make a density.
starts, tilts, cell = so3_grid.fibres(LEVEL)
waved = so3_waves.trigonometric(alike, LMAX)
values = so3_waves.evaluate_on_fibres(waved, so3_waves.fibres_of(starts, tilts, LMAX))
logits = torch.empty(so3_grid.cell_count(LEVEL), dtype=torch.float64)
logits[cell.flatten()] = 12 * values.flatten() / values.max()
density = RotationDensity.of_logits(logits, level=LEVEL)
modes = density.modes()
print(f"{len(modes)} modes; the first holds {float(modes.mass[0]):.0%} of the probability")


def error_deg(rotation: torch.Tensor) -> float:
    """Angle to the truth."""
    return float(so3.angle(rotation, truth).rad2deg())


# Derivatives of a series are series too: climb from the best cell to the peak.
slope = so3_series.gradient(alike, LMAX)
bend = so3_series.gradient(slope, LMAX)
best = density.best()
print(f"best cell: {error_deg(best):.2f}° from the truth")
for _ in range(4):
    first = so3_series.evaluate(slope, best[None], LMAX)[:, 0]
    second = so3_series.evaluate(bend, best[None], LMAX)[..., 0]
    best = so3.exp(-torch.linalg.solve((second + second.mT) / 2, first)) @ best
print(f"after four steps of Newton: {error_deg(best):.1e}°")

Path("turned-pattern.png").write_bytes(png(draw_density(density, truth[None])))
print("turned-pattern.png: the density, and the truth as a ring")
