"""The networks of σSRN: a code makes the weights of a field of features; a recurrent marcher walks rays through it.

References: Sitzmann, Zollhöfer, Wetzstein, "Scene representation networks", NeurIPS 2019; σSRN adds a network σ of the
place, shared by all instances, and colours the sum of σ(x) φ(x) over all places x that a ray was at, so that all of
them learn from a pixel. What differs here: the marcher's weights begin orthogonal, not standard normal; and σ begins
as one over the number of places, so that a pixel begins with the mean feature of its ray. A σ that begins at random
adds the places up with random signs, and what is seen learns several times slower for it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, relu

from resect.scenes.sigma_srn.settings import SigmaSrnSettings

_LAYERS = 4
_CLIP = 10.0
_SMALL = 0.1  # of the last layer of what makes weights
_FIRST_CODES = 0.01
_STEADY = 0.3
Weights = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """Linear, layer norm, ReLU."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        linear = nn.Linear(inputs, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        self.net = nn.Sequential(linear, nn.LayerNorm(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Of each row."""
        found: Tensor = self.net(x)
        return found


class Stack(nn.Module):
    """Blocks of one width, then a linear layer."""

    def __init__(self, inputs: int, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        layers, last = [Block(inputs if k == 0 else width, width) for k in range(blocks)], nn.Linear(width, outputs)
        nn.init.kaiming_normal_(last.weight, nonlinearity="relu")
        self.net = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        """Of each row."""
        found: Tensor = self.net(x)
        return found


class Marcher(nn.Module):
    """How far to go on along a ray, from the feature where it is and from what was seen on the way."""

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        self.lstm, self.out_layer = nn.LSTMCell(width, state), nn.Linear(state, 1)
        for weight in (self.lstm.weight_ih, self.lstm.weight_hh):
            for gate in weight.data.split(state):
                nn.init.orthogonal_(gate)
        for bias in (self.lstm.bias_ih, self.lstm.bias_hh):
            nn.init.zeros_(bias)
            bias.data[state : 2 * state] = 1.0  # what was seen is not forgotten at first

    def aim(self, step: float) -> None:
        """At first, goes on by nearly the same length each time, so that rays begin by crossing what there is."""
        self.out_layer.weight.data *= _STEADY
        nn.init.constant_(self.out_layer.bias, step)

    def forward(
        self, feature: Float[Tensor, "n w"], memory: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "n"], tuple[Tensor, Tensor]]:
        """Length of the next step, and what is remembered."""
        hidden, cell = self.lstm(feature, memory)
        if self.training and hidden.requires_grad:  # derivatives of a finished network are as they are
            hidden.register_hook(lambda g: g.clamp(-_CLIP, _CLIP))
        return self.out_layer(hidden)[:, 0], (hidden, cell)


@dataclass(frozen=True, eq=False)
class Seen:
    """What H × N rays show.

    Attributes:
        rgb: in [−1, 1], roughly: nothing holds it there.
        distance: along the ray where it ended.
    """

    rgb: Float[Tensor, "h n 3"]
    distance: Float[Tensor, "h n"]


class SigmaSrnNetwork(nn.Module):
    """All of it.

    Args:
        settings: sizes.
        instances: how many codes there are.
        seed: of the first weights.
    """

    def __init__(self, settings: SigmaSrnSettings, instances: int, seed: int) -> None:
        super().__init__()
        s, self.settings = settings, settings
        sizes = [3, *[s.width] * (_LAYERS - 1)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if s.code:
                self.latent_codes = nn.Embedding(instances, s.code)
                nn.init.normal_(self.latent_codes.weight, std=_FIRST_CODES)
                self.hyper = nn.ModuleList(Stack(s.code, s.width, 2, n * s.width + s.width) for n in sizes)
                for stack in self.hyper:
                    stack.net[-1].weight.data *= _SMALL  # type: ignore[index, union-attr]
            else:
                self.phi = nn.Sequential(*[Block(n, s.width) for n in sizes])
            self.sigma = _even_weight(s) if s.weighted else None
            self.ray_marcher = Marcher(s.width, s.state)
            self.pixel_generator = Stack(s.width, s.width, 5, 3)

    def weights(self, code: Float[Tensor, "h d"]) -> Weights:
        """(H, out, in) and (H, out) of each layer of the field that each code stands for."""
        made = []
        for stack in self.hyper:
            flat, out = stack(code), self.settings.width
            made.append((flat[:, :-out].unflatten(-1, (out, -1)), flat[:, -out:]))
        return made

    def feature(self, points: Float[Tensor, "h n 3"], weights: Weights | None) -> Float[Tensor, "h n w"]:
        """φ: the field of features of each code, or of the only instance."""
        x = points
        if weights is None:
            found: Tensor = self.phi(x)
            return found
        for matrix, bias in weights:
            x = torch.baddbmm(bias[:, None], x, matrix.mT)
            x = relu(layer_norm(x, x.shape[-1:]))
        return x

    def forward(
        self,
        origin: Float[Tensor, "h n 3"],
        direction: Float[Tensor, "h n 3"],
        start: Float[Tensor, "h n"],
        code: Float[Tensor, "h d"] | None = None,
    ) -> Seen:
        """What rays show.

        Args:
            origin, direction: of the rays; unit directions.
            start: distance along each ray where the march begins.
            code: of the instance that each row of rays looks at.
        """
        weights = None if code is None else self.weights(code)
        distance, memory = start, None
        features, places = list[Tensor](), list[Tensor]()
        for k in range(self.settings.marches + 1):
            places.append(origin + distance[..., None] * direction)
            features.append(self.feature(places[-1], weights))
            if k < self.settings.marches:
                step, memory = self.ray_marcher(features[-1].flatten(0, 1), memory)
                distance = distance + step.view_as(distance)
        value = features[-1]
        if self.sigma is not None:
            value = (self.sigma(torch.stack(places)) * torch.stack(features)).sum(0)
        return Seen(self.pixel_generator(value), distance)


def _even_weight(settings: SigmaSrnSettings) -> Stack:
    """σ, at first the same everywhere."""
    made = Stack(3, settings.width, 3, 1)
    nn.init.zeros_(made.net[-1].weight)  # type: ignore[arg-type]
    nn.init.constant_(made.net[-1].bias, 1 / (settings.marches + 1))  # type: ignore[arg-type]
    return made
