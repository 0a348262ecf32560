"""What a scene shows at H poses, and the derivative with respect to the pose, by the best way the scene offers.

Of δ = (v, ω) in exp(δ) @ cam_from_world: a ray of the camera starts at o = −Rᵀt and runs along d = Rᵀ d_c, so a step
moves o by −Rᵀv and d by Rᵀ(d_c × ω); whatever is known per ray (`ray_jacobian`) becomes a pose derivative by a cross
product and a rotation. Scenes without it are differentiated forwards through PyTorch, and black boxes by warping:
the image at the moved pose is the rendered image carried along by the motion of the rendered depth.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.types import Channel, Render

POSE_NAMES = ("vx", "vy", "vz", "wx", "wy", "wz")
"""Names of the first six columns of every Jacobian."""


@runtime_checkable
class SelfLinearizing(Protocol):
    """A scene that differentiates itself, e.g. a mesh along its contours."""

    def linearize(
        self, camera: Camera, cam_from_world: SE3, pixels: Float[Tensor, "n 2"], channel: Channel
    ) -> tuple[Float[Tensor, "h n c"], Float[Tensor, "h n c 6"]]:
        """Values at the pixels and their derivatives with respect to δ."""
        ...


@runtime_checkable
class RayDifferentiable(Protocol):
    """A scene with exact derivatives of colour with respect to rays (see `protocols.RayScene`)."""

    def ray_jacobian(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
        """Colour, d colour / d origin, d colour / d direction."""
        ...


@runtime_checkable
class ForwardDifferentiable(Protocol):
    """A scene that says whether `render` can be differentiated forwards (`torch.func.jvp`)."""

    @property
    def forward_differentiable(self) -> bool:
        """Whether tangents of the pose reach what is rendered."""
        ...


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What H poses show at N pixels, and the derivative.

    Attributes:
        values: H × N × C channel values.
        jacobian: with respect to δ and then, where asked for, the logarithm of the focal length.
        names: of the P columns.
    """

    values: Float[Tensor, "h n c"]
    jacobian: Float[Tensor, "h n c p"]
    names: tuple[str, ...]


def sensitivity(
    scene: Scene,
    camera: Camera,
    cam_from_world: SE3,
    pixels: Float[Tensor, "n 2"],
    *,
    channel: Channel = "rgb",
    focal: bool = False,
) -> Sensitivity:
    """Values and derivatives, by the scene's own way, by rays, by forward tangents or by warping, in this order.

    Args:
        channel: what is compared.
        focal: whether to add a column "log_focal".
    """
    names = (*POSE_NAMES, "log_focal") if focal else POSE_NAMES
    if isinstance(scene, RayDifferentiable) and channel == "rgb":
        return Sensitivity(*_by_rays(scene, camera, cam_from_world, pixels, focal), names)
    if isinstance(scene, ForwardDifferentiable) and scene.forward_differentiable and not focal:
        return Sensitivity(*_by_tangents(scene, camera, cam_from_world, pixels, channel), names)
    if isinstance(scene, SelfLinearizing) and not focal:
        return Sensitivity(*scene.linearize(camera, cam_from_world, pixels, channel), names)
    if "depth" not in scene.channels:
        raise ResectError("scene", "a way to differentiate it", "neither ray_jacobian, tangents, linearize nor depth")
    return Sensitivity(*_by_warping(scene, camera, cam_from_world, pixels, channel, focal), names)


def world_rays(
    camera: Camera, cam_from_world: SE3, pixels: Float[Tensor, "n 2"]
) -> tuple[Float[Tensor, "h n 3"], Float[Tensor, "h n 3"]]:
    """Origins and unit directions, in the world, of the rays of H poses through N pixels."""
    directions = camera.rays(pixels).to(cam_from_world.t) @ cam_from_world.R
    return cam_from_world.center[:, None].expand_as(directions), directions


