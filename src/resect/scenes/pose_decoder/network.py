"""The decoder: position and quaternion, each through its own encoding and layers, to the teacher's two latents.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", ECCV 2022. What differs: several scenes have
a learned code each in place of their index as a number; positions and rotations are those of the teacher's frame.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.nn.encodings import fourier, fourier_tangent
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
        self._octaves = settings.octaves
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

    def pushed(
        self,
        x: Float[Tensor, "b 3"],
        q: Float[Tensor, "b 4"],
        dx: Float[Tensor, "b 3 k"],
        dq: Float[Tensor, "b 4 k"],
        scene: Int[Tensor, "b"] | None = None,
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """`hidden`, and its derivatives along tangents of position and of quaternion, (b, hidden, k) each."""
        tangents = [fourier_tangent(v, dv, self._octaves) for v, dv in ((x, dx), (q, dq))]
        if self.scene_code is not None:
            tangents = [functional.pad(t, (0, 0, 0, self.scene_code.embedding_dim)) for t in tangents]
        values = self._encoded(x, q, scene)
        x_hidden, x_turned = _pushed(list(self.x_encoder)[:-1], values[0], tangents[0])
        q_hidden, q_turned = _pushed(list(self.q_encoder)[:-1], values[1], tangents[1])
        return (x_hidden, q_hidden), (x_turned, q_turned)

    def _encoded(self, x: Tensor, q: Tensor, scene: Tensor | None) -> list[Tensor]:
        encoded = [fourier(x, self._octaves), fourier(q, self._octaves)]
        if self.scene_code is not None and scene is not None:
            encoded = [torch.cat([e, self.scene_code(scene)], -1) for e in encoded]
        return encoded


def _pushed(layers: Sequence[nn.Module], value: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """A value and its tangents through layers."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            value, tangent = layer(value), layer.weight @ tangent
        else:
            tangent, value = tangent * (value > 0)[..., None], functional.relu(value)
    return value, tangent


def _layers(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        linear = nn.Linear(before, after)
        nn.init.xavier_uniform_(linear.weight)
        layers += [linear, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])
