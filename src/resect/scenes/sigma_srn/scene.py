"""A category as a `Scene`: each render takes the code of an instance."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.data.image import resize_area
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.settings import SigmaSrnSettings
from resect.types import Channel, Photo, Render

KIND = "sigma-srn"
_CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "alpha")
_WHITE = 0.04  # as much darker than white as this is the object for sure
_MOST_INSTANCES = 1_000_000


class SigmaSrn:
    """A trained network.

    Args:
        network: in evaluation mode, on the settings' device.
        settings: how it was built.
        instances: names of those that it has codes of.
        bounds: corners of a box around what there is to see.
    """

    def __init__(
        self,
        network: SigmaSrnNetwork,
        settings: SigmaSrnSettings,
        instances: tuple[str, ...],
        bounds: Float[Tensor, "2 3"],
    ) -> None:
        self.network, self.settings, self.instances, self.bounds = network, settings, instances, bounds

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for. Opacity is told from white, which is what lies behind objects."""
        return _CHANNELS

    @property
    def code_dim(self) -> int:
        """Numbers that a code has; 0 where there is one instance."""
        return self.settings.code

    @property
    def codes(self) -> Float[Tensor, "n d"]:
        """Of the instances that it was trained on."""
        return self.network.latent_codes.weight.detach()

    def code_of(self, instance: str | int) -> Float[Tensor, "d"]:
        """The code of one of them, by its name or its number."""
        if isinstance(instance, str):
            if instance not in self.instances:
                raise unknown_name("instance", instance, self.instances)
            instance = self.instances.index(instance)
        if not 0 <= instance < len(self.instances):
            raise ResectError("instance", f"a number from 0 to {len(self.instances) - 1}", str(instance))
        return self.codes[instance]

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo area-averaged to the camera's size, on white where it is transparent."""
        rgb = resize_area(photo.image, camera.width, camera.height).reshape(1, -1, 3)
        alpha = _opacity(rgb)
        if photo.alpha is not None:
            alpha = resize_area(photo.alpha, camera.width, camera.height).reshape(1, -1)
        return Render(rgb=rgb, alpha=alpha)

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses would show of the instances with these codes; differentiable in pose and code."""
        for name in want:
            if name not in _CHANNELS:
                raise unknown_name("SigmaSrn.render: want", name, _CHANNELS)
        pose, rays = cam_from_world, camera.rays(camera.pixels() if pixels is None else pixels)
        code = self._checked(code, len(pose))
        many = max(1, self.settings.rays_at_once // max(1, len(pose)))
        parts = [self._rays(pose, some, code) for some in rays.to(pose.t).split(many)]
        rgb, distance = (torch.cat(x, 1) for x in zip(*parts, strict=True))
        z = rays[:, 2].to(pose.t)
        return Render(
            rgb=rgb if "rgb" in want else None,
            depth=(distance * z).clamp_min(0) if "depth" in want else None,
            alpha=_opacity(rgb) if "alpha" in want else None,
        )

    def lod(self, pixel_rad: float, distance: float | None = None) -> "SigmaSrn":
        """Itself: it has one level of detail."""
        del pixel_rad, distance
        return self

    def _checked(self, code: Tensor | None, rows: int) -> Tensor | None:
        size = self.settings.code
        if size == 0 and (code is None or code.shape[-1] == 0):
            return None
        if code is None or tuple(code.shape) != (rows, size):
            got = "none" if code is None else str(tuple(code.shape))
            fix = "Take scene.code_of(INSTANCE) for an instance that it was trained on."
            raise ResectError("SigmaSrn.render: code", f"one of {size} numbers for each of {rows} poses", got, fix)
        return code

    def _rays(self, pose: SE3, rays: Tensor, code: Tensor | None) -> tuple[Tensor, Tensor]:
        s = self.settings
        direction = rays @ pose.R
        origin = pose.center[:, None].expand_as(direction)
        start = (s.start / rays[:, 2].clamp_min(1e-3)).expand(direction.shape[:2])
        given = [x.to(s.device, torch.float32) for x in (origin, direction, start)]
        seen = self.network(*given, None if code is None else code.to(s.device, torch.float32))
        return (0.5 * (seen.rgb + 1)).clamp(0, 1).to(pose.t), seen.distance.to(pose.t)

    def save(self, folder: Path, parents: dict[str, str] | None = None) -> None:
        """Writes the artefact."""
        facts = {"instances": list(self.instances), "bounds": self.bounds.tolist()}
        artifact.save(folder, KIND, self.settings, dict(self.network.state_dict()), extra=facts, parents=parents)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks an artefact."""
        made = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = replace(artifact.settings_from_json(SigmaSrnSettings, made.settings, where), device=device)
        names, box = made.extra.get("instances"), made.extra.get("bounds")
        few = isinstance(names, list) and 0 < len(names) <= _MOST_INSTANCES
        if not isinstance(names, list) or not few or not all(isinstance(n, str) for n in names):
            raise ResectError(f"{where}: instances", "a list of names", repr(names)[:80], "Fit it again.")
        try:
            bounds = torch.tensor(box, dtype=torch.float32).reshape(2, 3)
        except (TypeError, ValueError, RuntimeError):
            raise ResectError(f"{where}: bounds", "two corners", repr(box)[:80], "Fit it again.") from None
        network = SigmaSrnNetwork(settings, len(names), 0)
        load_weights(network, made.tensors, folder)
        return cls(ready(network, settings), settings, tuple(names), bounds)


def ready(network: SigmaSrnNetwork, settings: SigmaSrnSettings) -> SigmaSrnNetwork:
    """For rendering: on its device, in evaluation mode, without gradients to the weights."""
    return network.to(settings.device).eval().requires_grad_(False)


def _opacity(rgb: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """How surely a pixel is not white."""
    return ((1 - rgb.amin(-1)) / _WHITE).clamp(0, 1)
