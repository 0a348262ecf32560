"""Trains an image decoder on training photos and their true poses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.nn.picture import Changes
from resect.nn.training_pictures import TrainingPictures
from resect.scenes.image_decoder.scene import ImageDecoder, make_network
from resect.scenes.image_decoder.settings import ImageDecoderSettings
from resect.scenes.pose_decoder.scene import PoseDecoder
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

_SHARE = 64 / 72


@dataclass(frozen=True, eq=False)
class Batches:
    """Latents of poses and the pictures seen from them."""

    pictures: TrainingPictures
    decoder: PoseDecoder
    settings: ImageDecoderSettings

    def batch(self, turn: Turn) -> tuple[Tensor, Tensor]:
        """That of a turn."""
        s = self.settings
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) % 2**63)
        rows = turn.mine(torch.randint(len(self.pictures), (s.batch,), generator=g).tolist())
        seen, poses = self.pictures.changed(rows, Changes(s.turn_deg, s.turn_deg), g)
        with torch.no_grad():
            latents = self.decoder.latents(SE3(poses.R, poses.t)).float()
        return latents, seen.clamp(0, 1)


def fit(
    data: PhotoSet,
    settings: ImageDecoderSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> ImageDecoder:
    """Trains a decoder, by the mean absolute difference of colours.

    Args:
        data: training photos only.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: the pose decoder, which is not trained further.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).
    """
    s = settings or ImageDecoderSettings()
    decoder = next((p for p in parents if isinstance(p, PoseDecoder)), None)
    if decoder is None:
        raise ResectError("image-decoder", "a fitted pose decoder", "none", "Give --decoder DIR.")
    seed = run_seed(s, generator)
    s = replace(s, steps=s.epochs * -(-len(data) // s.batch), epochs=0) if s.epochs else s
    pictures = TrainingPictures(data, s.size, _SHARE, memory_gb=s.memory_gb)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network(s, len(decoder.middle))

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        latents, seen = (v.to(s.device) for v in batch)
        return {"loss": (module(latents) - seen.flatten(1)).abs().mean()}

    batches = Batches(pictures, decoder, s).batch
    told = repr((data.names, data.cameras))
    train(network, batches, loss, s, seed=seed, data=told, out=out, resume=resume, progress=progress)
    made = ImageDecoder(network.cpu().eval().requires_grad_(False), s, pictures.camera, decoder)
    finish(made, out)
    return made
