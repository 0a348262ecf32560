"""Decoders for tests: one that was fitted to a small regressor, and one that is its own teacher."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from tests.priors.captures import TRAIN, capture
from tests.priors.posenet_networks import posenet
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.nn.pose_loss import PoseFrame
from resect.nn.training_pictures import TrainingPictures
from resect.scenes.pose_decoder.fit import fit
from resect.scenes.pose_decoder.network import PoseDecoderNetwork
from resect.scenes.pose_decoder.scene import PoseDecoder
from resect.scenes.pose_decoder.settings import PoseDecoderSettings
from resect.types import Photo, PhotoSet

TINY = PoseDecoderSettings(widths=(16, 16), steps=30, batch=16, views=2, channels=8, octaves=2, tensorboard=False)


@cache
def fitted() -> PoseDecoder:
    return fit(capture().subset(TRAIN), TINY, parents=(posenet(),))


@dataclass(frozen=True, eq=False)
class Knowing:
    """A teacher that thinks of photo "K" exactly what the decoder shows at pose K, with some error."""

    decoder: PoseDecoder
    poses: SE3
    error: float = 0.0

    @property
    def frame(self) -> PoseFrame:
        return self.decoder.frames[0]

    def latent(self, photo: Photo) -> Tensor:
        k = int(photo.name)
        noise = torch.randn(len(self.decoder.middle), generator=torch.Generator().manual_seed(k))
        return self.decoder.latents(self.poses[k : k + 1])[0].float() + self.error * noise

    def latents(self, pictures: Tensor) -> Tensor:
        raise NotImplementedError

    def training_pictures(self, data: PhotoSet, memory_gb: float) -> TrainingPictures:
        raise NotImplementedError

    def regress_latents(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@cache
def knowing(error: float = 0.0) -> PoseDecoder:
    """With a random network, which is as hard to invert as any."""
    poses = capture().truth.cam_from_world.double()
    settings = PoseDecoderSettings(octaves=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PoseDecoderNetwork(settings, 32).eval().requires_grad_(False)
    bounds = torch.stack([poses.center.amin(0), poses.center.amax(0)]).float()
    scene = PoseDecoder(network, settings, (PoseFrame(poses),), torch.eye(32), torch.zeros(32), bounds)
    return replace(scene, teacher=Knowing(scene, poses, error))