def focal_motion(camera: Camera, pixels: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """d(ray direction in the camera) / d(log focal length), for any lens.

    A pixel p = c + f·lens(d) is held: 0 = (p − c) + P ḋ with P the derivative of the projection across the ray, so
    ḋ = −E (P E)⁻¹ (p − c) with E two directions across the ray.
    """
    d = camera.rays(pixels.double())
    spare = torch.zeros_like(d)
    spare.scatter_(-1, d.abs().argmin(-1, keepdim=True), 1.0)
    e1 = torch.nn.functional.normalize(torch.linalg.cross(d, spare), dim=-1)
    across = torch.stack([e1, torch.linalg.cross(d, e1)], -1)

    def shifted(ab: Tensor) -> Tensor:
        return camera.project(d + (across @ ab[..., None])[..., 0])[0]

    zero = torch.zeros(len(d), 2, dtype=torch.float64, device=d.device)
    columns = [torch.func.jvp(shifted, (zero,), (t.expand_as(zero),))[1] for t in torch.eye(2).to(zero)]
    center = torch.tensor([camera.cx, camera.cy], dtype=torch.float64, device=d.device)
    step = torch.linalg.solve(torch.stack(columns, -1), (pixels.double() - center)[..., None])
    return -(across @ step)[..., 0].to(pixels)


def _by_rays(
    scene: RayDifferentiable, camera: Camera, cam_from_world: SE3, pixels: Tensor, focal: bool
) -> tuple[Tensor, Tensor]:
    origins, directions = world_rays(camera, cam_from_world, pixels)
    h, n = directions.shape[:2]
    colour, by_origin, by_direction = scene.ray_jacobian(origins.reshape(-1, 3), directions.reshape(-1, 3))
    by_direction = by_direction.unflatten(0, (h, n))
    turning = torch.linalg.cross(by_direction, directions[:, :, None].expand_as(by_direction), dim=-1)
    halves = torch.stack([-by_origin.unflatten(0, (h, n)), turning], -2).flatten(2, 3)
    jacobian = (halves.flatten(1, 2) @ cam_from_world.R.mT).reshape(h, n, 3, 6)
    if focal:
        motion = focal_motion(camera, pixels).to(directions) @ cam_from_world.R
        jacobian = torch.cat([jacobian, by_direction @ motion[..., None]], -1)
    return colour.unflatten(0, (h, n)), jacobian


def channel_of(render: Render, channel: Channel) -> Float[Tensor, "h n c"]:
    """One channel of a render, with a last dimension for its components."""
    values = getattr(render, channel)
    if values is None:
        raise ResectError("scene", f"channel '{channel}' in what was rendered", "none")
    return values if values.ndim == 3 else values[..., None]


def _by_tangents(
    scene: Scene, camera: Camera, cam_from_world: SE3, pixels: Tensor, channel: Channel
) -> tuple[Tensor, Tensor]:
    def shown(delta: Tensor) -> Tensor:
        moved = cam_from_world.retract(delta)
        return channel_of(scene.render(camera, moved, (channel,), pixels), channel)

    zero = torch.zeros(len(cam_from_world), 6, dtype=cam_from_world.t.dtype, device=cam_from_world.t.device)
    axes = torch.eye(6, dtype=zero.dtype, device=zero.device)
    both = [torch.func.jvp(shown, (zero,), (axis.expand_as(zero),)) for axis in axes]
    return both[0][0], torch.stack([pair[1] for pair in both], -1)


def _by_warping(
    scene: Scene, camera: Camera, cam_from_world: SE3, pixels: Tensor, channel: Channel, focal: bool
) -> tuple[Tensor, Tensor]:
    """I(x; δ) = I(x − (∂π/∂δ) δ; 0): image gradients (central, half a pixel) times the motion of the seen point."""
    half = 0.5 * torch.eye(2, dtype=pixels.dtype, device=pixels.device)
    x, y = half[0], half[1]
    n = len(pixels)
    around = torch.cat([pixels, pixels + x, pixels - x, pixels + y, pixels - y])
    render = scene.render(camera, cam_from_world, (channel, "depth"), around)
    middle, right, left, below, above = channel_of(render, channel).split(n, dim=1)
    gradient = torch.stack([right - left, below - above], -1)
    depth = channel_of(render, "depth")[:, :n]
    motion = pixel_motion(camera, pixels, depth[..., 0])
    jacobian = -gradient @ motion
    if focal:
        center = torch.tensor([camera.cx, camera.cy], dtype=pixels.dtype, device=pixels.device)
        jacobian = torch.cat([jacobian, -gradient @ (pixels - center)[..., None]], -1)
    return middle, jacobian


def pixel_motion(camera: Camera, pixels: Float[Tensor, "n 2"], depth: Float[Tensor, "h n"]) -> Float[Tensor, "h n 2 6"]:
    """∂π(exp(δ) X)/∂δ of the points at these pixels and depths (along the optical axis); zero where there is none."""
    rays = camera.rays(pixels).to(depth)
    by_ray = lens_derivative(camera, rays)
    turning = torch.linalg.cross(rays[:, None].expand_as(by_ray), by_ray, dim=-1)
    known = depth > 0
    inverse = torch.where(known, rays[:, 2] / depth.clamp_min(1e-12), torch.zeros_like(depth))
    moving = by_ray * inverse[..., None, None]
    return torch.cat([moving, turning * known[..., None, None]], -1)


def lens_derivative(camera: Camera, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2 3"]:
    """∂π(X)/∂X; it falls with the distance: ∂π(λX)/∂X = ∂π(X)/∂X / λ."""
    if not any(camera.distortion) and camera.model != "fisheye":
        z = torch.where(points[:, 2] > 1e-9, points[:, 2], torch.ones_like(points[:, 2]))
        u, v, zero = points[:, 0] / z, points[:, 1] / z, torch.zeros_like(z)
        rows = [camera.fx / z, zero, -camera.fx * u / z, zero, camera.fy / z, -camera.fy * v / z]
        return torch.stack(rows, -1).unflatten(-1, (2, 3))
    axes = torch.eye(3, dtype=points.dtype, device=points.device)
    columns = [torch.func.jvp(lambda p: camera.project(p)[0], (points,), (a.expand_as(points),))[1] for a in axes]
    return torch.stack(columns, -1)
