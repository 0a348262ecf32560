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
from resect.scenes.sigma_srn.instance import Instance
from resect.scenes.sigma_srn.network import Seen, SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned
from resect.scenes.sigma_srn.settings import SigmaSrnSettings
from resect.types import Channel, Photo, Render

KIND = "sigma-srn"
_CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "alpha")
_WHITE = 0.04  # as much darker than white as this is the object for sure
_WITH_GRAPH = 4  # rays in memory are so many times dearer where derivatives are kept


class SigmaSrn:
    """A trained network.

    Args:
        network: in evaluation mode, on the settings' device.
        settings: how it was built.
        learned: from what.
    """

    def __init__(self, network: SigmaSrnNetwork, settings: SigmaSrnSettings, learned: Learned) -> None:
        self.network, self.settings, self.learned = network, settings, learned
        self.bounds: Float[Tensor, "2 3"] = torch.tensor(learned.bounds)

    @property
    def instances(self) -> tuple[str, ...]:
        """Names of those that it has codes of."""
        return self.learned.instances

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
        """Of the instances that it was trained on; on the CPU, where hypotheses are."""
        if not self.settings.code:
            return torch.zeros(1, 0)
        return self.network.latent_codes.weight.detach().cpu()

    def code_of(self, instance: str | int) -> Float[Tensor, "d"]:
        """The code of one of them, by its name or its number."""
        if isinstance(instance, str):
            if instance not in self.instances:
                raise unknown_name("instance", instance, self.instances)
            instance = self.instances.index(instance)
        if not 0 <= instance < len(self.instances):
            raise ResectError(
                "instance", f"a number from 0 to {len(self.instances) - 1}", str(instance), "Count from 0."
            )
        return self.codes[instance]

    def of(self, instance: str | int | Float[Tensor, "d"]) -> Instance:
        """One instance as a scene that takes no code, by its name, its number or its code."""
        return Instance(self, instance if isinstance(instance, Tensor) else self.code_of(instance))

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo area-averaged to the camera's size; on white where it is transparent."""
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
        pose, rays = cam_from_world, camera.rays(camera.pixels() if pixels is None else pixels).to(cam_from_world.t)
        code = self._checked(code, len(pose))
        many = max(1, self.settings.rays_at_once // max(1, len(pose)))
        parts = [self._seen(*self._along(pose, some), code) for some in rays.split(many)]
        rgb, distance = (torch.cat([getattr(p, name) for p in parts], 1).to(pose.t) for name in ("rgb", "distance"))
        rgb = (0.5 * (rgb + 1)).clamp(0, 1)
        return Render(
            rgb=rgb if "rgb" in want else None,
            depth=(distance * rays[:, 2]).clamp_min(0) if "depth" in want else None,
            alpha=_opacity(rgb) if "alpha" in want else None,
        )

    def derivatives(
        self,
        camera: Camera,
        cam_from_world: SE3,
        pixels: Float[Tensor, "n 2"],
        code: Float[Tensor, "h d"] | None = None,
    ) -> tuple[Float[Tensor, "h n 3"], Float[Tensor, "h n 3 6"]]:
        """Colours at the pixels of H poses and their derivatives with respect to δ = (v, ω), exp(δ) @ cam_from_world.

        A colour depends on its own ray alone, so three sweeps backwards, one a channel, give the derivatives with
        respect to all origins and directions at once; δ moves an origin by −Rᵀv and a direction by Rᵀ(d × ω).
        """
        pose, rays = cam_from_world, camera.rays(pixels).to(cam_from_world.t)
        code = self._checked(code, len(pose))
        many = max(1, self.settings.rays_at_once // (_WITH_GRAPH * max(1, len(pose))))
        parts = [self._swept(pose, some, code) for some in rays.split(many)]
        colour, jacobian = (torch.cat(x, 1) for x in zip(*parts, strict=True))
        return colour, jacobian

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
            fix = "Take scene.code_of(INSTANCE) for an instance that it was trained on, or scene.of(INSTANCE)."
            raise ResectError("SigmaSrn.render: code", f"one of {size} numbers for each of {rows} poses", got, fix)
        return code

    def _along(self, pose: SE3, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        direction = rays @ pose.R
        start = (self.settings.start / rays[:, 2].clamp_min(1e-3)).expand(direction.shape[:2])
        return pose.center[:, None].expand_as(direction), direction, start

    def _seen(self, origin: Tensor, direction: Tensor, start: Tensor, code: Tensor | None) -> Seen:
        device = self.settings.device
        given = [x.to(device, torch.float32) for x in (origin, direction, start)]
        seen: Seen = self.network(*given, None if code is None else code.to(device, torch.float32))
        return seen

    def _swept(self, pose: SE3, rays: Tensor, code: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            origin, direction, start = (x.detach() for x in self._along(pose, rays))
            origin, direction = origin.clone().requires_grad_(), direction.requires_grad_()
            raw = self._seen(origin, direction, start, code).rgb
            sweeps = [torch.autograd.grad(raw[..., c].sum(), (origin, direction), retain_graph=c < 2) for c in range(3)]
        by_origin, by_direction = (torch.stack([0.5 * s[k] for s in sweeps], -2) for k in range(2))
        turning = torch.linalg.cross(by_direction, direction.detach()[:, :, None].expand_as(by_direction), dim=-1)
        halves = torch.stack([-by_origin, turning], -2)  # of Rᵀv and of Rᵀω
        jacobian = (halves @ pose.R.mT[:, None, None]).flatten(-2)
        colour = 0.5 * (raw.detach().to(pose.t) + 1)
        inside = ((colour > 0) & (colour < 1)).to(jacobian)
        return colour.clamp(0, 1), jacobian * inside[..., None]

    def save(self, folder: Path, parents: dict[str, str] | None = None) -> None:
        """Writes the artefact."""
        facts = {"learned": artifact.as_json(self.learned)}
        artifact.save(folder, KIND, self.settings, dict(self.network.state_dict()), extra=facts, parents=parents)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks an artefact."""
        made = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = replace(artifact.settings_from_json(SigmaSrnSettings, made.settings, where), device=device)
        try:
            learned = artifact.settings_from_json(Learned, made.extra["learned"], where)
        except (KeyError, TypeError, AttributeError) as error:
            raise ResectError(where, "what it was learned from", str(error)[:80], "Fit it again.") from None
        network = SigmaSrnNetwork(settings, len(learned.instances), 0)
        load_weights(network, {k: v.float() for k, v in made.tensors.items()}, folder)
        return cls(ready(network, settings), settings, learned)


def ready(network: SigmaSrnNetwork, settings: SigmaSrnSettings) -> SigmaSrnNetwork:
    """For rendering: on its device, in evaluation mode, without gradients to the weights."""
    return network.to(settings.device).eval().requires_grad_(False)


def _opacity(rgb: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """How surely a pixel is not white."""
    return ((1 - rgb.amin(-1)) / _WHITE).clamp(0, 1)
