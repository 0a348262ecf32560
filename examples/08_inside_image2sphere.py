"""A walk through Image2Sphere, from pixels to a density over rotations, with an encoder of your choice.

python examples/08_inside_image2sphere.py            # mobilenet_v2; or resnet18, efficientnet_b0, vgg16 …

Weights are random: what is shown is what the parts do, and that the whole turns with its picture.
"""

import math
import sys

import torch

from resect.geometry import so3, so3_grid, so3_series, so3_waves
from resect.nn.backbone.make import make_backbone
from resect.nn.spherical.convolution import RotationConvolution, SphereConvolution
from resect.nn.spherical.lift import OrthographicLift, half_sphere
from resect.nn.spherical.rectify import rectify
from resect.types import RotationDensity

LMAX, LEVEL = 4, 2
torch.manual_seed(0)
picture = torch.rand(1, 3, 96, 96)

# 1. Any image network gives a map of features, here 16 pixels apart.
encoder = make_backbone(sys.argv[1] if len(sys.argv) > 1 else "mobilenet_v2").eval()  # type: ignore[arg-type]
with torch.no_grad():
    features = encoder.maps(picture, 16)[16]
print(f"picture {tuple(picture.shape)} → features {tuple(features.shape)}")

# 2. The map is laid onto the half of a sphere that faces the camera; what lies there becomes harmonics.
channels, size = features.shape[1], features.shape[2]
lift = OrthographicLift(channels, features=32, size=size, lmax=LMAX)
print(f"{len(half_sphere())} points of the sphere → {(LMAX + 1) ** 2} harmonics of 32 functions")

# 3. A filter on the sphere, turned every way and compared: functions on the rotations, no longer on the sphere.
first, second = SphereConvolution(32, 8, LMAX), RotationConvolution(8, 1, LMAX)


def series_of(features: torch.Tensor) -> torch.Tensor:
    """From a feature map to a function on the rotations, as a series of harmonics."""
    with torch.no_grad():
        functions = first(lift(features))
        # 4. Their positive part is taken where they are values, on a grid, and brought back; then a second filter.
        return second(rectify(functions, LMAX, resolution=10))[0, 0]


series = series_of(features)
print(f"8 functions on the rotations → 1, a series of {len(series)} numbers")

# 5. Its values at all cells of a grid are logarithms of a density, but for a constant.
starts, tilts, cell = so3_grid.fibres(LEVEL)
table = so3_waves.fibres_of(starts, tilts, LMAX)
values = so3_waves.evaluate_on_fibres(so3_waves.trigonometric(series.double(), LMAX), table)
logits = torch.empty(so3_grid.cell_count(LEVEL), dtype=torch.float64)
logits[cell.flatten()] = values.flatten()
density = RotationDensity.of_logits(logits, level=LEVEL)
print(f"{len(logits)} cells; the densest is {float(density.log_density.max().exp()):.2f} times as likely as on average")

# 6. Turn the features by a quarter, and the function turns: f(R) becomes f(R S), S a quarter about the camera's axis,
#    which is −y of the sphere. Nothing had to be learned for that.
turned = series_of(torch.rot90(features, -1, (2, 3)))
quarter = so3.exp(torch.tensor([0.0, -math.pi / 2, 0.0]))
some = so3.random(200, generator=torch.Generator().manual_seed(1))
after = so3_series.evaluate(turned, some, LMAX)
before = so3_series.evaluate(series, some @ quarter, LMAX)
print(f"turned by a quarter: the functions differ by {float((after - before).abs().max() / before.std()):.1e}")
assert float((after - before).abs().max()) < 1e-3 * float(before.std())
