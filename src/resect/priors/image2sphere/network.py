"""The network: picture → feature map → sphere → a series of harmonics on the rotations."""

import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.geometry import so3_grid
from resect.geometry.harmonics import wigner_d
from resect.geometry.so3_series import basis, blocks, gradient, series_size, unblock
from resect.geometry.so3_waves import (
    Fibres,
    evaluate,
    evaluate_in_fibres,
    evaluate_on_fibres,
    fibres_of,
    trigonometric,
)
from resect.nn.spherical.head import SphericalHead
from resect.priors.image2sphere.position import PositionHead
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.priors.rotations.encoder import Encoder, read_pretrained, seeded
from resect.priors.rotations.search import FIRST, greatest_cell

_CHUNK = 1 << 15  # rotations that values are taken at at once


class Image2SphereNetwork(nn.Module):
    """A `RotationNetwork` whose function is a series of harmonics; its code is that series.

    The head's function f turns with the signal on the sphere from the right: a signal turned by S gives Q ↦ f(Q S). If
    the camera's frame is turned by S, an object at R comes to stand at S R. So f is taken at Q = (B R)ᵀ, where B turns
    the camera's axes to the sphere's: then a turned picture gives exactly the turned density. Published is Q = R.

    Args:
        settings: how it is built.
        categories: how many.
    """

    def __init__(self, settings: Image2SphereSettings, categories: int) -> None:
        super().__init__()
        s = settings
        self.lmax, self.equivariant = s.lmax, s.equivariant
        self.encoder = Encoder(s)
        self.head = SphericalHead(
            self.encoder.channels,
            self.encoder.size,
            lmax=s.lmax,
            features=s.features,
            hidden=s.hidden,
            resolution=s.resolution,
            classes=categories if s.class_label else 0,
            projection=s.projection,
            points=s.points,
        )
        self.place = PositionHead(self.encoder.channels) if s.translation else None

    def forward(self, picture: Float[Tensor, "b 3 s s"], label: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b k"]:
        """The series of R ↦ logit, R the rotation of the object in the camera's frame; with the translation head, where
        it stands in three numbers more (`rotations/position`).
        """
        features = self.encoder(picture)
        found = self.head(features, label)
        if self.equivariant:
            axes = _sphere_from_camera(self.lmax, found.dtype, found.device)
            found = unblock([d.mT @ block.mT for d, block in zip(axes, blocks(found, self.lmax), strict=True)])
        return found if self.place is None else torch.cat([found, self.place(features)], -1)

    def code(self, picture: Float[Tensor, "b 3 s s"], label: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b k"]:
        """What `forward` gives."""
        return self(picture, label)

    def series(self, code: Float[Tensor, "*b k"]) -> Float[Tensor, "*b m"]:
        """The part of a code that tells the rotation."""
        return code[..., : series_size(self.lmax)]

    def position(self, code: Float[Tensor, "b k"]) -> Float[Tensor, "b 3"]:
        """The part that tells where the object stands."""
        return code[..., series_size(self.lmax) :]

    def on_level(self, code: Float[Tensor, "b k"], level: int) -> Float[Tensor, "b n"]:
        """At all cells of a level, in their order; a whole level costs little more than its output."""
        waved = trigonometric(self.series(code), self.lmax)
        values = evaluate_on_fibres(waved, fibres(self.lmax, level, code.dtype, code.device))
        return values.flatten(1)[:, cell_positions(level, code.device)]

    def greatest(self, code: Float[Tensor, "k"], level: int) -> Int[Tensor, ""]:
        """The cell of a level at whose middle the function is greatest."""
        return greatest_of(self.series(code), self.lmax, level)

    def logits(self, code: Float[Tensor, "k"], rotation: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
        """At any rotations."""
        waved = trigonometric(self.series(code), self.lmax)
        return torch.cat([evaluate(waved, part.to(code.device)) for part in rotation.split(_CHUNK)])

    def local(
        self, code: Float[Tensor, "k"], rotation: Float[Tensor, "n 3 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"], Float[Tensor, "n 3 3"]]:
        """There, with derivatives, which are series too; in float64."""
        series = self.series(code).double()
        first = gradient(series, self.lmax)
        second = gradient(first, self.lmax)
        at = basis(rotation.double().to(code.device), self.lmax)
        bend = torch.einsum("ijk,nk->nij", second, at)
        return at @ series, at @ first.mT, (bend + bend.mT) / 2


def make_network(settings: Image2SphereSettings, categories: int, seed: int) -> Image2SphereNetwork:
    """A network with the weights of a seed, and a pretrained encoder where the settings name one."""
    network = seeded(Image2SphereNetwork, settings, categories, seed=seed)
    assert isinstance(network, Image2SphereNetwork)
    read_pretrained(network.encoder, settings)
    return network


def greatest_of(series: Float[Tensor, "k"], lmax: int, level: int) -> Int[Tensor, ""]:
    """The cell of a level at whose middle a series is greatest, found from coarse cells to fine ones."""
    waved, first = trigonometric(series, lmax), min(FIRST, level)

    def at_cells(cells: Int[Tensor, "n"], deeper: int) -> Float[Tensor, "n"]:
        table = fibres(lmax, deeper, series.dtype, series.device)
        return evaluate_in_fibres(waved, table, *so3_grid.fibre_of(cells, deeper))

    values = evaluate_on_fibres(waved, fibres(lmax, first, series.dtype, series.device)).flatten()
    return greatest_cell(at_cells, cells_on_fibres(first, series.device), values, first, level)


@functools.cache
def _sphere_from_camera(lmax: int, dtype: torch.dtype, device: torch.device) -> tuple[Float[Tensor, "m m"], ...]:
    """D of B, a degree each."""
    with torch.inference_mode(False), torch.no_grad():
        turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
        return tuple(wigner_d(turn, degree).to(device, dtype) for degree in range(lmax + 1))


@functools.cache
def fibres(lmax: int, level: int, dtype: torch.dtype, device: torch.device) -> Fibres:
    """Tables of a level's fibres: for `evaluate_on_fibres`."""
    with torch.inference_mode(False), torch.no_grad():
        starts, tilts, _ = so3_grid.fibres(level)
        return Fibres(*(table.to(device, dtype) for table in fibres_of(starts, tilts, lmax)))


@functools.cache
def cells_on_fibres(level: int, device: torch.device) -> Int[Tensor, "n"]:
    """The cells of a level in the order of the values on its fibres."""
    with torch.inference_mode(False), torch.no_grad():
        return so3_grid.fibres(level)[2].flatten().to(device)


@functools.cache
def cell_positions(level: int, device: torch.device) -> Int[Tensor, "n"]:
    """Where each cell of a level stands among the values on its fibres."""
    with torch.inference_mode(False), torch.no_grad():
        return cells_on_fibres(level, device).argsort()
