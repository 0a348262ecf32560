"""The voxel field as a `Scene`: poses and rays in the dataset's world, normalisation inside."""

from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.scenes.field import reference, rendering
from resect.scenes.field.detail import coarser, halvings_for
from resect.scenes.field.frame import Frame
from resect.scenes.field.grid import Grid, March
from resect.scenes.field.settings import FieldSettings
from resect.scenes.field.store import checked_frame, checked_grid, frame_facts, grid_tensors
from resect.scenes.rays import check_asked, checked_colour, depth_along, photo_on
from resect.types import Channel, Photo, Render

KIND = "field"
_RAYS_AT_ONCE = 1 << 20
_CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "expected_depth", "alpha")


class Field:
    """A fitted voxel field.

    Args:
        grid: the voxels.
        frame: where they lie in the world, near and far.
        background: colour behind everything.
        settings: what it was trained with.
        voxels: marching step in voxels.
        device: where it renders; on the CPU by the numba kernels where numba is installed, else by PyTorch.
    """

    def __init__(
        self,
        grid: Grid,
        frame: Frame,
        background: tuple[float, float, float],
        settings: FieldSettings,
        *,
        voxels: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.grid, self.frame, self.background, self.settings = grid, frame, background, settings
        self.device = torch.device(device)
        numbers = (frame.near, frame.far, voxels, settings.least_weight, settings.least_transmittance)
        self._march = March(*(np.float32(x) for x in numbers))
        self._behind = np.array(background, np.float32)
        self._details: dict[int, Field] = {}
        self._tensors: reference.Voxels | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for."""
        return _CHANNELS

    @property
    def code_dim(self) -> int:
        """0: a field is of one place."""
        return 0

    @property
    def fused(self) -> bool:
        """Whether rays are marched by the numba kernels."""
        return self.device.type == "cpu" and rendering.has_numba() and self.settings.backend != "torch"

    @cached_property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Box around what there is to see, world units: of all but the outermost opaque voxels."""
        from resect.scenes.field.detail import opaque_points

        points = opaque_points(self.grid, limit=1.0 if self.frame.case in ("object", "common") else 4.0)
        if len(points) < 8:
            points = np.array([[-1.0] * 3, [1.0] * 3])
        box = torch.from_numpy(np.quantile(points, [0.01, 0.99], axis=0))
        return self.frame.local_from_world.inverse().apply(box).float()

    def to(self, device: torch.device | str) -> "Field":
        """The field rendering on another device."""
        voxels = float(self._march.voxels)
        return Field(self.grid, self.frame, self.background, self.settings, voxels=voxels, device=device)

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo area-averaged to the camera's size, laid on the field's background where it is transparent."""
        return photo_on(photo, camera, self.background)

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses would show at N pixels; colour is differentiable in the pose.

        Depths and opacity carry no gradient. Rays without any sample have depth 0.
        """
        check_asked("Field", want, _CHANNELS, code, "a field is of one place")
        rays = _all_rays(camera) if pixels is None else camera.rays(pixels)
        pose = cam_from_world
        direction = rays.to(pose.t) @ pose.R  # (H, N, 3), world
        origin = pose.center[:, None, :].expand_as(direction)
        flat = self._render_rays(origin.reshape(-1, 3), direction.reshape(-1, 3), want)
        size, z = direction.shape[:2], rays[:, 2].to(pose.t)
        rgb, alpha, mean, median = (x.reshape(*size, *x.shape[1:]) for x in flat)
        return Render(
            rgb=rgb if "rgb" in want else None,
            depth=depth_along(median, z) if "depth" in want else None,
            expected_depth=depth_along(mean, z) if "expected_depth" in want else None,
            alpha=alpha if "alpha" in want else None,
        )

    def ray_jacobian(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
        """Colour (n, 3), d colour / d origin and d colour / d direction (n, 3, 3) at [ray, channel, axis], world frame.

        Exact derivatives with the sample distances held and the direction perturbed as a free vector.
        """
        o, d = self._local(origins.detach(), directions.detach())
        if self.fused:
            rgb, by_origin, by_direction = rendering.colours_with_jacobian(self.grid, self._march, self._behind, o, d)
        else:
            behind = torch.from_numpy(self._behind)
            rgb, by_origin, by_direction = reference.ray_jacobian(self._voxels(o.dtype), o, d, self._march, behind)
        turn = self.frame.local_from_world.R.to(origins)
        scale = float(self.frame.local_from_world.s)
        return rgb.to(origins), scale * (by_origin.to(origins) @ turn), by_direction.to(origins) @ turn

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Field":
        """The field for images whose pixels span this angle: itself, or a blurred copy made once and kept."""
        halvings = halvings_for(self.grid, self.frame, pixel_rad)
        if halvings == 0:
            return self
        if halvings not in self._details:
            grid = self.grid
            for _ in range(halvings):
                grid = coarser(grid)
            voxels = float(self._march.voxels)
            self._details[halvings] = Field(
                grid, self.frame, self.background, self.settings, voxels=voxels, device=self.device
            )
        return self._details[halvings]

    def _render_rays(
        self, origin: Tensor, direction: Tensor, want: tuple[Channel, ...]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Colour, opacity, mean and median distance (world units, negative where there is none) of world rays."""
        o, d = self._local(origin, direction)
        parts = [
            self._render_local(a, b, want) for a, b in zip(o.split(_RAYS_AT_ONCE), d.split(_RAYS_AT_ONCE), strict=True)
        ]
        rgb, alpha, mean, median = (torch.cat(x) if len(x) > 1 else x[0] for x in zip(*parts, strict=True))
        scale = float(self.frame.local_from_world.s)
        return rgb.to(origin), alpha.to(origin), mean.to(origin) / scale, median.to(origin) / scale

    def _render_local(
        self, origin: Tensor, direction: Tensor, want: tuple[Channel, ...]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if not self.fused:
            behind = torch.from_numpy(self._behind)
            shaded = reference.render_rays(self._voxels(origin.dtype), origin, direction, self._march, behind)
            return shaded.rgb, shaded.alpha.detach(), shaded.expected.detach(), shaded.median
        follows = torch.is_grad_enabled() and (origin.requires_grad or direction.requires_grad) and "rgb" in want
        if not follows:
            return rendering.colours(self.grid, self._march, self._behind, origin, direction)
        rgb = rendering.ray_colour(origin, direction, self.grid, self._march, self._behind)
        if want == ("rgb",):
            nothing = torch.zeros_like(rgb[:, 0]).detach()
            return rgb, nothing, nothing, nothing
        return (rgb, *rendering.colours(self.grid, self._march, self._behind, origin, direction)[1:])

    def _local(self, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """World rays in the local frame, on the field's device."""
        to_local = self.frame.local_from_world
        turn, shift = to_local.R.to(origin), to_local.t.to(origin)
        o = float(to_local.s) * (origin @ turn.mT) + shift
        return o.to(self.device), (direction @ turn.mT).to(self.device)

    def _voxels(self, dtype: torch.dtype) -> reference.Voxels:
        """The grid as tensors, kept."""
        if self._tensors is None or self._tensors.density.dtype != dtype:
            self._tensors = reference.Voxels.of(self.grid, self.device, dtype)
        return self._tensors

    def save(self, folder: Path, parents: dict[str, str] | None = None) -> None:
        """Writes the artefact."""
        facts = {
            "resolution": self.grid.resolution,
            "background": list(self.background),
            "frame": frame_facts(self.frame),
        }
        artifact.save(folder, KIND, self.settings, grid_tensors(self.grid), extra=facts, parents=parents)

    @classmethod
    def load(cls, folder: Path | str) -> "Field":
        """Reads an artefact; every size and index in it is checked before a kernel sees it."""
        made = artifact.load(folder, KIND)
        where = made.folder / "artifact.json"
        settings = artifact.settings_from_json(FieldSettings, made.settings, where)
        frame = made.extra.get("frame")
        if not isinstance(frame, dict):
            raise ResectError(where, "a frame", repr(frame), "The artefact is damaged; fit it again.")
        grid = checked_grid(made.tensors, made.extra.get("resolution"), made.folder / "weights.safetensors")
        return cls(grid, checked_frame(frame, where), checked_colour(made.extra.get("background"), where), settings)


@lru_cache(maxsize=16)
def _all_rays(camera: Camera) -> Float[Tensor, "n 3"]:
    """Unit directions of all pixels, kept, because undistorting them takes time."""
    return camera.rays(camera.pixels())
