"""Photos made worse on purpose, before they are given to a refiner."""

from dataclasses import dataclass, replace

import torch

from resect.evaluation.protocols.starts import photo_generator
from resect.types import Photo


@dataclass(frozen=True)
class Spoil:
    """What is done to a photo, in this order.

    Attributes:
        brightness: added to all colours, then clipped to [0, 1].
        noise: standard deviation of Gaussian noise on each channel, then clipped.
        discs: black discs at random places.
        disc_radius_px: of the discs, in pixels of the photo.
        seed: of noise and places.
    """

    brightness: float = 0.0
    noise: float = 0.0
    discs: int = 0
    disc_radius_px: float = 50.0
    seed: int = 0

    def __call__(self, photo: Photo) -> Photo:
        """The spoiled photo."""
        if self == Spoil(seed=self.seed, disc_radius_px=self.disc_radius_px):
            return photo
        generator = photo_generator(self.seed, photo.name)
        image = (photo.image + self.brightness).clamp(0, 1)
        if self.noise > 0:
            image = (image + self.noise * torch.randn(image.shape, generator=generator)).clamp(0, 1)
        height, width = image.shape[:2]
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        for _ in range(self.discs):
            cx, cy = (torch.rand(2, generator=generator) * torch.tensor([width, height])).tolist()
            image = torch.where(((x - cx) ** 2 + (y - cy) ** 2 < self.disc_radius_px**2)[..., None], 0.0, image)
        return replace(photo, image=image)
