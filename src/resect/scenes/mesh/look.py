"""One look at a surface from several poses: rays cast, values and derivatives gathered, edges mixed in."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.scenes.mesh import contour
from resect.scenes.mesh.lens import Lens
from resect.scenes.mesh.rasterize import Depths, Hits, facing, rasterize
from resect.scenes.mesh.samples import Samples
from resect.scenes.mesh.shade import Cast, Light, fused_colours, shade
from resect.scenes.mesh.surface import Surface
from resect.scenes.mesh.threads import fuses
from resect.types import Channel


@dataclass(frozen=True, eq=False)
class Settings:
    """How to look.

    Attributes:
        background: RGB where nothing is hit.
        light: `None` shows plain colours.
        depths: that are seen.
        max_fragments: see `rasterize`.
        fused: see `rasterize`.
    """

    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    light: Light | None = None
    depths: Depths = field(default_factory=Depths)
    max_fragments: int = 1 << 19
    fused: bool | None = None


@dataclass(frozen=True, eq=False)
class Look:
    """H poses at N pixels of a camera.

    Attributes:
        surface: seen.
        camera: by which.
        cam_from_world: from where.
        pixels: where in the image.
        settings: how.
        dtype: of what comes out.
        samples: the pixels, and the same on the pinhole plane; one object where the lens is straight.
        vertices: in the camera's frame, float64.
        points: the same in homogeneous coordinates of the plane.
        cull: of each pose, whether faces seen from behind are hidden anyway.
        hits: what the rays through the pixels meet, (H · N).
    """

    surface: Surface
    camera: Camera
    cam_from_world: SE3
    pixels: Float[Tensor, "n 2"]
    settings: Settings
    dtype: torch.dtype
    samples: Samples
    vertices: Float[Tensor, "h v 3"]
    points: Float[Tensor, "h v 3"]
    cull: Tensor
    hits: Hits

    @classmethod
    def at(
        cls, surface: Surface, camera: Camera, cam_from_world: SE3, pixels: Tensor | None, settings: Settings
    ) -> "Look":
        """Casts the rays."""
        lens, device, pose = Lens(camera), surface.vertices.device, cam_from_world.double()
        dtype = cam_from_world.t.dtype
        vertices = pose.apply(surface.vertices.expand(len(pose), -1, -1))
        points = lens.homogeneous(vertices)
        every = camera.pixels(dtype=torch.float64).to(device) if pixels is None else pixels.double().to(device)
        samples = Samples.grid(camera, device) if pixels is None else Samples.of(every)
        low, high = surface.vertices.amin(0), surface.vertices.amax(0)
        outside = ((pose.center < low) | (pose.center > high)).any(-1)
        cull = outside if surface.closed else torch.zeros_like(outside)
        if lens.straight:
            hits = _cast(surface, points, samples, cull, settings, dtype)
        else:
            plane, meets = lens.on_plane(every)
            hits = _cast(
                surface, points, Samples.of(torch.where(meets[:, None], plane, plane[:1])), cull, settings, dtype
            )
            hits = Hits(torch.where(meets.repeat(len(pose)), hits.face, -1), hits.inverse_depth, hits.weight)
        return cls(
            surface,
            camera,
            cam_from_world,
            every,
            settings,
            cam_from_world.t.dtype,
            samples,
            vertices,
            points,
            cull,
            hits,
        )

    def values(self, channel: Channel, *, differentiate: bool) -> tuple[Tensor, Tensor | None]:
        """(H · N, C) at the centres of the pixels, and (H · N, C, 6)."""
        h, n = len(self.points), len(self.pixels)
        plane = Lens(self.camera).on_plane(self.pixels)[0]
        return self._shaded(Cast(self.hits, plane, [n * k for k in range(h + 1)]), channel, differentiate)

    def mix_contours(self, channels: "dict[Channel, tuple[Tensor, Tensor | None]]") -> None:
        """Turns values at centres into means over pixels, in place, and adds the derivative along contours."""
        piece = self._pieces()
        if not len(piece.pose):
            return
        lens, fused = Lens(self.camera), fuses(self.settings.fused, self.pixels.device)
        plane = lens.on_plane(contour.beside(piece, lens))[0]
        pose, poses = piece.pose.repeat_interleave(2), len(self.points)
        cells = self.samples.columns * self.samples.rows
        samples = Samples.of_poses(plane, pose, poses, cells, fused=fused)
        hits = _cast(self.surface, self.points, samples, self.cull, self.settings, self.dtype)
        ends = [0, *torch.bincount(pose, minlength=poses).cumsum(0).tolist()]
        place = piece.sample if self.samples.order is None else self.samples.order[piece.sample]
        slot = piece.pose * len(self.pixels) + place
        moves = (contour.motion(piece, lens.derivative(piece.point)) * piece.length[:, None]).to(self.dtype)
        for channel, (value, columns) in channels.items():
            sides = self._shaded(Cast(hits, plane, ends), channel, False)[0]
            jump = sides[0::2] - sides[1::2]
            value.index_add_(0, slot, -piece.area.to(self.dtype)[:, None] * jump)
            if columns is not None:  # an edge takes the colours beside it along: they do not change
                columns.index_add_(0, slot, -jump[..., None] * moves[:, None])
            if channel in ("rgb", "alpha"):
                value.clamp_(0, 1)

    def _pieces(self) -> contour.Pieces:
        lens, c = Lens(self.camera), self.camera
        near = contour.nearest(self.vertices, self.settings.depths.near)
        if lens.straight and fuses(self.settings.fused, self.points.device):
            pinhole = c.fx, c.fy, c.cx, c.cy
            return contour.fused_pieces(self.surface, self.points, self.vertices, pinhole, self.samples, near)
        pose, edge = contour.possible_contours(self.surface, facing(self.points, self.surface.faces))
        begin, end = (self.vertices[pose, self.surface.edges[edge, k]] for k in (0, 1))
        return contour.pieces(begin, end, pose, lens, self.samples, near)

    def _shaded(self, cast: "Cast", channel: Channel, differentiate: bool) -> tuple[Tensor, Tensor | None]:
        """Values where rays hit and the background elsewhere."""
        light, c = self.settings.light, self.camera
        if channel == "alpha":
            value = (cast.hits.face >= 0).to(self.dtype)[:, None]
            return value, value.new_zeros(len(value), 1, 6) if differentiate else None
        if channel == "rgb" and light is None and fuses(self.settings.fused, self.pixels.device):
            return fused_colours(
                self.surface, cast, (c.fx, c.fy, c.cx, c.cy), self.cam_from_world.R, self.settings.background,
                self.dtype, differentiate=differentiate,
            )  # fmt: skip
        hit = (cast.hits.face >= 0).nonzero()[:, 0]
        seen = cast.seen(hit, Lens(c), self.cam_from_world.R)
        value, columns = shade(self.surface, seen, channel, light, differentiate=differentiate)
        behind = value.new_tensor(self.settings.background) if channel == "rgb" else value.new_zeros(value.shape[1])
        full = behind.expand(len(cast.hits.face), -1).clone()
        full[hit] = value
        if columns is None:
            return full, None
        return full, columns.new_zeros(len(full), *columns.shape[1:]).index_copy_(0, hit, columns)


def _cast(
    surface: Surface, points: Tensor, samples: Samples, cull: Tensor, settings: Settings, dtype: torch.dtype
) -> Hits:
    return rasterize(
        points, surface.faces, samples, cull=cull, depths=settings.depths, max_fragments=settings.max_fragments,
        fused=settings.fused, dtype=dtype,
    )  # fmt: skip
