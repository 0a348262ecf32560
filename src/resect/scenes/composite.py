"""Several scenes in one world, each with its own pose; what is nearer hides what is farther."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.data.image import resize_area
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.types import Channel, Photo, Render

_NEEDED: tuple[Channel, ...] = ("rgb", "alpha")
_DEPTHS: tuple[Channel, ...] = ("expected_depth", "depth")


@dataclass(frozen=True, eq=False)
class Part:
    """One scene of several.

    Attributes:
        scene: with colour, opacity and a depth; without a code.
        world_from_obj: where it stands: one pose, no batch dimension.
    """

    scene: Scene
    world_from_obj: SE3


@dataclass(frozen=True, eq=False)
class Composite:
    """Scenes laid over each other pixel by pixel, the nearest uppermost, by their opacities.

    Which is nearest is decided by the expected depth where a scene has it, else by its depth. The order is held in
    derivatives. A scene with a colour behind everything says so by an attribute `background`; it is taken away.

    Attributes:
        parts: the scenes.
        background: RGB in [0, 1] behind all of them.
    """

    parts: tuple[Part, ...]
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not self.parts:
            raise ResectError("Composite: parts", "at least one scene", "none")
        for number, part in enumerate(self.parts):
            where = f"Composite: part {number}"
            missing = [name for name in _NEEDED if name not in part.scene.channels]
            if missing or not set(_DEPTHS) & set(part.scene.channels):
                raise ResectError(where, "colour, opacity and a depth", f"only {part.scene.channels}")
            if part.scene.code_dim:
                raise ResectError(where, "a scene without a code", f"a code of {part.scene.code_dim} numbers")
            if part.world_from_obj.t.ndim != 1:
                got = str(tuple(part.world_from_obj.batch_shape))
                raise ResectError(where, "a single pose", f"a batch {got}", "Index it, e.g. pose[0].")

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What every part can show."""
        known: tuple[Channel, ...] = ("rgb", "depth", "expected_depth", "alpha", "normal")
        return tuple(name for name in known if all(name in part.scene.channels for part in self.parts))

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Box around the corners of the parts' boxes."""
        corners = [p.world_from_obj.apply(_corners(p.scene.bounds).to(p.world_from_obj.t)) for p in self.parts]
        points = torch.cat([c.to(corners[0]) for c in corners])
        return torch.stack([points.amin(0), points.amax(0)])

    @property
    def code_dim(self) -> int:
        """No code."""
        return 0

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo averaged over the camera's pixels, on the background where it is transparent."""
        size, image = (camera.width, camera.height), photo.image
        if photo.alpha is not None:  # was laid on white
            image = image + (1 - photo.alpha[..., None]) * (torch.tensor(self.background).to(image) - 1)
        alpha = None if photo.alpha is None else resize_area(photo.alpha, *size).reshape(1, -1)
        return Render(rgb=resize_area(image, *size).reshape(1, -1, 3), alpha=alpha)

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses see at N pixels; differentiable where the parts are."""
        for name in want:
            if name not in self.channels:
                raise unknown_name("render: want", str(name), self.channels)
        if code is not None:
            raise ResectError("render: code", "none: a composite has no code", type(code).__name__)
        shown = [self._show(part, camera, cam_from_world, want, pixels) for part in self.parts]
        alpha = torch.stack([s["alpha"] for s in shown])
        order = _front_to_back(shown)
        found = {name: _laid_over([s[name] for s in shown], alpha, order, name, self.background) for name in want}
        return Render(**{name: x if name in ("rgb", "normal") else x[..., 0] for name, x in found.items()})

    def linearize(
        self, camera: Camera, cam_from_world: SE3, pixels: Float[Tensor, "n 2"], channel: Channel
    ) -> tuple[Float[Tensor, "h n c"], Float[Tensor, "h n c 6"]]:
        """Values of colour or opacity and their derivatives by δ in exp(δ) @ cam_from_world.

        A step of the camera is the same step for every part, so the parts' own derivatives are laid over each other. A
        part without `linearize` is differentiated by its `ray_jacobian`, with its opacity held.
        """
        if channel not in _NEEDED:
            raise ResectError("Composite.linearize", "rgb or alpha", str(channel))
        shown = [self._show(part, camera, cam_from_world, ("rgb", "alpha"), pixels) for part in self.parts]
        order = _front_to_back(shown)
        colours, opacities = ([s[name] for s in shown] for name in ("rgb", "alpha"))
        by_pose = [_derivatives(part, camera, cam_from_world, pixels) for part in self.parts]

        def laid(values: list[Tensor], alphas: list[Tensor]) -> Tensor:
            mine = values if channel == "rgb" else alphas
            return _laid_over(mine, torch.stack(alphas), order, channel, self.background)

        columns = []
        for k in range(6):
            moves = [d_rgb[..., k] for d_rgb, _ in by_pose], [d_alpha[..., k] for _, d_alpha in by_pose]
            columns.append(torch.func.jvp(laid, (colours, opacities), moves)[1])
        return laid(colours, opacities), torch.stack(columns, -1)

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Composite":
        """Every part at its level of detail."""
        parts = tuple(replace(part, scene=part.scene.lod(pixel_rad, distance)) for part in self.parts)
        same = all(a.scene is b.scene for a, b in zip(parts, self.parts, strict=True))
        return self if same else replace(self, parts=parts)

    def _show(
        self, part: Part, camera: Camera, cam_from_world: SE3, want: Sequence[Channel], pixels: Tensor | None
    ) -> dict[str, Tensor]:
        """The part's channels (H, N, C); colour times opacity, and "order", the depth that decides."""
        ranking = next(name for name in _DEPTHS if name in part.scene.channels)
        pose = _seen(part, cam_from_world)
        render = part.scene.render(camera, pose, tuple(dict.fromkeys((*want, "alpha", ranking))), pixels)
        alpha, depth = render.alpha, getattr(render, ranking)
        assert alpha is not None
        found = {"alpha": alpha[..., None], "order": torch.where(depth > 0, depth, torch.inf).detach()}
        for name in want:
            values = getattr(render, name)
            if name == "rgb":
                found[name] = values - (1 - alpha[..., None]) * _behind(part.scene, values)
            elif name == "normal":
                found[name] = values @ part.world_from_obj.R.to(values).mT
            elif name != "alpha":
                found[name] = values[..., None]
        return found


