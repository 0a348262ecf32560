"""A network for distributions over SO(3) as a prior: from a photo to a density, its peaks, and poses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect import artifact
from resect.errors import ResectError, unknown_name
from resect.geometry import so3_grid
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.priors.lay import lay
from resect.priors.rotations.position import covariance_of, position_of
from resect.priors.rotations.search import FIRST, ascend, subdivide
from resect.priors.rotations.settings import RotationSettings
from resect.priors.rotations.view import View, look
from resect.priors.views import hull_points
from resect.types import Hypotheses, Photo, RotationDensity

S = TypeVar("S", bound=RotationSettings)
_MOST_CATEGORIES = 10_000
_RADIUS_DEG = 15.0
_COLDEST = 0.01
_WIDEST = 1e3


class RotationNetwork(Protocol):
    """A network that gives a function on SO(3) for a picture: the logarithm of a density, but for a constant."""

    def code(self, picture: Float[Tensor, "b 3 s s"], label: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b k"]:
        """What it makes of pictures: all that its function depends on."""
        ...

    def on_level(self, code: Float[Tensor, "b k"], level: int) -> Float[Tensor, "b n"]:
        """At the middles of all cells of a level, in their order."""
        ...

    def greatest(self, code: Float[Tensor, "k"], level: int) -> Int[Tensor, ""]:
        """The cell of a level at whose middle the function is greatest."""
        ...

    def logits(self, code: Float[Tensor, "k"], rotation: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
        """At any rotations."""
        ...

    def local(
        self, code: Float[Tensor, "k"], rotation: Float[Tensor, "n 3 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"], Float[Tensor, "n 3 3"]]:
        """There, with gradient and second derivatives by ω in exp(ω) @ rotation at 0, per radian."""
        ...


class PlacingNetwork(Protocol):
    """One that tells where the object stands too."""

    def position(self, code: Float[Tensor, "b k"]) -> Float[Tensor, "b 3"]:
        """The three numbers of `rotations/position`."""
        ...


@dataclass(frozen=True, eq=False)
class RotationPrior:
    """A trained network.

    Attributes:
        kind: name in the zoo.
        network: a `RotationNetwork`, in evaluation mode, on the settings' device.
        settings: how it was built.
        categories: that it was trained on, in the order of its labels.
        points: of the hull of the object that is asked for, in its frame; `None` is any of a category.
        temperature: what the network's function is divided by; see `rotations/temperature`.
        learned_from: digest of the images (`rotations/batches`); "" where it is not known.
        spread: standard deviations of the three numbers that tell a position (`rotations/position`), of a network that
            tells one; such a network is a `PlacingNetwork` too.
    """

    kind: str
    network: nn.Module
    settings: RotationSettings
    categories: tuple[str, ...]
    points: Float[Tensor, "n 3"] | None = None
    temperature: float = 1.0
    learned_from: str = ""
    spread: tuple[float, float, float] | None = None

    @property
    def _asked(self) -> RotationNetwork:
        return self.network  # type: ignore[return-value]

    def of(self, mesh: Mesh) -> Self:
        """The same for one object whose mesh is known, so that rotations can be laid into boxes."""
        return replace(self, points=hull_points(mesh.vertices).double())

    def codes(self, photos: Sequence[Photo]) -> tuple[Float[Tensor, "b k"], list[View]]:
        """What the network makes of photos, and what it saw of them."""
        views = [look(photo, self.settings.side) for photo in photos]
        pictures = torch.stack([v.picture for v in views]).to(self.settings.device)
        return self.codes_of(pictures, [_name(p) for p in photos]), views

    def codes_of(self, pictures: Float[Tensor, "b 3 s s"], categories: Sequence[str]) -> Float[Tensor, "b k"]:
        """What the network makes of pictures of objects of these categories."""
        label = None
        if self.settings.class_label:
            label = torch.tensor([self._number(name) for name in categories], device=pictures.device)
        with torch.no_grad():
            return self._asked.code(pictures, label)

    def density(self, photo: Photo, level: int | None = None) -> RotationDensity:
        """Of `cam_from_world`'s rotation in the picture's frame (see `rotations/view`).

        Args:
            photo: asked for an object.
            level: of the finest cells; the settings' when not given.
        """
        code, _ = self.codes([photo])
        return self.density_of(code[0], level)

    def density_of(self, code: Float[Tensor, "k"], level: int | None = None) -> RotationDensity:
        """Of one picture's code; fine where the probability is."""
        finest = self.settings.density_level if level is None else level
        first = min(FIRST, finest)
        with torch.no_grad():
            coarse = self._asked.on_level(code[None], first)[0] / self.temperature
            return subdivide(lambda r: self._asked.logits(code, r) / self.temperature, coarse, first, finest)

    def rotation_of(self, code: Float[Tensor, "k"], level: int | None = None) -> Float[Tensor, "3 3"]:
        """The most probable rotation in the picture's frame, float64, not bound to any grid."""
        finest = self.settings.density_level if level is None else level
        with torch.no_grad():
            start = so3_grid.cell_center(self._asked.greatest(code, finest)[None], finest)
            return ascend(lambda r: self._asked.local(code, r), start)[0].cpu()

    def rotation(self, photo: Photo) -> Float[Tensor, "3 3"]:
        """The most probable rotation of `cam_from_world`, float64."""
        code, views = self.codes([photo])
        return views[0].turn.mT @ self.rotation_of(code[0])

    def told(self, code: Float[Tensor, "b k"]) -> Float[Tensor, "b 3"]:
        """Where a network with a translation head sees the objects, in the numbers of `rotations/position`; float64."""
        asked: PlacingNetwork = self.network  # type: ignore[assignment]
        return asked.position(code).double()

    def position(self, code: Float[Tensor, "k"], view: View) -> tuple[Float[Tensor, "3"], Float[Tensor, "3 3"]] | None:
        """Where an object stands in its photo's camera frame, with covariance, in the units of the labels; `None`
        without a translation head or where the camera is not known. Float64.
        """
        if self.spread is None or view.focal is None:
            return None
        numbers, focal = self.told(code[None]).cpu(), torch.tensor([view.focal], dtype=torch.float64)
        there, back = position_of(numbers, focal)[0], view.turn.mT
        spread = covariance_of(numbers, focal, torch.tensor(self.spread))[0]
        return back @ there, back @ spread @ back.mT

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """Peaks of the density, most probable first; none where the picture shows nothing.

        Rotations are laid into the photo's box or mask where the object is known. Else all stand where the translation
        head says; without one, a unit away, and rows of zero information say that this is no knowledge.
        """
        code, views = self.codes([photo])
        if count < 1 or views[0].shows_nothing:
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        modes = self.density_of(code[0]).modes(count, _RADIUS_DEG)
        back = views[0].turn.mT
        turned = back @ modes.rotation.cpu()
        covariance = back @ modes.covariance.cpu() @ back.mT
        weight = modes.mass.cpu().clamp_min(1e-30).log()
        away, spread = self.position(code[0], views[0]) or (back[:, 2], None)
        return lay(turned, weight, covariance, photo, source=self.kind, points=self.points, away=away, spread=spread)

    def _number(self, name: str) -> int:
        if not name and len(self.categories) == 1:
            return 0
        if not name:
            fix = "Say what the photo shows: --scene NAME=MESH, or Target(…, category=NAME) in Python."
            raise ResectError("category", f"one of {', '.join(self.categories)}", "none", fix)
        if name not in self.categories:
            raise unknown_name("category", name, self.categories)
        return self.categories.index(name)

    def save(self, folder: Path) -> None:
        """Writes the artefact; the object's points are not part of it."""
        extra = {"categories": list(self.categories), "temperature": self.temperature, "data": self.learned_from}
        if self.spread is not None:
            extra["spread"] = list(self.spread)
        artifact.save(folder, self.kind, self.settings, dict(self.network.state_dict()), extra=extra)


