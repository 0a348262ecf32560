"""What PoseCNN is told of the objects that it finds."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.geometry.mesh import sample_surface
from resect.geometry.spread import farthest_first

_MOST_SYMMETRIES = 24


@dataclass(frozen=True, eq=False)
class KnownObject:
    """What the network is told of one object.

    Attributes:
        name: id in its dataset.
        points: of its surface, uniform by area, its own frame and units.
        patches: middles of the patches that its surface is divided into; cells say which patch they show.
        middle: of its box; the point whose projection is the "centre".
        diameter: largest distance between two of its points.
        symmetries: rotations that change nothing, about the middle; identity first.
    """

    name: str
    points: Float[Tensor, "m 3"]
    patches: Float[Tensor, "k 3"]
    middle: Float[Tensor, "3"]
    diameter: float
    symmetries: Float[Tensor, "s 3 3"]

    @property
    def radius(self) -> float:
        """Of the sphere about the middle."""
        return float((self.points - self.middle).norm(dim=-1).max())

    def seen_from_middle(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
        """Points less the middle, in diameters."""
        return (points - self.middle) / self.diameter


def known_objects(
    data: Mapping[str, ObjectSet], points: int, patches: int, generator: torch.Generator
) -> tuple[KnownObject, ...]:
    """What is known of the objects; their surfaces are needed."""
    found = []
    for name, objects in data.items():
        if objects.load_mesh is None:
            fix = "Put the models beside the photos, as BOP has them."
            raise ResectError(f"object {name}", "its mesh, to learn rotations by", "none", fix)
        mesh = objects.load_mesh()
        low, high = mesh.vertices.double().aminmax(dim=0)
        surface = sample_surface(mesh, points, generator)[0].float()
        turns = objects.symmetries.sampled(max_shift=0.26).R.float()
        turns = turns[torch.linspace(0, len(turns) - 1, min(len(turns), _MOST_SYMMETRIES)).round().long()]
        diameter = float((high - low).norm()) if objects.diameter is None else objects.diameter
        middle = ((high + low) / 2).float()
        found.append(KnownObject(name, surface, spread_out(surface, patches), middle, diameter, turns))
    return tuple(found)


def spread_out(points: Float[Tensor, "m 3"], count: int) -> Float[Tensor, "k 3"]:
    """`count` of the points, each the one farthest from those before it."""
    return points[farthest_first(points, count, int((points - points.mean(0)).norm(dim=-1).argmax()))]
