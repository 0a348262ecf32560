"""Occupancy networks: the shape of an object of a known category, from one photo or from points on its surface.

Mescheder, Oechsle, Niemeyer, Nowozin, Geiger, "Occupancy networks: learning 3D reconstruction in function space", CVPR
2019. A picture becomes a code, and the code a function of space, the logit of being inside; its level set is the mesh,
in the object's own frame (y up, longest side about 1). What differs is said by `OccupancySettings`, and that answers
are the mean of a picture's and of its mirror image's, which makes chairs of unseen seeds 2 points of IoU better;
`PublishedOccupancySettings` differs in nothing.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.errors import ResectError
from resect.geometry.mesh import Mesh
from resect.nn.backbone.weights import load_weights
from resect.shape.isosurface import evaluate, marching_cubes
from resect.shape.look import look, mirrored
from resect.shape.network import OccupancyNetwork, make_network
from resect.shape.settings import OccupancySettings
from resect.types import Photo

KIND = "occupancy"
_MOST_POINTS = 1 << 14  # in one pass: what stays in the cache of a CPU
_MOST_POINTS_GPU = 100_000  # published


class Occupancy:
    """A trained occupancy network.

    Attributes:
        settings: how it was built.
        network: in evaluation mode, on the settings' device.
        categories: of the shapes it has learned.
        parents: name → digest of what it was made from.
    """

    def __init__(
        self, network: OccupancyNetwork, settings: OccupancySettings, categories: tuple[str, ...] = ()
    ) -> None:
        self.settings, self.categories = settings, categories
        self.network = network.to(settings.device).eval().requires_grad_(False)

    @property
    def level(self) -> float:
        """The threshold as a logit."""
        return math.log(self.settings.threshold / (1 - self.settings.threshold))

    def encode(self, photo: Photo) -> Float[Tensor, "k c"]:
        """The code of the object in a photo; see `look` for what tells the object from its background.

        Where the network has learned mirrored pictures, a second row is the code of this one mirrored.
        """
        self._takes("image")
        image = look(photo, self.settings)[None].to(self.settings.device)
        seen = torch.cat([image, image.flip(-1)]) if self.settings.mirror else image
        with torch.no_grad():
            return self.network.encoder(seen)

    def encode_points(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "1 c"]:
        """The code of the object with these points on its surface, in its own frame."""
        self._takes("points")
        if len(points) == 0 or not bool(points.isfinite().all()):
            raise ResectError("points", "finite points on a surface", f"{len(points)}, or not finite")
        with torch.no_grad():
            return self.network.encoder(points[None].float().to(self.settings.device))

    def occupancy(self, points: Float[Tensor, "n 3"], code: Float[Tensor, "k c"]) -> Float[Tensor, "n"]:
        """Logits of points being inside the shape of a code; `level` is the surface. Differentiable in both.

        Of a code with a second row, of the mirrored picture, they are the mean of what both say. The network itself
        computes in float32, on its device; logits are where the points are.
        """
        if len(points) == 0:
            return points.sum(-1)
        code = code.to(self.settings.device, torch.float32)
        most = _MOST_POINTS if code.device.type == "cpu" else _MOST_POINTS_GPU
        return torch.cat([self._logits(part, code) for part in points.to(code).split(most)]).to(points.device)

    def _logits(self, points: Float[Tensor, "n 3"], code: Float[Tensor, "k c"]) -> Float[Tensor, "n"]:
        asked = (points, mirrored(points))[: len(code)]
        found = [self.network.decoder(p[None], c[None])[0] for p, c in zip(asked, code, strict=True)]
        return torch.stack(found).mean(0)

    def mesh(
        self,
        photo: Photo | None = None,
        *,
        code: Float[Tensor, "k c"] | None = None,
        cells: int = 32,
        halvings: int = 1,
        refine_steps: int = 0,
        generator: torch.Generator | None = None,
    ) -> Mesh:
        """The surface, in the object's frame.

        Args:
            photo: what to reconstruct, or
            code: its code.
            cells: of the coarse grid; published 32.
            halvings: of cells that the surface crosses; the published 2 give 128 cells a side.
            refine_steps: steps that move the vertices onto the level set; published 30. 0 leaves them.
            generator: of the refinement's random points.

        Raises:
            ResectError: the photo shows nothing, or the network sees nothing inside.
        """
        if (photo is None) == (code is None):
            raise ResectError("Occupancy.mesh", "a photo or a code", "both or neither")
        found = self.encode(photo) if photo is not None else code
        assert found is not None
        with torch.no_grad():
            field = evaluate(lambda p: self.occupancy(p, found), self.level, cells=cells, halvings=halvings)
        mesh = marching_cubes(field, self.level)
        if refine_steps:
            from resect.shape.refinement import refine

            mesh = refine(mesh, lambda p: self.occupancy(p, found), self.settings.threshold, refine_steps, generator)
        return mesh

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        extra = {"categories": list(self.categories)}
        artifact.save(folder, KIND, self.settings, dict(self.network.state_dict()), extra=extra)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(OccupancySettings, found.settings, where)
        settings = replace(settings, device=device, pretrained="")
        categories = found.extra.get("categories")
        if not isinstance(categories, list) or not all(isinstance(c, str) for c in categories):
            raise ResectError(f"{where}: categories", "a list of names", repr(categories), "Fit it again.")
        network = make_network(settings, 0)
        load_weights(network, found.tensors, folder)
        return cls(network, settings, tuple(categories))

    def _takes(self, kind: str) -> None:
        if self.settings.input != kind:
            fix = "Use encode for pictures and encode_points for points."
            raise ResectError("occupancy network", f"one whose input is {self.settings.input}", kind, fix)
