"""The network: two transformers, of position and of rotation, each with a query for each place.

Shavit, Ferens, Keller, "Learning multi-scene absolute pose regression with transformers", ICCV 2021. What may differ,
by the settings: sizes; poses are regressed in a frame of each place's training cameras.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.nn.backbone.make import Backbone
from resect.nn.transformer import GridPosition, Transformer
from resect.priors.ms_transformer.settings import MSTransformerSettings

Maps = tuple[Tensor, Tensor]
"""Features for position and for rotation."""


class MSTransformerNetwork(nn.Module):
    """Pictures to the place they show and the pose in it.

    Args:
        settings: how it is built.
        scenes: how many places.
        backbone: network that looks at the picture.
    """

    def __init__(self, settings: MSTransformerSettings, scenes: int, backbone: Backbone) -> None:
        super().__init__()
        s, self.backbone = settings, backbone
        self._strides = (s.x_stride, s.q_stride)
        self.position = GridPosition(s.width)
        channels = [backbone.map_channels[stride] for stride in self._strides]
        self.x_whiten, self.q_whiten = (nn.BatchNorm2d(c, affine=False) for c in channels)
        self.x_project, self.q_project = (nn.Conv2d(c, s.width, 1) for c in channels)
        sizes = (s.width, s.heads, s.inner, s.dropout)
        self.x_transformer = Transformer(s.x_encoders, s.x_decoders, *sizes)
        self.q_transformer = Transformer(s.q_encoders, s.q_decoders, *sizes)
        self.x_query, self.q_query = nn.Embedding(scenes, s.width), nn.Embedding(scenes, s.width)
        self.scene_embed = nn.Linear(2 * s.width, 1)
        pairs = 1 if s.shared else scenes
        self.x_head = nn.ModuleList(_head(s.width, s.head, 3, s.normalize) for _ in range(pairs))
        self.q_head = nn.ModuleList(_head(s.width, s.head, 4, s.normalize) for _ in range(pairs))

    def see(self, picture: Float[Tensor, "b 3 s s"]) -> Maps:
        """Features of pictures in [0, 1]."""
        maps = self.backbone.maps(picture.contiguous(memory_format=torch.channels_last), max(self._strides))
        return maps[self._strides[0]], maps[self._strides[1]]

    def gather(self, features: Maps, need_weights: bool = False) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
        """What each place's queries make of pictures (b, s, w), for position and rotation, and where they looked."""
        found, looked = [], []
        branches = (
            (self.x_whiten, self.x_project, self.x_transformer, self.x_query),
            (self.q_whiten, self.q_project, self.q_transformer, self.q_query),
        )
        for maps, (whiten, project, transformer, query) in zip(features, branches, strict=True):
            cells = project(whiten(maps))
            position = self.position(*cells.shape[2:])
            made, weights = transformer(cells.flatten(2).mT, position, query.weight, need_weights)
            found.append(made)
            looked.append(weights)
        return found[0], found[1], tuple(looked)

    def scenes(self, x_latents: Float[Tensor, "b s w"], q_latents: Float[Tensor, "b s w"]) -> Float[Tensor, "b s"]:
        """Log-probabilities of the places."""
        scores: Tensor = self.scene_embed(torch.cat([x_latents, q_latents], -1))[..., 0]
        return scores.log_softmax(-1)

    def regress(
        self, x_latent: Float[Tensor, "b w"], q_latent: Float[Tensor, "b w"], scene: Int[Tensor, "b"] | None = None
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position and quaternion from the latents of a place; `scene` chooses the heads where each has its own."""
        if len(self.x_head) == 1:
            return self.x_head[0](x_latent), self.q_head[0](q_latent)
        if scene is None:
            raise ValueError("heads of their own need to know the place")
        row = torch.arange(len(scene), device=scene.device)
        every = (
            torch.stack([head(latent) for head in heads], 1)
            for heads, latent in ((self.x_head, x_latent), (self.q_head, q_latent))
        )
        x, q = (found[row, scene] for found in every)
        return x, q


def _head(width: int, hidden: int, numbers: int, at_rest: bool) -> nn.Module:
    """Latent to numbers; at rest it begins at the mean pose."""
    first, last = nn.Linear(width, hidden), nn.Linear(hidden, numbers)
    for layer in (first, last):
        nn.init.xavier_uniform_(layer.weight)
    if at_rest:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        if numbers == 4:
            with torch.no_grad():
                last.bias[0] = 1.0
    return nn.Sequential(first, nn.GELU(), last)


def chosen(latents: Float[Tensor, "b s w"], scene: Int[Tensor, "b"]) -> Float[Tensor, "b w"]:
    """The latent of one place a picture."""
    return latents[torch.arange(len(scene), device=scene.device), scene]


def classification_loss(scenes: Float[Tensor, "b s"], true: Int[Tensor, "b"]) -> Tensor:
    """Negative log-likelihood of the true place."""
    return functional.nll_loss(scenes, true)
