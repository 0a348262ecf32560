"""One known object: its photos with true poses, and what is known of the object itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor

from resect.geometry.mesh import Mesh
from resect.geometry.symmetry import Symmetries
from resect.types import PhotoSet


@dataclass(frozen=True, eq=False)
class ObjectSet:
    """Photos of one known object; the world of their truth is the object's frame.

    One photo stands for one instance in one image: objects in the same image are photos that share it, with a `Target`
    each. Why so: `docs/decisions/object-sets.md`.

    Attributes:
        object_id: name or number in its dataset; that of every photo's target.
        photos: the object's photos; `truth.symmetries` holds the rotations of `symmetries`.
        symmetries: motions of the object's frame that change nothing.
        diameter: largest distance between two of its points, world units; `None` if unknown.
        load_mesh: reads its mesh; `None` where there is none.
        visible: share of the object that can be seen in each photo, if known. Truth: for choosing, not solving.
        symmetries_told: whether the data says which motions change nothing; else there may be more than `symmetries`.
    """

    object_id: str
    photos: PhotoSet
    symmetries: Symmetries = field(default_factory=Symmetries)
    diameter: float | None = None
    load_mesh: Callable[[], Mesh] | None = None
    visible: Float[Tensor, "n"] | None = None
    symmetries_told: bool = False

    def __len__(self) -> int:
        return len(self.photos)

    def subset(self, indices: Sequence[int]) -> "ObjectSet":
        """Only these photos, in this order."""
        order = list(indices)
        visible = None if self.visible is None else self.visible[order]
        return replace(self, photos=self.photos.subset(order), visible=visible)

    def seen(self, least: float) -> "ObjectSet":
        """Only the photos in which at least this share of the object is visible; all where that is unknown."""
        if self.visible is None:
            return self
        return self.subset((self.visible >= least).nonzero()[:, 0].tolist())
