"""Values seen at hits, and how they change with the pose while each ray stays on its face.

A ray r = (x, y, 1) of the camera is held. Under exp(δ), δ = (v, ω), the surface moves with w = v + ω × X at the point
X = z r that is seen, so the ray meets the plane of the face elsewhere on it: relative to the surface the point moves by
u = r (n·w) / (n·r) − w. A value with gradient G along the surface changes by

    G·u = q·w,  q = n (G·r) / (n·r) − G,      so its six columns are (q, X × q); for the depth itself q = n / (n·r).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.scenes.mesh.lens import Lens
from resect.scenes.mesh.rasterize import Hits
from resect.scenes.mesh.surface import Surface
from resect.scenes.mesh.texture import Atlas
from resect.scenes.mesh.threads import in_threads
from resect.types import Channel


@dataclass(frozen=True)
class Light:
    """Lambert shading: colour × (ambient + directional · max(0, n·l)).

    Attributes:
        ambient: RGB of light from everywhere.
        directional: RGB of light from one direction.
        direction: towards the light, in the world; `None` is a light that goes with the camera.
    """

    ambient: tuple[float, float, float] = (0.35, 0.35, 0.35)
    directional: tuple[float, float, float] = (0.65, 0.65, 0.65)
    direction: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """Rays that meet the surface.

    Attributes:
        pose: which of the rotations belongs to each.
        face: met.
        weight: barycentric coordinates there.
        ray: (x, y, 1) in the camera.
        depth: along the optical axis.
        rotation: (H, 3, 3) of cam_from_world.
        pixel_area: of a pixel, in units of (x, y).
    """

    pose: Int[Tensor, "n"]
    face: Int[Tensor, "n"]
    weight: Float[Tensor, "n 3"]
    ray: Float[Tensor, "n 3"]
    depth: Float[Tensor, "n"]
    rotation: Float[Tensor, "h 3 3"]
    pixel_area: float


@dataclass(frozen=True, eq=False)
class Cast:
    """Rays and what they hit.

    Attributes:
        hits: pose after pose.
        plane: where the rays meet the pinhole plane: of all, or of one pose when all poses have the same.
        ends: (H + 1) the hits of pose h are those from ends[h] to ends[h + 1].
    """

    hits: Hits
    plane: Float[Tensor, "n 2"]
    ends: list[int]

    def seen(self, hit: Int[Tensor, "n"], lens: Lens, rotation: Float[Tensor, "h 3 3"]) -> Seen:
        """The rays with these numbers."""
        pose = torch.bucketize(hit, torch.tensor(self.ends[1:], device=hit.device), right=True)
        rays = lens.rays(self.plane[hit % max(len(self.plane), 1)])
        weight, depth = self.hits.weight[hit].to(rotation), (1 / self.hits.inverse_depth[hit]).to(rotation)
        area = 1 / (lens.camera.fx * lens.camera.fy)
        return Seen(pose, self.hits.face[hit], weight, rays.to(rotation), depth, rotation, area)


def fused_colours(
    surface: Surface,
    cast: Cast,
    pinhole: tuple[float, float, float, float],
    rotation: Float[Tensor, "h 3 3"],
    background: tuple[float, float, float],
    dtype: torch.dtype,
    *,
    differentiate: bool,
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 6"] | None]:
    """`shade` of colours without light by a numba kernel, a pose a thread, background included."""
    from resect.scenes.mesh.shade_kernel import shade_pose

    n = len(cast.hits.face)
    value = torch.empty(n, 3, dtype=dtype)
    columns = torch.empty(n if differentiate else 0, 3, 6, dtype=dtype)
    zero = torch.zeros(0, 3, 2, dtype=dtype)
    atlas = surface.atlas or Atlas(zero[:, :, 0], torch.zeros(0, 1).long(), torch.zeros(0, 1, 2).long())
    uv = zero if surface.uv is None else surface.uv
    on_faces = [surface.colors, surface.slope, surface.normal, uv, surface.texture, surface.texel_density]
    arrays = [x.contiguous().numpy() for x in (*on_faces, atlas.texels, atlas.first, atlas.size)]
    face, weight, depth, plane, turn = (
        x.contiguous().numpy()
        for x in (cast.hits.face, cast.hits.weight, cast.hits.inverse_depth, cast.plane, rotation)
    )
    v, c, same = value.numpy(), columns.numpy(), len(cast.plane) != n

    def work(h: int) -> None:
        mine = slice(cast.ends[h], cast.ends[h + 1])
        shade_pose(
            face[mine], weight[mine], depth[mine], plane if same else plane[mine], pinhole, turn[h], *arrays,
            background, v[mine], c[mine] if differentiate else c,
        )  # fmt: skip

    in_threads(work, len(rotation))
    return value, columns if differentiate else None


def shade(
    surface: Surface, seen: Seen, channel: Channel, light: Light | None, *, differentiate: bool
) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c 6"] | None]:
    """Values of colour, depth or normal and, if asked for, their derivatives; none of normals."""
    if channel == "normal":
        return _facing_normals(surface, seen), None
    if channel == "depth":
        return seen.depth[:, None], _depth_columns(surface, seen) if differentiate else None
    value, slope = _albedo(surface, seen, differentiate)
    if light is None:
        return value, None if slope is None else _columns(surface, seen, slope)
    gain, gain_columns = _lambert(surface, seen, light, differentiate)
    if slope is None or gain_columns is None:
        return value * gain, None
    return value * gain, _columns(surface, seen, slope) * gain[..., None] + value[..., None] * gain_columns


def _albedo(surface: Surface, seen: Seen, differentiate: bool) -> tuple[Tensor, Tensor | None]:
    """Colour without light (n, 3), and its gradient along the surface (n, 3, 3) in the world."""
    corners = surface.colors.index_select(0, seen.face)
    value = (seen.weight[:, :, None] * corners).sum(1)
    slopes = surface.slope.index_select(0, seen.face) if differentiate else None
    slope = None if slopes is None else corners.mT @ slopes
    if surface.uv is None or surface.atlas is None:
        return value, slope
    has = (surface.texture[seen.face] >= 0).nonzero()[:, 0]
    face = seen.face[has]
    corner_uv = surface.uv[face]
    uv = (seen.weight[has][:, :, None] * corner_uv).sum(1)
    texel, by_uv = surface.atlas.look_up(surface.texture[face], uv, _level(surface, seen)[has])
    if slope is not None and slopes is not None:
        along = by_uv @ (corner_uv.mT @ slopes[has])
        slope[has] = value[has][..., None] * along + texel[..., None] * slope[has]
    value[has] = value[has] * texel
    return value, slope


def _level(surface: Surface, seen: Seen) -> Tensor:
    """Halvings of the texture at which a texel is as large as a pixel: ½ log2(texels under a pixel).

    A pixel of area a in (x, y) sees the area a z² / |n·r| of the surface.
    """
    sees = seen.pixel_area * seen.depth.square() / _facing(surface, seen)[1].abs().clamp_min(1e-6)
    return 0.5 * (surface.texel_density[seen.face] * sees).clamp_min(1e-12).log2()


def _facing(surface: Surface, seen: Seen) -> tuple[Tensor, Tensor]:
    """Normals of the faces in the camera, and n·r."""
    normal = _rotated(seen, surface.normal.index_select(0, seen.face))
    return normal, (normal * seen.ray).sum(-1)


def _rotated(seen: Seen, vectors: Tensor) -> Tensor:
    """World to camera."""
    turn = seen.rotation.index_select(0, seen.pose)
    return (turn @ vectors[..., None])[..., 0] if vectors.ndim == 2 else vectors @ turn.mT


def _columns(surface: Surface, seen: Seen, slope: Tensor) -> Tensor:
    """(n, c, 6) from gradients (n, c, 3) along the surface, in the world."""
    normal, cosine = _facing(surface, seen)
    slope = _rotated(seen, slope)
    along = (slope @ seen.ray[..., None]) / _apart(cosine)[:, None, None]
    return _six(seen, normal[:, None] * along - slope)


def _depth_columns(surface: Surface, seen: Seen) -> Tensor:
    normal, cosine = _facing(surface, seen)
    return _six(seen, (normal / _apart(cosine)[:, None])[:, None])


def _six(seen: Seen, q: Tensor) -> Tensor:
    point = (seen.ray * seen.depth[:, None])[:, None].expand_as(q)
    return torch.cat([q, torch.linalg.cross(point, q)], -1)


def _apart(cosine: Tensor) -> Tensor:
    """Away from zero, sign kept."""
    return torch.where(cosine.abs() < 1e-9, torch.full_like(cosine, 1e-9), cosine)


def _normals(surface: Surface, seen: Seen) -> tuple[Tensor, Tensor | None]:
    """Unit normals in the world, and where they vary over a face the gradient [component, axis] before normalising."""
    if surface.corner_normals is None:
        return surface.normal.index_select(0, seen.face), None
    corners = surface.corner_normals.index_select(0, seen.face)
    mean = (seen.weight[:, :, None] * corners).sum(1)
    length = mean.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    unit = mean / length
    slope = corners.mT @ surface.slope.index_select(0, seen.face)
    across = slope - unit[..., None] * (unit[:, None] @ slope)
    return unit, across / length[..., None]


def _facing_normals(surface: Surface, seen: Seen) -> Tensor:
    """Unit normals in the world, on the side that is seen."""
    unit = _normals(surface, seen)[0]
    behind = _facing(surface, seen)[1] > 0
    return torch.where(behind[:, None], -unit, unit)


def _lambert(surface: Surface, seen: Seen, light: Light, differentiate: bool) -> tuple[Tensor, Tensor | None]:
    """Light at each point (n, 3), and its columns (n, 3, 6); on the side that is seen."""
    unit, bend = _normals(surface, seen)
    flip = torch.where(_facing(surface, seen)[1] > 0, -1.0, 1.0).to(unit)
    if light.direction is None:
        towards = -seen.rotation[:, 2].index_select(0, seen.pose)
    else:
        towards = torch.nn.functional.normalize(unit.new_tensor(light.direction), dim=0).expand_as(unit)
    cosine = flip * (unit * towards).sum(-1)
    ambient, directional = unit.new_tensor(light.ambient), unit.new_tensor(light.directional)
    gain = ambient + directional * cosine.clamp_min(0)[:, None]
    if not differentiate:
        return gain, None
    columns = unit.new_zeros(len(unit), 1, 6)
    if bend is not None:
        columns = columns + _columns(surface, seen, towards[:, None] @ bend)
    if light.direction is None:
        turning = torch.linalg.cross(_rotated(seen, unit), _rotated(seen, towards))
        columns = columns + torch.cat([torch.zeros_like(turning), turning], -1)[:, None]
    lit = (cosine > 0).to(unit) * flip
    return gain, directional[:, None] * lit[:, None, None] * columns
