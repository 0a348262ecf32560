"""A mesh as a `Scene`: what a camera sees of it, with derivatives that hold at contours too."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.scenes.mesh.detail import clustered, edge_length
from resect.scenes.mesh.look import Look, Settings
from resect.scenes.mesh.rasterize import Depths
from resect.scenes.mesh.shade import Light
from resect.scenes.mesh.surface import Surface
from resect.types import Channel, Photo, Render

_CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "expected_depth", "alpha", "normal")
_WIDTH = {"rgb": 3, "depth": 1, "expected_depth": 1, "alpha": 1, "normal": 3}
_MIXED: tuple[Channel, ...] = ("rgb", "alpha")
_COSTS_OF_A_FACE = 4

Shown = tuple[Tensor, Tensor | None]


@dataclass(frozen=True, eq=False)
class MeshScene:
    """A triangle mesh in its own frame and units, seen from both sides.

    Depth and normal are those at the centres of pixels. With `antialias`, colour, opacity and expected depth are means
    over the squares of the pixels as far as edges go (expected depth over their covered part), and their derivatives
    include the motion of the visible contour; without, they are those at the centres too. Opacity in `linearize` is
    such a mean whatever `antialias` says: at the centres it has no derivative.

    A lens bends the rays through pixels; those more than 87° from the optical axis see the background.

    Attributes:
        mesh: what is seen.
        background: RGB in [0, 1] where nothing is.
        light: `None` shows the mesh's plain colours.
        antialias: whether pixels are means over their squares.
        near: least depth that is seen, world units.
        far: greatest depth that is seen.
        max_samples: most pixels and vertices of poses worked on at a time; bounds the memory.
        fused: whether numba casts the rays; where it can by default.
    """

    mesh: Mesh
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    light: Light | None = None
    antialias: bool = True
    near: float = 0.0
    far: float = float("inf")
    max_samples: int = 1 << 20
    fused: bool | None = None
    _surfaces: dict[torch.dtype, Surface] = field(default_factory=dict, init=False, repr=False)
    _coarser: "dict[int, MeshScene]" = field(default_factory=dict, init=False, repr=False)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for."""
        return _CHANNELS

    @cached_property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Box around the vertices that faces use."""
        used = self.mesh.vertices[self.mesh.faces.reshape(-1)]
        return torch.stack([used.amin(0), used.amax(0)])

    @property
    def code_dim(self) -> int:
        """No code."""
        return 0

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo averaged over the camera's pixels, on the scene's background where it is transparent.

        Opacity is that of the target's mask, else the photo's own; depth is that of the nearest pixel.
        """
        size, image = (camera.width, camera.height), photo.image
        if photo.alpha is not None:  # was laid on white
            image = image + (1 - photo.alpha[..., None]) * (torch.tensor(self.background).to(image) - 1)
        mask = None if photo.target is None else photo.target.mask
        alpha = photo.alpha if mask is None else mask.to(image)
        return Render(
            rgb=resize_area(image, *size).reshape(1, -1, 3),
            alpha=None if alpha is None else resize_area(alpha, *size).reshape(1, -1),
            depth=None if photo.depth is None else _nearest(photo.depth, camera).reshape(1, -1),
        )

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses see at N pixels; colour, opacity and depth are differentiable in the poses."""
        _check(cam_from_world, want, pixels, code)
        follows = torch.is_grad_enabled() and (cam_from_world.R.requires_grad or cam_from_world.t.requires_grad)
        if not follows:
            values = self._looked(camera, cam_from_world, want, pixels, differentiate=False)[0]
        else:
            values = _Rendered.apply(  # type: ignore[no-untyped-call]
                cam_from_world.R, cam_from_world.t, self, camera, want, pixels
            )
        split = dict(zip(want, values.split([_WIDTH[name] for name in want], -1), strict=True))
        return Render(**{name: x if _WIDTH[name] > 1 else x[..., 0] for name, x in split.items()})

    def linearize(
        self, camera: Camera, cam_from_world: SE3, pixels: Float[Tensor, "n 2"] | None, channel: Channel
    ) -> tuple[Float[Tensor, "h n c"], Float[Tensor, "h n c 6"]]:
        """Values of colour, opacity or a depth, and their derivatives by δ in exp(δ) @ cam_from_world.

        Of the render itself (not of the photo): gradient of the visible colour along the surface times the motion of
        the surface, and the jump across each visible contour times the contour's motion.
        """
        _check(cam_from_world, (channel,), pixels, None)
        if channel == "normal":
            raise ResectError("MeshScene.linearize", "rgb, alpha, depth or expected_depth", "normal")
        scene = self._antialiased if channel == "alpha" else self
        values, columns = scene._looked(camera, cam_from_world, (channel,), pixels, differentiate=True)
        assert columns is not None
        return values, columns

    @cached_property
    def _antialiased(self) -> "MeshScene":
        return self if self.antialias else replace(self, antialias=True)

    @cached_property
    def _edge_length(self) -> float:
        return edge_length(self.mesh)

    def lod(self, pixel_rad: float, distance: float | None = None) -> "MeshScene":
        """A copy with about a vertex a pixel at a distance, made once and kept; itself where none is known.

        Cells are the mean edge of the mesh times the largest power of √2 that leaves them within a pixel.
        """
        if distance is None:
            return self
        edge = self._edge_length
        level = math.floor(2 * math.log2(max(distance * pixel_rad / max(edge, 1e-30), 1e-9)))
        if level < 0:
            return self
        if level not in self._coarser:
            fewer = clustered(self.mesh, edge * 2 ** (level / 2))
            enough = 4 <= len(fewer.faces) < 0.8 * len(self.mesh.faces)
            coarser = replace(self, mesh=fewer) if enough else self
            coarser.__dict__["bounds"] = self.bounds  # those of the whole
            self._coarser[level] = coarser
        return self._coarser[level]

    def _surface(self, dtype: torch.dtype) -> Surface:
        if dtype not in self._surfaces:
            self._surfaces[dtype] = Surface.of(self.mesh, dtype)
        return self._surfaces[dtype]

    def _looked(
        self, camera: Camera, pose: SE3, want: tuple[Channel, ...], pixels: Tensor | None, *, differentiate: bool
    ) -> Shown:
        """(H, N, ΣC) and, if asked for, (H, N, ΣC, 6); so many poses at a time that memory stays bounded."""
        n = camera.width * camera.height if pixels is None else len(pixels)
        pose = SE3(pose.R.detach(), pose.t.detach())
        surface = self._surface(pose.t.dtype)
        if n == 0 or len(pose) == 0:
            width = sum(_WIDTH[name] for name in want)
            empty = pose.t.new_zeros(len(pose), n, width)
            return empty, empty[..., None].expand(-1, -1, -1, 6) if differentiate else None
        settings = Settings(self.background, self.light, Depths(self.near, self.far), fused=self.fused)
        each = n + len(surface.vertices) + _COSTS_OF_A_FACE * len(surface.faces)
        count = max(1, self.max_samples // each)
        parts = []
        for first in range(0, len(pose), count):
            look = Look.at(surface, camera, pose[first : first + count], pixels, settings)
            parts.append(self._channels_of(look, want, differentiate))
        values = _joined([p[0] for p in parts], 0).unflatten(0, (len(pose), n))
        columns = [p[1] for p in parts if p[1] is not None]
        return values, _joined(columns, 0).unflatten(0, (len(pose), n)) if differentiate else None

    def _channels_of(self, look: Look, want: tuple[Channel, ...], differentiate: bool) -> Shown:
        """(H · N, ΣC) of the wanted channels and, if asked for, (H · N, ΣC, 6)."""
        at_centres: tuple[Channel, ...] = tuple(name for name in want if name != "expected_depth")
        found = {name: look.values(name, differentiate=differentiate) for name in at_centres}
        mixed = {name: found[name] for name in at_centres if name in _MIXED}
        if "expected_depth" in want:
            both: tuple[Channel, ...] = ("depth", "alpha")
            covered = {name: look.values(name, differentiate=differentiate) for name in both}
            if self.antialias:
                look.mix_contours(covered)
            found["expected_depth"] = _ratio(covered["depth"], covered["alpha"])
        if self.antialias and mixed:
            look.mix_contours(mixed)
        values = _joined([found[name][0] for name in want], 1)
        if not differentiate:
            return values, None
        columns = [c if c is not None else v.new_zeros(*v.shape, 6) for v, c in (found[name] for name in want)]
        return values, _joined(columns, 1)


def _joined(tensors: list[Tensor], dim: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)


def _ratio(total: Shown, share: Shown) -> Shown:
    """Total / share and its derivative; 0 where there is no share."""
    some = share[0] > 1e-6
    safe = torch.where(some, share[0], 1.0)
    value = torch.where(some, total[0] / safe, 0.0).clamp_min(0)
    if total[1] is None or share[1] is None:
        return value, None
    columns = (total[1] - value[..., None] * share[1]) / safe[..., None]
    return value, torch.where(some[..., None], columns, 0.0)


class _Rendered(torch.autograd.Function):
    """Values with their six columns kept, so that gradients reach rotation and translation.

    The columns hold for motions exp(δ), δ = (v, ω), i.e. dR = [ω]R and dt = v + ω × t. With g = Σ gradient · column,
    ∂/∂t = g_v and ∂/∂R = ½ [g_ω − t × g_v] R give back g·δ for each of them.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        rotation: Tensor,
        translation: Tensor,
        scene: MeshScene,
        camera: Camera,
        want: tuple[Channel, ...],
        pixels: Tensor | None,
    ) -> Tensor:
        """(H, N, ΣC)."""
        values, columns = scene._looked(camera, SE3(rotation, translation), want, pixels, differentiate=True)
        assert columns is not None
        ctx.save_for_backward(columns, rotation, translation)
        return values

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Vector–Jacobian product."""
        columns, rotation, translation = ctx.saved_tensors  # type: ignore[attr-defined]
        by_v, by_w = torch.einsum("hnc,hncp->hp", gradient, columns).split(3, -1)
        turn = by_w - torch.linalg.cross(translation, by_v)
        x, y, z = turn.unbind(-1)
        zero = torch.zeros_like(x)
        hat = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
        return 0.5 * hat @ rotation, by_v, None, None, None, None


def _nearest(depth: Tensor, camera: Camera) -> Tensor:
    planes = depth[None, None]
    size = (camera.height, camera.width)
    return torch.nn.functional.interpolate(planes, size=size, mode="nearest-exact")[0, 0]


def _check(cam_from_world: SE3, want: tuple[Channel, ...], pixels: Tensor | None, code: object) -> None:
    for name in want:
        if name not in _CHANNELS:
            raise unknown_name("render: want", str(name), _CHANNELS)
    if not want:
        raise ResectError("render: want", f"one or more of {_CHANNELS}", "none")
    if cam_from_world.t.ndim != 2:
        got = str(tuple(cam_from_world.batch_shape))
        raise ResectError("render: cam_from_world", "one batch dimension (H)", got, "Index a single pose with [None].")
    if pixels is not None and (pixels.ndim != 2 or pixels.shape[-1] != 2):
        raise ResectError("render: pixels", "shape (n, 2)", str(tuple(pixels.shape)))
    if code is not None:
        raise ResectError("render: code", "none: a mesh has no code", type(code).__name__)
