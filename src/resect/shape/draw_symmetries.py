"""A picture of an object from three sides with its axes of symmetry, drawn from samples of its surface with Pillow."""

import io
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic
from resect.geometry import so3
from resect.geometry.mesh import Mesh
from resect.geometry.symmetry import Symmetries
from resect.shape.sampled_surface import SampledSurface

_SIZE, _FILL = 420, 0.36  # pixels a panel; of it, half the diameter
_TURNS = ((-1.1, 0.0, 0.6), (-1.57, 0.0, 0.0), (0.0, 0.0, 0.0))  # slanted; from the front (−y); from above
_COLORS = {None: (214, 40, 40), 2: (36, 99, 168), 3: (24, 130, 70), 4: (200, 110, 0), 5: (140, 60, 160)}
_OTHER = (90, 90, 90)


def draw_symmetries(mesh: Mesh, symmetries: Symmetries, path: Path) -> None:
    """Writes a PNG: slanted, from −y and from above; continuous axes red, others coloured by their order."""
    from PIL import Image, ImageDraw

    surface = SampledSurface.of(mesh, torch.Generator().manual_seed(0))
    lines = symmetries.lines()
    picture = Image.new("RGB", (_SIZE * len(_TURNS), _SIZE + 24), "white")
    for k, turns in enumerate(_TURNS):
        x, y, z = torch.eye(3, dtype=torch.float64)
        rotation = so3.exp(x * turns[0]) @ so3.exp(y * turns[1]) @ so3.exp(z * turns[2])
        picture.paste(Image.fromarray(_panel(surface, rotation).numpy()), (k * _SIZE, 0))
        draw = ImageDraw.Draw(picture)
        for axis, order in lines:
            middle = rotation @ ((axis.offset.double() - surface.center) / surface.diameter)
            along = rotation @ axis.direction.double()
            ends = torch.stack([middle - 0.62 * along, middle + 0.62 * along])[:, :2] * torch.tensor([1.0, -1.0])
            at = ((ends * 2 * _FILL + 0.5) * _SIZE).tolist()
            (u0, v0), (u1, v1) = at
            color = _COLORS.get(order, _OTHER)
            draw.line([(u0 + k * _SIZE, v0), (u1 + k * _SIZE, v1)], fill=color, width=3 if order is None else 2)
    kinds = dict.fromkeys("any turn" if order is None else f"C{order}" for _, order in lines)
    ImageDraw.Draw(picture).text(
        (12, _SIZE + 4), f"{mesh.name}: {', '.join(kinds) or 'no symmetry'}", fill=(40, 40, 40)
    )
    data = io.BytesIO()
    picture.save(data, "PNG")
    write_atomic(path, data.getvalue())


def _panel(surface: SampledSurface, rotation: Float[Tensor, "3 3"]) -> Tensor:
    """RGB bytes (h, w, 3); samples are splatted from back to front, lit from the eye."""
    seen = surface.points @ rotation.mT
    order = seen[:, 2].argsort()
    light = (surface.normals[surface.face] @ rotation[2]).abs()[order, None]
    base = torch.full_like(seen, 0.75) if surface.colors is None else surface.colors
    color = (base[order] * (0.35 + 0.65 * light)).clamp(0, 1)
    at = ((seen[order, :2] * torch.tensor([1.0, -1.0]) * 2 * _FILL + 0.5) * _SIZE).long().clamp(0, _SIZE - 3)
    image = torch.ones(_SIZE, _SIZE, 3).numpy()
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):  # NumPy writes in order, so the nearest sample stays
            image[at[:, 1].numpy() + dy, at[:, 0].numpy() + dx] = color.float().numpy()
    return torch.from_numpy((image * 255).astype("uint8"))