def _seen(part: Part, cam_from_world: SE3) -> SE3:
    placed = SE3(part.world_from_obj.R.to(cam_from_world.t), part.world_from_obj.t.to(cam_from_world.t))
    return cam_from_world @ placed


def _behind(scene: Scene, like: Tensor) -> Tensor:
    return like.new_tensor(getattr(scene, "background", (0.0, 0.0, 0.0)))


def _corners(bounds: Tensor) -> Tensor:
    x, y, z = bounds.unbind(1)
    return torch.cartesian_prod(x, y, z)


def _front_to_back(shown: list[dict[str, Tensor]]) -> Int[Tensor, "s h n"]:
    return torch.stack([s["order"] for s in shown]).sort(dim=0, stable=True).indices


def _laid_over(
    values: list[Tensor], alpha: Tensor, order: Tensor, channel: Channel, background: tuple[float, float, float]
) -> Tensor:
    """(H, N, C) from the parts' values: each times what all nearer ones let through; of depth and normal the nearest's.

    Args:
        values: of each part; colours times opacity.
        alpha: (S, H, N, 1).
        order: parts from front to back.
    """
    stacked = torch.stack(values).take_along_dim(order[..., None], 0)
    alpha = alpha.take_along_dim(order[..., None], 0)
    if channel in ("depth", "normal"):
        there = (stacked != 0).any(-1, keepdim=True)
        first = there.to(torch.int8).argmax(0, keepdim=True)
        return stacked.take_along_dim(first, 0)[0]
    clear = torch.cumprod(torch.cat([torch.ones_like(alpha[:1]), 1 - alpha]), 0)
    if channel == "expected_depth":
        share = clear[:-1] * alpha
        return (share * stacked).sum(0) / share.sum(0).clamp_min(1e-9)
    behind = stacked.new_tensor(background) if channel == "rgb" else 0.0
    return (clear[:-1] * stacked).sum(0) + clear[-1] * behind


def _derivatives(part: Part, camera: Camera, cam_from_world: SE3, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(H, N, C, 6) of colour times opacity, and of opacity."""
    scene, pose = part.scene, _seen(part, cam_from_world)
    if hasattr(scene, "linearize"):
        rgb, by_pose = scene.linearize(camera, pose, pixels, "rgb")
        opacity = scene.linearize(camera, pose, pixels, "alpha")[1]
        return by_pose + _behind(scene, rgb)[:, None] * opacity, opacity
    if not hasattr(scene, "ray_jacobian"):
        raise ResectError("Composite.linearize", "parts with linearize or ray_jacobian", type(scene).__name__)
    at = camera.pixels(dtype=pose.t.dtype) if pixels is None else pixels
    directions = camera.rays(at.to(pose.t)) @ pose.R
    origins = pose.center[:, None].expand_as(directions)
    _, by_origin, by_direction = scene.ray_jacobian(origins.reshape(-1, 3), directions.reshape(-1, 3))
    turning = torch.linalg.cross(by_direction, directions.reshape(-1, 1, 3).expand_as(by_direction))
    h, n = directions.shape[:2]
    halves = [(x.reshape(h, n * 3, 3) @ pose.R.mT).reshape(h, n, 3, 3) for x in (-by_origin, turning)]
    columns = torch.cat(halves, -1)
    return columns, torch.zeros_like(columns[:, :, :1])
