"""The network: picture → features; features and a rotation → the logarithm of the density, but for a constant."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.geometry import so3, so3_grid
from resect.priors.ipdf.settings import ImplicitPdfSettings
from resect.priors.rotations.encoder import Encoder, read_pretrained, seeded
from resect.priors.rotations.search import FIRST, greatest_cell

_CHUNK = 16384  # rotations that are asked about at once


class ImplicitPdfNetwork(nn.Module):
    """A `RotationNetwork`; its code is what the first layer makes of the picture.

    Args:
        settings: how it is built.
        categories: how many.
    """

    def __init__(self, settings: ImplicitPdfSettings, categories: int) -> None:
        super().__init__()
        s = settings
        self.frequencies = s.frequencies
        self.encoder = Encoder(s)
        self.picture = nn.Linear(self.encoder.channels, s.width)
        self.label = nn.Embedding(categories, s.width) if s.class_label else None
        self.query = nn.Linear(9 * max(1, 2 * s.frequencies), s.width)
        self.hidden = nn.ModuleList(nn.Linear(s.width, s.width) for _ in range(s.layers - 1))
        self.out = nn.Linear(s.width, 1)

    def forward(
        self,
        picture: Float[Tensor, "b 3 s s"],
        rotation: Float[Tensor, "b q 3 3"],
        label: Int[Tensor, "b"] | None = None,
    ) -> Float[Tensor, "b q"]:
        """What Q rotations get for each picture."""
        return self._ask(self.code(picture, label)[:, None], rotation)

    def code(self, picture: Float[Tensor, "b 3 s s"], label: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b k"]:
        """Features of pictures, and of their labels."""
        found: Tensor = self.picture(self.encoder(picture).mean((2, 3)))
        return found if self.label is None or label is None else found + self.label(label)

    def on_level(self, code: Float[Tensor, "b k"], level: int) -> Float[Tensor, "b n"]:
        """At all cells of a level, in their order; 36 864 cells take seconds, not milliseconds."""
        cells = torch.arange(so3_grid.cell_count(level), device=code.device)
        parts = cells.split(_CHUNK)
        found = []
        for part in parts:
            there = so3_grid.cell_center(part, level)
            found.append(torch.stack([self.logits(c, there) for c in code]))
        return torch.cat(found, 1)

    def greatest(self, code: Float[Tensor, "k"], level: int) -> Int[Tensor, ""]:
        """The cell of a level at whose middle the function is greatest, found from coarse cells to fine ones."""
        first = min(FIRST, level)
        values = self.on_level(code[None], first)[0]

        def at_cells(cells: Int[Tensor, "n"], deeper: int) -> Float[Tensor, "n"]:
            return self.logits(code, so3_grid.cell_center(cells, deeper))

        return greatest_cell(at_cells, torch.arange(len(values), device=code.device), values, first, level)

    def logits(self, code: Float[Tensor, "k"], rotation: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
        """At any rotations."""
        return torch.cat([self._ask(code, part) for part in rotation.to(code).split(_CHUNK)])

    def local(
        self, code: Float[Tensor, "k"], rotation: Float[Tensor, "n 3 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"], Float[Tensor, "n 3 3"]]:
        """There, with derivatives."""
        with torch.enable_grad():
            turn = torch.zeros(len(rotation), 3, dtype=code.dtype, device=code.device, requires_grad=True)
            value = self._ask(code, so3.exp(turn) @ rotation.to(code))
            (gradient,) = torch.autograd.grad(value.sum(), turn, create_graph=True)
            rows = [torch.autograd.grad(g.sum(), turn, retain_graph=True)[0] for g in gradient.unbind(1)]
        bend = torch.stack(rows, 1).detach().double()
        return value.detach().double(), gradient.detach().double(), (bend + bend.mT) / 2

    def _ask(self, code: Float[Tensor, "*b k"], rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
        x = rotation.flatten(-2)
        if self.frequencies:
            phase = torch.cat([x * 2**k for k in range(self.frequencies)], -1)
            x = torch.cat([phase.sin(), phase.cos()], -1)
        x = functional.relu(code + self.query(x))
        for layer in self.hidden:
            x = functional.relu(layer(x))
        found: Tensor = self.out(x)[..., 0]
        return found.float() if found.dtype in (torch.bfloat16, torch.float16) else found


def make_network(settings: ImplicitPdfSettings, categories: int, seed: int) -> ImplicitPdfNetwork:
    """A network with the weights of a seed, and a pretrained encoder where the settings name one."""
    network = seeded(ImplicitPdfNetwork, settings, categories, seed=seed)
    assert isinstance(network, ImplicitPdfNetwork)
    read_pretrained(network.encoder, settings)
    return network
