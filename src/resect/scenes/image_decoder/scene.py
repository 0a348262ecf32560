"""A picture from a pose: the latents of a pose decoder through a few layers, as a `Scene`.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", ECCV 2022: 512 → 512 → 1024 → 2048 → 3 · 64²,
a sigmoid at the end. What differs: other cameras see the picture through its own camera.
"""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from resect import artifact
from resect.data.image import resize_area
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.scenes.image_decoder.settings import ImageDecoderSettings
from resect.scenes.pose_decoder.scene import PoseDecoder
from resect.scenes.rays import check_asked
from resect.types import Channel, Photo, Render

KIND = "image-decoder"


def make_network(settings: ImageDecoderSettings, latent: int) -> nn.Sequential:
    """Latents to pixels, channel after channel."""
    layers: list[nn.Module] = []
    for before, after in pairwise((latent, *settings.widths, 3 * settings.size**2)):
        linear = nn.Linear(before, after)
        nn.init.xavier_uniform_(linear.weight)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


@dataclass(frozen=True, eq=False)
class ImageDecoder:
    """A trained decoder.

    Attributes:
        network: in evaluation mode.
        settings: how it was built.
        camera: of the picture.
        decoder: from poses to latents; `None` until `with_decoder`.
    """

    network: nn.Sequential
    settings: ImageDecoderSettings
    camera: Camera
    decoder: PoseDecoder | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Colour alone."""
        return ("rgb",)

    @property
    def code_dim(self) -> int:
        """None."""
        return 0

    @property
    def forward_differentiable(self) -> bool:
        """Colours are differentiated forwards."""
        return True

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Of the pose decoder."""
        return self._decoder().bounds

    def with_decoder(self, decoder: PoseDecoder) -> Self:
        """The same with the pose decoder that it learned from."""
        return replace(self, decoder=decoder)

    def lod(self, pixel_rad: float, distance: float | None = None) -> Self:
        """Itself."""
        return self

    def images(self, cam_from_world: SE3) -> Float[Tensor, "h 3 s s"]:
        """The pictures as they are decoded."""
        size = self.settings.size
        return self.network(self._decoder().latents(cam_from_world).float()).unflatten(-1, (3, size, size))

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo averaged over the camera's pixels."""
        return Render(rgb=resize_area(photo.image, camera.width, camera.height).reshape(1, -1, 3))

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """Colours along the rays of a camera; beyond the picture those of its edge."""
        check_asked("ImageDecoder", want, self.channels, code, "it is of one place")
        every = camera.pixels() if pixels is None else pixels.float()
        x, y, z = camera.rays(every).unbind(-1)
        at = torch.stack([self.camera.fx * x / z + self.camera.cx, self.camera.fy * y / z + self.camera.cy], -1)
        grid = (2 * at / self.settings.size - 1).view(1, 1, -1, 2).expand(len(cam_from_world), -1, -1, -1)
        image = self.images(cam_from_world)
        shown = functional.grid_sample(image, grid, padding_mode="border", align_corners=False)[:, :, 0].mT
        return Render(rgb=shown.to(cam_from_world.t) if "rgb" in want else None)

    def _decoder(self) -> PoseDecoder:
        if self.decoder is None:
            raise ResectError(KIND, "the pose decoder", "none", "with_decoder(…) gives it one.")
        return self.decoder

    def save(self, folder: Path) -> None:
        """Writes the artefact, with the pose decoder's in `decoder/`."""
        if self.decoder is not None:
            self.decoder.save(folder / "decoder")
        extra = {"camera": asdict(self.camera), "latent": int(self.network[0].in_features)}  # type: ignore[arg-type]
        artifact.save(folder, KIND, self.settings, dict(self.network.state_dict()), extra=extra)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads and checks the artefact, without the pose decoder."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(ImageDecoderSettings, found.settings, where)
        camera, latent = found.extra.get("camera"), found.extra.get("latent")
        if not isinstance(latent, int) or not 0 < latent <= 1 << 16:
            raise ResectError(f"{where}: latent", "its length", repr(latent)[:80], "Fit it again.")
        with torch.random.fork_rng(devices=[]):
            network = make_network(settings, latent)
        load_weights(network, found.tensors, folder)
        made = network.eval().requires_grad_(False)
        return cls(made, settings, artifact.settings_from_json(Camera, camera or {}, where))
