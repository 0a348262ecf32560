"""Silhouettes with a gradient, three ways: what this library uses, and two classics to compare it with.

- "antialias": the exact coverage of each pixel and its exact derivative along visible contours (`contour.py`).
- "soft": every face is a blot, A = sigmoid(±d² / σ) of the distance d to its border, and opacity is 1 − Π (1 − A).
  After Liu et al., "Soft Rasterizer", ICCV 2019, eq. 1 and 3. What differs: pairs of face and pixel farther apart than
  where A falls below 1e-4 are left out, and σ is in square pixels.
- "nmr": hard coverage, and a made-up derivative that lets a pixel pull at the edges of the faces on its row and column.
  After Kato, Ushiku and Harada, "Neural 3D Mesh Renderer", CVPR 2018, §3.2, as its code does it (both scans, only pulls
  that lower the loss). What differs: faces count from both sides, so no reversed copies are needed.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.scenes.mesh.lens import Lens
from resect.scenes.mesh.look import Look, Settings
from resect.scenes.mesh.samples import Samples, expand, parts_of
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.mesh.surface import Surface

Kind = Literal["antialias", "soft", "nmr"]
_FAINT = 1e-4
_LEAST_PX = 1e-2  # NMR keeps distances this far from 0 (1e-4 of half a 200-pixel image)


def silhouette(
    scene: MeshScene,
    camera: Camera,
    cam_from_world: SE3,
    kind: Kind = "antialias",
    *,
    sigma_px2: float = 0.3,
    max_pairs: int = 1 << 20,
) -> Float[Tensor, "h n"]:
    """Opacity of all pixels, differentiable in the poses.

    Args:
        camera: without distortion for "soft" and "nmr".
        sigma_px2: σ of "soft", square pixels; 1e-4 of the unit image [−1, 1]² is 0.4 at 128 pixels.
        max_pairs: most pairs of a face and a pixel worked on at a time.
    """
    if kind == "antialias":
        alpha = scene.render(camera, cam_from_world, ("alpha",)).alpha
        assert alpha is not None
        return alpha
    if kind not in ("soft", "nmr"):
        raise unknown_name("silhouette: kind", str(kind), ("antialias", "soft", "nmr"))
    if not Lens(camera).straight:
        raise ResectError(f"silhouette: {kind}", "a camera without distortion", camera.model, "Use kind='antialias'.")
    vertices = scene.mesh.vertices.to(cam_from_world.t)
    in_cam = cam_from_world.apply(vertices.expand(len(cam_from_world), -1, -1))
    ahead = (in_cam[..., 2] > 1e-6)[:, scene.mesh.faces].all(-1)
    homogeneous = Lens(camera).homogeneous(in_cam)
    xy = homogeneous[..., :2] / homogeneous[..., 2:].clamp_min(1e-6)
    if kind == "soft":
        return _soft(xy, scene.mesh.faces, ahead, camera, sigma_px2, max_pairs)
    surface = Surface.of(scene.mesh, cam_from_world.t.dtype)
    still = SE3(cam_from_world.R.detach(), cam_from_world.t.detach())
    owner = Look.at(surface, camera, still, None, Settings(fused=scene.fused)).hits.face.view(len(still), -1)
    pulled: Tensor = _Pulled.apply(xy, scene.mesh.faces, owner, camera, ahead)  # type: ignore[no-untyped-call]
    return pulled


def _soft(xy: Tensor, faces: Tensor, ahead: Tensor, camera: Camera, sigma: float, max_pairs: int) -> Tensor:
    """(H, N) opacity from (H, V, 2) projected vertices."""
    h, n = len(xy), camera.width * camera.height
    reach = math.sqrt(sigma * math.log(1 / _FAINT))
    pose, face = ahead.nonzero().unbind(1)
    corners = xy.detach()[pose[:, None], faces[face]].double()
    samples = Samples.grid(camera, xy.device)
    box, first, count = samples.near(pose, corners.amin(1) - reach, corners.amax(1) + reach)

    def cleared(xy: Tensor, box: Tensor, first: Tensor, count: Tensor) -> Tensor:
        """log Π (1 − A) over these runs, of all pixels."""
        run, step = expand(count)
        place, which = first[run] + step, box[run]
        triangle = xy[pose[which][:, None], faces[face[which]]]
        signed = _signed_square(samples.points[place].to(xy), triangle)
        log_clear = torch.nn.functional.logsigmoid(-signed / sigma)
        return xy.new_zeros(h * n).index_add(0, pose[which] * n + place, log_clear)

    total = xy.new_zeros(h * n)
    for part in parts_of(count, max_pairs):
        total = total + checkpoint(cleared, xy, box[part], first[part], count[part], use_reentrant=False)
    return (1 - total.exp()).view(h, n)


def _signed_square(points: Tensor, corners: Tensor) -> Tensor:
    """Squared distance to the border of a triangle, positive inside."""
    along = corners.roll(-1, 1) - corners
    gap = points[:, None] - corners
    t = ((gap * along).sum(-1) / (along * along).sum(-1).clamp_min(1e-12)).clamp(0, 1)
    square = (gap - t[..., None] * along).square().sum(-1).amin(1)
    turn = along[..., 0] * gap[..., 1] - along[..., 1] * gap[..., 0]
    inside = (turn >= 0).all(1) | (turn <= 0).all(1)
    return torch.where(inside, square, -square)


class _Pulled(torch.autograd.Function):
    """Hard coverage with the hand-made derivative of the neural mesh renderer."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        xy: Tensor,
        faces: Tensor,
        owner: Tensor,
        camera: Camera,
        ahead: Tensor,
    ) -> Tensor:
        """(H, N) of 0 and 1; `owner` (H, N) is the face of each pixel."""
        ctx.save_for_backward(xy, faces, owner, ahead)
        ctx.camera = camera  # type: ignore[attr-defined]
        return (owner >= 0).to(xy)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Pulls at vertices, along x by the rows and along y by the columns."""
        xy, faces, owner, ahead = ctx.saved_tensors  # type: ignore[attr-defined]
        camera: Camera = ctx.camera  # type: ignore[attr-defined]
        shape = (len(xy), camera.height, camera.width)
        owned, wanted = owner.view(shape), gradient.reshape(shape)
        pulled = torch.zeros_like(xy)
        _pull(pulled, 0, xy, faces, ahead, owned, wanted)
        _pull(pulled, 1, xy.flip(-1), faces, ahead, owned.mT, wanted.mT)
        return pulled, None, None, None, None


def _pull(out: Tensor, axis: int, xy: Tensor, faces: Tensor, ahead: Tensor, owner: Tensor, wanted: Tensor) -> None:
    """Adds the pulls along the first coordinate of `xy` by every line of pixels (second coordinate = line + ½)."""
    lines = owner.shape[1]
    pose, face = ahead.nonzero().unbind(1)
    corner = xy[pose[:, None], faces[face]]
    for k in range(3):
        a, b, c = corner[:, k], corner[:, (k + 1) % 3], corner[:, (k + 2) % 3]
        low, high = torch.minimum(a[:, 1], b[:, 1]), torch.maximum(a[:, 1], b[:, 1])
        begin = (low - 0.5).ceil().clamp(0, lines).long()
        which, step = expand(((high - 0.5).floor().clamp(-1, lines - 1).long() - begin + 1).clamp_min(0))
        line = begin[which] + step
        a, b, c = a[which], b[which], c[which]
        s = line.to(a) + 0.5
        share = (b[:, 1] - s) / _apart(b[:, 1] - a[:, 1])  # how far the crossing moves with the first end
        crossing = share * a[:, 0] + (1 - share) * b[:, 0]
        beyond = _opposite(a, b, c, s)
        inward = torch.where(beyond > crossing, 1, -1)
        inner = torch.where(inward > 0, (crossing - 0.5).ceil(), (crossing - 0.5).floor()).long()
        force = _forces(pose[which], face[which], line, inner, inward, crossing, beyond, share, owner, wanted)
        for end, pull in zip((k, (k + 1) % 3), force, strict=True):
            out[..., axis].index_put_((pose[which], faces[face[which], end]), pull, accumulate=True)


def _forces(
    pose: Tensor, face: Tensor, line: Tensor, inner: Tensor, inward: Tensor, crossing: Tensor, beyond: Tensor,
    share: Tensor, owner: Tensor, wanted: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What the pixels of a line do to both ends of an edge that crosses it: −g / Δ, summed over both scans."""
    length = owner.shape[2]

    def at(index: Tensor, record: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Owner, derivative wanted, and whether the pixel is in the image."""
        there = (index >= 0) & (index < length)
        place = pose[record], line[record], index.clamp(0, length - 1)
        return torch.where(there, owner[place], -2), wanted[place], there

    every = slice(None)
    own_inner, _, _ = at(inner, every)
    own_outer, _, outer_there = at(inner - inward, every)
    outward = torch.where(inward > 0, inner, length - 1 - inner).clamp(0, length) * (own_inner == face)
    deep = ((beyond - crossing).abs().floor().long() + 1).clamp(0, length) * (outer_there & (own_outer < 0))
    total = [torch.zeros_like(share), torch.zeros_like(share)]
    for count, outside in ((outward, True), (deep, False)):
        record, step = expand(count)
        pixel = inner[record] + inward[record] * (-(step + 1) if outside else step)
        own, pull, there = at(pixel, record)
        counts = there & ((own == -1) if outside else (own == face[record]))
        g = torch.where(counts, -pull if outside else pull, 0.0).clamp_min(0)
        gap = pixel + 0.5 - crossing[record]
        for end, part in enumerate((share, 1 - share)):
            distance = gap / _apart(part[record])
            distance = torch.where(distance >= 0, 1.0, -1.0) * distance.abs().clamp_min(_LEAST_PX)
            total[end] = total[end].index_add(0, record, -g / distance)
    return total[0], total[1]


def _opposite(a: Tensor, b: Tensor, c: Tensor, s: Tensor) -> Tensor:
    """Where the line at height s leaves the triangle on the side of c."""
    start = torch.where(((a[:, 1] - s) * (c[:, 1] - s) <= 0)[:, None], a, b)
    t = (s - start[:, 1]) / _apart(c[:, 1] - start[:, 1])
    return start[:, 0] + t.clamp(0, 1) * (c[:, 0] - start[:, 0])


def _apart(x: Tensor) -> Tensor:
    """Away from zero, sign kept."""
    return torch.where(x.abs() < 1e-9, torch.full_like(x, 1e-9), x)
