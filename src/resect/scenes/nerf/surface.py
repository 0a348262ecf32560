"""What a NeRF is dense at: the field that a mesh is cut from, and the colours of its corners."""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.scenes.nerf.scene import Nerf


def density(scene: Nerf, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Density at points of the world, per world unit.

    Raises:
        ResectError: the NeRF is warped: behind its first plane there is no density per unit.
    """
    raw, _ = _looked(scene, points, torch.tensor([0.0, 0.0, 1.0]).expand_as(points))
    return torch.relu(raw) * float(scene.space.local_from_world.s)


def colours(scene: Nerf, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Colour in [0, 1] at points that are seen along unit directions, both of the world."""
    return _looked(scene, points, directions)[1]


def half_opaque(scene: Nerf, part: float = 0.01) -> float:
    """The density of which a layer as thick as this part of the box's diagonal stops half of the light."""
    diagonal = float((scene.bounds[1] - scene.bounds[0]).norm())
    return 0.6931 / (part * diagonal)


def _looked(scene: Nerf, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    if scene.space.warp is not None:
        fix = "Learn it with --nerf.warped no."
        raise ResectError("mesh of a NeRF", "a capture from around", "one that looks ahead", fix)
    network = scene.networks.fine or scene.networks.coarse
    found = []
    with torch.no_grad():
        many = scene.settings.rays_at_once * scene.settings.samples
        for some, along in zip(points.split(many), directions.split(many), strict=True):
            p, d = (x.to(scene.settings.device, torch.float32) for x in scene.space.local(some, along))
            rgb, raw = network(p, d)
            if scene.space.box is not None:
                box = scene.space.box.to(p)
                raw = torch.where(((p > box[0]) & (p < box[1])).all(-1), raw, torch.zeros_like(raw))
            found.append((raw.to(points), rgb.to(points)))
    return torch.cat([r for r, _ in found]), torch.cat([c for _, c in found])
