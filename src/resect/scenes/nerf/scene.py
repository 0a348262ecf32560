"""A fitted NeRF as a `Scene`: poses and rays in the dataset's world, warps and normalisation inside."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.scenes.nerf.march import CoarseAndFine, march
from resect.scenes.nerf.settings import NerfSettings
from resect.scenes.nerf.space import Space
from resect.scenes.nerf.store import checked_box, checked_space, space_facts
from resect.scenes.rays import check_asked, checked_colour, depth_along, photo_on
from resect.scenes.volume import mean_at, median_at
from resect.types import Channel, Photo, Render

KIND = "nerf"
_CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "expected_depth", "alpha")


class Nerf:
    """A fitted NeRF.

    Args:
        networks: in evaluation mode, on the settings' device.
        space: where it lies.
        background: colour behind everything.
        bounds: corners of a box around what there is to see, world units.
        settings: what it was trained with.
    """

    def __init__(
        self,
        networks: CoarseAndFine,
        space: Space,
        background: tuple[float, float, float],
        bounds: Float[Tensor, "2 3"],
        settings: NerfSettings,
    ) -> None:
        self.networks, self.space, self.background = networks, space, background
        self.bounds, self.settings = bounds, settings

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for."""
        return _CHANNELS

    @property
    def code_dim(self) -> int:
        """0: a NeRF is of one place."""
        return 0

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo area-averaged to the camera's size, laid on the background where it is transparent."""
        return photo_on(photo, camera, self.background)

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses would show at N pixels; colour and opacity are differentiable in the pose, depths are not."""
        check_asked("Nerf", want, _CHANNELS, code, "a NeRF is of one place")
        pose, rays = cam_from_world, camera.rays(camera.pixels() if pixels is None else pixels)
        direction = rays.to(pose.t) @ pose.R
        origin = pose.center[:, None].expand_as(direction)
        many = self.settings.rays_at_once
        parts = [
            self._rays(a, b)
            for a, b in zip(origin.reshape(-1, 3).split(many), direction.reshape(-1, 3).split(many), strict=True)
        ]
        rgb, alpha, mean, median = (torch.cat(x).to(pose.t) for x in zip(*parts, strict=True))
        size, z = direction.shape[:2], rays[:, 2].to(pose.t)
        return Render(
            rgb=rgb.reshape(*size, 3) if "rgb" in want else None,
            depth=depth_along(median.reshape(size), z) if "depth" in want else None,
            expected_depth=depth_along(mean.reshape(size), z) if "expected_depth" in want else None,
            alpha=alpha.reshape(size) if "alpha" in want else None,
        )

    def ray_jacobian(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
        """Colour (n, 3), d colour / d origin and d colour / d direction (n, 3, 3) at [ray, channel, axis], world frame.

        Exact derivatives with the sample distances held.
        """
        many = self.settings.rays_at_once
        parts = [self._jacobian(a, b) for a, b in zip(origins.split(many), directions.split(many), strict=True)]
        rgb, by_origin, by_direction = (torch.cat(x).to(origins) for x in zip(*parts, strict=True))
        return rgb, by_origin, by_direction

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Nerf":
        """Itself: a NeRF has one level of detail."""
        del pixel_rad, distance
        return self

    def _rays(self, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Colour, opacity, mean and median distance (world units, −1 where there is none) of world rays."""
        o, d = (x.to(self.settings.device, torch.float32) for x in self.space.local(origin, direction))
        found, at = march(self.networks, self.space, o, d, self._behind)[-1]
        depths = (where(found, at).detach() for where in (mean_at, median_at))
        mean, median = (torch.where(t < 0, t, self.space.distance(t, o, d).detach()) for t in depths)
        return found.rgb, found.alpha, mean, median

    def _jacobian(self, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            o, d = origin.detach().requires_grad_(), direction.detach().requires_grad_()
            local_o, local_d = (x.to(self.settings.device, torch.float32) for x in self.space.local(o, d))
            found, _ = march(self.networks, self.space, local_o, local_d, self._behind)[-1]
            rows = [torch.autograd.grad(found.rgb[:, c].sum(), (o, d), retain_graph=c < 2) for c in range(3)]
        by_origin, by_direction = (torch.stack(x, 1) for x in zip(*rows, strict=True))
        return found.rgb.detach(), by_origin, by_direction

    @property
    def _behind(self) -> Float[Tensor, "3"]:
        return torch.tensor(self.background, device=self.settings.device)

    def save(self, folder: Path, parents: dict[str, str] | None = None) -> None:
        """Writes the artefact."""
        facts = {
            "space": space_facts(self.space),
            "background": list(self.background),
            "bounds": self.bounds.tolist(),
        }
        artifact.save(folder, KIND, self.settings, dict(self.networks.state_dict()), extra=facts, parents=parents)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks an artefact."""
        made = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = replace(artifact.settings_from_json(NerfSettings, made.settings, where), device=device)
        networks = CoarseAndFine(settings, 0)
        load_weights(networks, made.tensors, folder)
        space, box = checked_space(made.extra.get("space"), where), checked_box(made.extra.get("bounds"), where)
        return cls(ready(networks, settings), space, checked_colour(made.extra.get("background"), where), box, settings)


def ready(networks: CoarseAndFine, settings: NerfSettings) -> CoarseAndFine:
    """For rendering: on its device, in evaluation mode, without gradients to the weights."""
    return networks.to(settings.device).eval().requires_grad_(False)
