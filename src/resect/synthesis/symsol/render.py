"""Pictures of the shapes by ray casting in closed form, many at once, on any device."""

import functools
import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d

from resect.geometry.camera import Camera
from resect.synthesis.symsol import shapes
from resect.synthesis.symsol.shapes import ROUND, Round, Shape

AWAY = 1.5  # of the object's middle from the camera
FOCAL = 258.4615384615385 / 224  # in image sides
LIGHT = (-0.4, -0.6, -1.0)  # where it comes from, camera frame
GREY, RED = 0.7, (0.85, 0.1, 0.1)
_DARK = 0.35  # brightness without light
_SAMPLES = 2  # rays along a pixel's side
_FAR = 1e6


def camera(side: int) -> Camera:
    """The camera of pictures of this many pixels a side."""
    return Camera(FOCAL * side, FOCAL * side, side / 2, side / 2, side, side)


def render(
    found: Shape, rotation: Float[Tensor, "b 3 3"], side: int, *, budget: int = 1 << 24
) -> Float[Tensor, "b s s 3"]:
    """RGB in [0, 1], float32, on the rotations' device.

    Args:
        found: the shape.
        rotation: `cam_from_obj`.
        side: pixels.
        budget: at most about so many numbers in one tensor; images are taken in portions.
    """
    rays, inside = _rays(side, rotation.device)
    most = max(1, budget // (len(rays) * max(4, len(found.normals))))
    return torch.cat([_shown(found, part.float(), rays, inside, side) for part in rotation.split(most)])


def brightness(cosine: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Of a surface whose normal makes an angle of this cosine with the light's direction."""
    return _DARK + (1 - _DARK) * cosine.clamp_min(0)


def _shown(
    found: Shape, rotation: Float[Tensor, "b 3 3"], rays: Float[Tensor, "p 3"], inside: Int[Tensor, "p"], side: int
) -> Float[Tensor, "b s s 3"]:
    light = torch.nn.functional.normalize(torch.tensor(LIGHT, device=rays.device), dim=0)
    if found.kind == "polyhedron":
        hit, face, facing = _polyhedron(found, rotation, rays)
        bright = (facing @ light).gather(1, face)
        red = face == 0
    else:
        hit, place, normal = _round(ROUND[found.kind], rotation, rays)
        bright = (normal @ (light @ rotation)[..., None])[..., 0]
        red = _marked(found, place)
    shade = torch.where(hit, brightness(bright), 0)
    fine = shade.new_zeros(len(rotation), 2, (side * _SAMPLES) ** 2)  # plain light, and that from the marker
    fine[:, 0, inside] = shade
    if found.marker is not None:
        fine[:, 0, inside] = torch.where(red, 0, shade)
        fine[:, 1, inside] = torch.where(red, shade, 0)
    plain, marked = avg_pool2d(fine.view(-1, 2, side * _SAMPLES, side * _SAMPLES), _SAMPLES).unbind(1)
    return GREY * plain[..., None] + marked[..., None] * rays.new_tensor(RED)


def _polyhedron(
    found: Shape, rotation: Float[Tensor, "b 3 3"], rays: Float[Tensor, "p 3"]
) -> tuple[Bool[Tensor, "b p"], Int[Tensor, "b p"], Float[Tensor, "b f 3"]]:
    """Which rays hit, which face, and the faces' normals in the camera's frame.

    A ray is inside between the last half-space that it enters and the first that it leaves.
    """
    facing = found.normals.to(rotation) @ rotation.mT
    slope = facing @ rays.mT
    gap = found.inradius + AWAY * facing[..., 2:]  # of the camera, inside each half-space
    at = gap / slope
    enter, face = torch.where(slope < 0, at, -_FAR).max(1)
    leave = torch.where(slope > 0, at, _FAR).amin(1)
    return enter < leave, face, facing


def _round(
    solid: Round, rotation: Float[Tensor, "b 3 3"], rays: Float[Tensor, "p 3"]
) -> tuple[Bool[Tensor, "b p"], Float[Tensor, "b p 3"], Float[Tensor, "b p 3"]]:
    """Which rays hit, where, and the outward unit normal there, in the object's frame."""
    origin, direction = (-AWAY * rotation[:, None, 2]).expand(-1, len(rays), -1), rays @ rotation
    weight = rays.new_tensor([1.0, 1.0, solid.squash])
    shift = origin - rays.new_tensor([0.0, 0.0, solid.tip])
    a = (weight * direction * direction).sum(-1)
    half_b = (weight * shift * direction).sum(-1)
    c = (weight * shift * shift).sum(-1) - solid.radius2
    root = (half_b * half_b - a * c).clamp_min(0).sqrt()
    real = half_b * half_b >= a * c
    curved = torch.full_like(a, _FAR)
    for sign in (-1, 1):
        at = (-half_b + sign * root) / a
        z = origin[..., 2] + at * direction[..., 2]
        on = real & (at > 0) & (z >= solid.low) & (z <= solid.high)
        curved = torch.where(on, torch.minimum(curved, at), curved)
    flat = torch.full_like(a, _FAR)
    for height, radius in solid.caps:
        at = (height - origin[..., 2]) / direction[..., 2]
        across = origin[..., :2] + at[..., None] * direction[..., :2]
        on = (at > 0) & (across.square().sum(-1) <= radius * radius)
        flat = torch.where(on, torch.minimum(flat, at), flat)
    nearest = torch.minimum(curved, flat)
    place = origin + nearest[..., None] * direction
    up = torch.zeros_like(place)
    up[..., 2] = place[..., 2].sign()
    slope = torch.nn.functional.normalize(weight * (place - place.new_tensor([0.0, 0.0, solid.tip])), dim=-1)
    return nearest < _FAR, place, torch.where((flat < curved)[..., None], up, slope)


def _marked(found: Shape, place: Float[Tensor, "b p 3"]) -> Bool[Tensor, "b p"]:
    if found.marker is None:
        return torch.zeros_like(place[..., 0], dtype=torch.bool)
    if found.kind == "sphere":
        return shapes.on_cross(place / shapes.RADIUS)
    across = (place[..., 0] - shapes.DOT_OFFSET).square() + place[..., 1].square()
    return (across <= shapes.DOT_RADIUS**2) & (place[..., 2] > shapes.CYLINDER * (1 - 1e-4))


@functools.cache
def _rays(side: int, device: torch.device) -> tuple[Float[Tensor, "p 3"], Int[Tensor, "p"]]:
    """Directions, z = 1, through those samples of pixels that meet the bounding sphere, and which samples they are."""
    with torch.inference_mode(False), torch.no_grad():
        n = side * _SAMPLES
        step = ((torch.arange(n) + 0.5) / n - 0.5) / FOCAL
        y, x = torch.meshgrid(step, step, indexing="ij")
        reach = math.tan(math.asin(shapes.RADIUS / AWAY)) * (1 + 1e-5)
        inside = (torch.hypot(x, y).flatten() <= reach).nonzero()[:, 0]
        rays = torch.stack([x, y, torch.ones_like(x)], -1).view(-1, 3)[inside]
        return rays.to(device), inside.to(device)