def _name(photo: Photo) -> str:
    """Of the category that is asked for; an object's own name may be one."""
    return "" if photo.target is None else photo.target.category or photo.target.object_id


def ready(network: nn.Module, settings: RotationSettings) -> nn.Module:
    """For answering: on its device, in evaluation mode, without gradients."""
    return network.to(settings.device).eval().requires_grad_(False)


def load(
    folder: Path | str, kind: str, cls: type[S], make: Callable[[S, int, int], nn.Module], device: str = "cpu"
) -> RotationPrior:
    """Reads and checks an artefact.

    Args:
        folder: the artefact.
        kind: that it must be of.
        cls: class of its settings.
        make: a network from settings, the number of categories and a seed.
        device: where it is to run.
    """
    found = artifact.load(folder, kind)
    where = f"{folder}/artifact.json"
    settings = artifact.settings_from_json(cls, found.settings, where)
    settings = replace(settings, device=device, pretrained="")
    names = found.extra.get("categories")
    few = isinstance(names, list) and 0 < len(names) <= _MOST_CATEGORIES
    if not isinstance(names, list) or not few or not all(isinstance(n, str) for n in names):
        raise ResectError(f"{where}: categories", "a list of names", repr(names)[:80], "Fit it again.")
    temperature = found.extra.get("temperature", 1.0)
    if not isinstance(temperature, int | float) or not _COLDEST <= temperature <= 1 / _COLDEST:
        got = repr(temperature)[:80]
        raise ResectError(f"{where}: temperature", f"{_COLDEST} to {1 / _COLDEST:g}", got, "Fit it again.")
    spread = _spread(found.extra.get("spread"), settings, where)
    network = make(settings, len(names), 0)
    load_weights(network, found.tensors, folder)
    data = str(found.extra.get("data", ""))
    network = ready(network, settings)
    return RotationPrior(
        kind, network, settings, tuple(names), temperature=float(temperature), learned_from=data, spread=spread
    )


def _spread(value: object, settings: RotationSettings, where: str) -> tuple[float, float, float] | None:
    """Of an artefact with a translation head; `None` of one without."""
    if not getattr(settings, "translation", False):
        return None
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 3 or not all(isinstance(x, int | float) and 0 < x < _WIDEST for x in numbers):
        raise ResectError(f"{where}: spread", "three positive numbers", repr(value)[:80], "Fit it again.")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])
