"""The decoder: position and quaternion, each through its own encoding and layers, to the teacher's two latents.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", ECCV 2022. What differs: several scenes have
a learned code each in place of their index as a number; positions and rotations are those of the teacher's frame.
"""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.nn.encodings import fourier
from resect.scenes.pose_decoder.settings import PoseDecoderSettings


class PoseDecoderNetwork(nn.Module):
    """Poses to latents.

    Args:
        settings: how it is built.
        latent: length of the teacher's latents, both together.
        scenes: how many places.
    """

    def __init__(self, settings: PoseDecoderSettings, latent: int, scenes: int = 1) -> None:
        super().__init__()
        self.octaves = settings.octaves
        self.scene_code = nn.Embedding(scenes, settings.code) if scenes > 1 else None
        code = settings.code if scenes > 1 else 0
        grown = 1 + 2 * settings.octaves
        self.x_encoder = _layers((3 * grown + code, *settings.widths, latent // 2))
        self.q_encoder = _layers((4 * grown + code, *settings.widths, latent // 2))

    def forward(
        self, x: Float[Tensor, "b 3"], q: Float[Tensor, "b 4"], scene: Int[Tensor, "b"] | None = None
    ) -> Float[Tensor, "b l"]:
        """Latents of position and rotation in a row.

        Args:
            x: position in the teacher's frame.
            q: unit quaternion there, w ≥ 0.
            scene: number of the place, where there are several.
        """
        x_latent, q_latent = self.hidden(x, q, scene)
        return torch.cat([self.x_encoder[-1](x_latent), self.q_encoder[-1](q_latent)], -1)

    def hidden(self, x: Tensor, q: Tensor, scene: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the last, linear layers are given."""
        x_encoded, q_encoded = self._encoded(x, q, scene)
        return self.x_encoder[:-1](x_encoded), self.q_encoder[:-1](q_encoded)

    def _encoded(self, x: Tensor, q: Tensor, scene: Tensor | None) -> list[Tensor]:
        encoded = [fourier(x, self.octaves), fourier(q, self.octaves)]
        if self.scene_code is not None and scene is not None:
            encoded = [torch.cat([e, self.scene_code(scene)], -1) for e in encoded]
        return encoded


def _layers(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        linear = nn.Linear(before, after)
        nn.init.xavier_uniform_(linear.weight)
        layers += [linear, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])
