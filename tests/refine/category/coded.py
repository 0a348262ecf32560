"""A scene of many instances in closed form: coloured blobs whose places and colours are the code. White behind."""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.scenes.sigma_srn.instance import Instance
from resect.types import Channel, Photo, Render

CAMERA = Camera.from_fov(0.8, 32, 32)
_PLACES = torch.tensor([[0.5, 0.0, 0.1], [-0.4, 0.3, 0.0], [0.0, -0.4, 0.35], [0.1, 0.4, -0.35], [-0.2, -0.3, -0.3]])
_COLOURS = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.9], [0.8, 0.7, 0.0], [0.6, 0.0, 0.7]])


class Blobs:
    """Rays gather Gaussian blobs; the code moves them and changes their size.

    Args:
        instances: how many codes are learned.
    """

    channels: tuple[Channel, ...] = ("rgb",)
    code_dim = 4
    bounds = torch.tensor([[-0.8] * 3, [0.8] * 3])

    def __init__(self, instances: int = 12) -> None:
        self.codes = torch.randn(instances, 4, generator=torch.Generator().manual_seed(3))
        self.instances = tuple(f"blob-{k}" for k in range(instances))
        self.mixing = 0.08 * torch.randn(4, 5, 4, generator=torch.Generator().manual_seed(4))

    def of(self, instance: str | int | Tensor) -> Instance:
        if isinstance(instance, str):
            instance = self.instances.index(instance)
        return Instance(self, instance if isinstance(instance, Tensor) else self.codes[instance])

    def observe(self, photo: Photo, camera: Camera) -> Render:
        return Render(rgb=resize_area(photo.image, camera.width, camera.height).reshape(1, -1, 3))

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Blobs":
        return self

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        assert code is not None
        rays = camera.rays(camera.pixels() if pixels is None else pixels).to(cam_from_world.t)
        changed = torch.einsum("hd,dbk->hbk", code, self.mixing.to(code))
        places, sizes = _PLACES.to(code) + changed[..., :3], 0.25 * (1 + changed[..., 3])
        seen = cam_from_world.apply(places)
        along = seen @ rays.mT
        across = seen.square().sum(-1, keepdim=True) - along.square()
        ink = (-0.5 * across / sizes[..., None].square()).exp()
        rgb = 1 - torch.einsum("hbn,bc->hnc", ink, 1 - _COLOURS.to(ink))
        return Render(rgb=rgb.clamp(0, 1))

    def derivatives(
        self, camera: Camera, cam_from_world: SE3, pixels: Tensor, code: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """By small steps in float64."""
        assert code is not None

        def shown(delta: Tensor) -> Tensor:
            rgb = self.render(camera, cam_from_world.double().retract(delta), pixels=pixels, code=code.double()).rgb
            assert rgb is not None
            return rgb

        steps = 1e-5 * torch.eye(6, dtype=torch.float64)[:, None].expand(6, len(cam_from_world), 6)
        columns = [(shown(step) - shown(-step)) / 2e-5 for step in steps]
        return shown(0 * steps[0]).float(), torch.stack(columns, -1).float()


def truth(count: int = 1) -> SE3:
    g = torch.Generator().manual_seed(9)
    centers = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=-1) * 2.2
    return look_at(centers, torch.zeros_like(centers))


def photo_of(scene: Blobs, pose: SE3, code: Tensor) -> Photo:
    rgb = scene.render(CAMERA, pose, code=code[None]).rgb
    assert rgb is not None
    return Photo("p", rgb[0].reshape(32, 32, 3), CAMERA)
