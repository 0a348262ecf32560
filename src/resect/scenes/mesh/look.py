"""One look at a surface from several poses: rays cast, values and derivatives gathered, edges mixed in."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.scenes.mesh import contour
from resect.scenes.mesh.lens import Lens
from resect.scenes.mesh.rasterize import Depths, Hits, facing, fuses, nearest_boxed, rasterize
from resect.scenes.mesh.samples import Samples
from resect.scenes.mesh.shade import Light, Seen, shade
from resect.scenes.mesh.surface import Surface
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
        vertices = pose.apply(surface.vertices.expand(len(pose), -1, -1))
        points = lens.homogeneous(vertices)
        every = camera.pixels(dtype=torch.float64).to(device) if pixels is None else pixels.double().to(device)
        samples = Samples.grid(camera, device) if pixels is None else Samples.of(every)
        low, high = surface.vertices.amin(0), surface.vertices.amax(0)
        outside = ((pose.center < low) | (pose.center > high)).any(-1)
        cull = outside if surface.closed else torch.zeros_like(outside)
        if lens.straight:
            hits = _cast(surface, points, samples, cull, settings)
        else:
            plane, meets = lens.on_plane(every)
            hits = _cast(surface, points, Samples.of(torch.where(meets[:, None], plane, plane[:1])), cull, settings)
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
        pose = torch.arange(h, device=self.pixels.device).repeat_interleave(n)
        plane = Lens(self.camera).on_plane(self.pixels)[0]
        return self._shaded(self.hits, pose, plane, torch.arange(h * n, device=pose.device) % n, channel, differentiate)

    def mix_contours(self, channels: "dict[Channel, tuple[Tensor, Tensor | None]]") -> None:
        """Turns values at centres into means over pixels, in place, and adds the derivative along contours."""
        piece = self._pieces()
        if not len(piece.pose):
            return
        lens = Lens(self.camera)
        beside = contour.BESIDE_PX * piece.normal
        both = torch.cat([piece.middle + beside, piece.middle - beside])
        pose = piece.pose.repeat(2)
        plane = lens.on_plane(both)[0]
        cells = self.samples.columns * self.samples.rows
        samples = Samples.of(plane, pose, len(self.points), cells)
        hits = _cast(self.surface, self.points, samples, self.cull, self.settings)
        place = piece.sample if self.samples.order is None else self.samples.order[piece.sample]
        slot = piece.pose * len(self.pixels) + place
        moves = contour.motion(piece, lens.derivative(piece.point)) * piece.length[:, None]
        for channel, (value, columns) in channels.items():
            every = torch.arange(len(plane), device=plane.device)
            left, right = self._shaded(hits, pose, plane, every, channel, False)[0].chunk(2)
            jump = left - right
            value.index_add_(0, slot, -piece.area.to(self.dtype)[:, None] * jump)
            if columns is not None:  # an edge takes the colours beside it along: they do not change
                columns.index_add_(0, slot, -jump[..., None] * moves.to(self.dtype)[:, None])
            if channel in ("rgb", "alpha"):
                value.clamp_(0, 1)

    def _pieces(self) -> contour.Pieces:
        lens, c, near = Lens(self.camera), self.camera, nearest_boxed(self.points, self.settings.depths)
        if lens.straight and fuses(self.settings.fused, self.points.device):
            pinhole = c.fx, c.fy, c.cx, c.cy
            return contour.fused_pieces(self.surface, self.points, self.vertices, pinhole, self.samples, near)
        pose, edge = contour.possible_contours(self.surface, facing(self.points, self.surface.faces))
        begin, end = (self.vertices[pose, self.surface.edges[edge, k]] for k in (0, 1))
        return contour.pieces(begin, end, pose, lens.project, self.samples, near)

    def _shaded(
        self, hits: Hits, pose: Tensor, plane: Tensor, place: Int[Tensor, "m"], channel: Channel, differentiate: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Values where rays hit and the background elsewhere; `plane[place]` is where each ray meets the plane."""
        hit = (hits.face >= 0).nonzero()[:, 0]
        lens = Lens(self.camera)
        seen = Seen(
            pose[hit],
            hits.face[hit],
            hits.weight[hit].to(self.dtype),
            lens.rays(plane[place[hit]]).to(self.dtype),
            (1 / hits.inverse_depth[hit]).to(self.dtype),
            self.cam_from_world.R,
            1 / (self.camera.fx * self.camera.fy),
        )
        value, columns = shade(self.surface, seen, channel, self.settings.light, differentiate=differentiate)
        behind = value.new_tensor(self.settings.background) if channel == "rgb" else value.new_zeros(value.shape[1])
        full = behind.expand(len(hits.face), -1).clone()
        full[hit] = value
        if columns is None:
            return full, None
        return full, columns.new_zeros(len(hits.face), *columns.shape[1:]).index_copy_(0, hit, columns)


def _cast(surface: Surface, points: Tensor, samples: Samples, cull: Tensor, settings: Settings) -> Hits:
    return rasterize(
        points, surface.faces, samples, cull=cull, depths=settings.depths, max_fragments=settings.max_fragments,
        fused=settings.fused,
    )  # fmt: skip
