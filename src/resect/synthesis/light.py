"""Colours of an object in the light of a drawn photo; steps are those of `synthesis/clutter`."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Render


@dataclass(frozen=True, eq=False)
class Light:
    """Light of one photo: from everywhere, from distant lamps (unit directions to them, camera frame), a highlight."""

    ambient: float
    directions: Float[Tensor, "l 3"]
    strengths: Float[Tensor, "l"]
    highlight: float
    exponent: float

    def shade(self, normal: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """What a matt surface sends back of it, by unit normals in the camera's frame."""
        return self.ambient + ((normal @ self.directions.mT).clamp_min(0) * self.strengths).sum(-1)


AMBIENT = (0.35, 0.8)


def draw_light(generator: torch.Generator, ambient: tuple[float, float] = AMBIENT) -> Light:
    """Step 3."""
    count = int(torch.randint(1, 4, (1,), generator=generator))
    toward = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    toward[:, 2] = -toward[:, 2].abs()  # the camera looks along +z: lights stand on its side
    strengths = _uniform(generator, 0.2, 0.8, count) / count
    numbers = torch.rand(3, generator=generator).tolist()
    least, most = ambient
    return Light(least + (most - least) * numbers[0], toward, strengths, 0.3 * numbers[1], 10 + 50 * numbers[2])


def lit(
    shown: Render, pose: SE3, camera: Camera, light: Light, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours under the light, depth and silhouette of one object, recoloured: steps 2 and 3; black outside of it."""
    assert shown.rgb is not None
    assert shown.depth is not None
    assert shown.normal is not None
    assert shown.alpha is not None
    mask = shown.alpha[0] > 0.5
    rgb = torch.zeros_like(shown.rgb[0])
    if not bool(mask.any()):
        return rgb, shown.depth[0], mask
    albedo = recoloured(shown.rgb[0, mask], generator)
    normal = shown.normal[0, mask] @ pose.R[0].mT.to(shown.normal)
    view = -camera.rays(camera.pixels()[mask]).to(normal)
    normal = torch.where(((normal * view).sum(-1) < 0)[:, None], -normal, normal)
    halfway = torch.nn.functional.normalize(view[:, None] + light.directions, dim=-1)
    shine = ((normal[:, None] * halfway).sum(-1).clamp_min(0) ** light.exponent * light.strengths).sum(-1)
    rgb[mask] = albedo * light.shade(normal)[:, None] + light.highlight * shine[:, None]
    return rgb, shown.depth[0], mask


def shadows(shape: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "h w"]:
    """Step 3: a smooth field: exp(N(0, 0.4)) at 3 to 8 places along the height, between them by cubics; 0.2 to 2."""
    rows = int(torch.randint(3, 9, (1,), generator=generator))
    coarse = (0.4 * torch.randn(1, 1, rows, round(rows * shape[1] / shape[0]), generator=generator)).exp()
    return torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic", align_corners=False)[0, 0].clamp(0.2, 2)


def recoloured(albedo: Float[Tensor, "n 3"], generator: torch.Generator) -> Float[Tensor, "n 3"]:
    """Step 2."""
    gain, tint = torch.randn(1, generator=generator) * 0.25, torch.randn(3, generator=generator) * 0.08
    contrast, saturation = _uniform(generator, 0.7, 1.2, 2).tolist()
    mean = albedo.mean(0)
    grey = albedo.mean(1, keepdim=True)
    coloured = grey + saturation * (albedo - grey)
    return (mean + contrast * (coloured - mean)).clamp(0, 1) * (gain + tint).exp()


def _uniform(generator: torch.Generator, least: float, most: float, count: int) -> Tensor:
    return least + (most - least) * torch.rand(count, generator=generator)
