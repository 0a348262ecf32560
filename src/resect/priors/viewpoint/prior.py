"""Render for CNN: azimuth, elevation and tilt of an object from its crop, as weighted poses.

Su, Qi, Li, Guibas, "Render for CNN: viewpoint estimation in images using CNNs trained with rendered 3D model views",
ICCV 2015. Each angle is classified into bins of a circle, apart for each category. Poses are the peaks of azimuth with
the best elevation and tilt, as published. What differs: a pose weighs what its peak's bins hold, in place of a raw
score; rotations come with a spread; where the object's points and its box are known, the pose is laid into the box.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.errors import ResectError, unknown_name
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.priors.lay import lay
from resect.priors.upright import viewpoint_rotation
from resect.priors.viewpoint.bins import Peaks, peaks
from resect.priors.viewpoint.network import ViewpointNetwork, crop, make_network, shows_nothing
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.priors.views import hull_points
from resect.types import Hypotheses, Photo

KIND = "viewpoint"
_LEAST_SPREAD_DEG = 0.5
_MOST_CATEGORIES = 10_000


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A trained viewpoint network.

    Attributes:
        network: in evaluation mode, on the settings' device.
        settings: how it was built.
        categories: that it knows, in the order of its slices.
        distance: of the camera from the object's origin, where nothing tells it: the mean of the training images.
        points: of the hull of the object that is asked for, in its frame (y up, +x front); `None` is any of a category.
    """

    network: ViewpointNetwork
    settings: ViewpointSettings
    categories: tuple[str, ...]
    distance: float
    points: Float[Tensor, "n 3"] | None = None

    def of(self, mesh: Mesh) -> Self:
        """The same for one object whose mesh is known, so that poses can be laid into boxes."""
        return replace(self, points=hull_points(mesh.vertices).double())

    def probabilities(self, photo: Photo) -> Float[Tensor, "3 k"]:
        """Of the bins of azimuth (counter-clockwise), elevation and tilt, for the category of the photo's target.

        Raises:
            ResectError: the network knows several categories, and the target is of none of them.
        """
        seen = crop(photo, self.settings.side)[None].to(self.settings.device)
        with torch.no_grad():
            scores = self.network(seen)[0, :, self._category(photo)]
        return scores.double().softmax(-1).cpu()

    def peaks(self, photo: Photo) -> tuple[Peaks, Peaks, Peaks]:
        """All peaks of azimuth, and the best one of elevation and of tilt."""
        s = self.settings
        azimuth, elevation, tilt = self.probabilities(photo)
        bands = (s.azimuth_band_deg, s.other_band_deg) if s.between else (0.0, 0.0)
        best = (peaks(p, 1, s.apart_deg, bands[1]) for p in (elevation, tilt))
        return peaks(azimuth, s.windows, s.apart_deg, bands[0]), next(best), next(best)

    def viewpoint(self, photo: Photo) -> tuple[Float[Tensor, "3"], float]:
        """The best azimuth, elevation and tilt in radians, and the probability of that azimuth's peak."""
        azimuth, elevation, tilt = self.peaks(photo)
        return torch.stack([azimuth.angle[0], elevation.angle[0], tilt.angle[0]]), float(azimuth.mass[0])

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """At most `count` poses, best first; none where the crop shows nothing.

        Where the object is not known, or the photo has neither box nor mask, the camera looks at the object's origin
        from the mean distance of the training images, as published; rows of zero information say that this is no
        knowledge.
        """
        if count < 1 or shows_nothing(crop(photo, self.settings.side)):
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        azimuth, elevation, tilt = (Peaks(p.angle[:count], p.mass[:count], p.spread[:count]) for p in self.peaks(photo))
        n = len(azimuth.angle)
        angles = torch.stack([azimuth.angle, elevation.angle.expand(n), tilt.angle.expand(n)], -1)
        spreads = torch.stack([azimuth.spread, elevation.spread.expand(n), tilt.spread.expand(n)], -1)
        rotation = viewpoint_rotation(angles)
        covariance = rotation_covariance(rotation, angles, spreads)
        away = torch.tensor([0.0, 0.0, self.distance], dtype=torch.float64)
        weight = azimuth.mass.clamp_min(1e-30).log()
        return lay(rotation, weight, covariance, photo, source=KIND, points=self.points, away=away)

    def _category(self, photo: Photo) -> int:
        if len(self.categories) == 1:
            return 0
        name = "" if photo.target is None else photo.target.category or photo.target.object_id
        if name not in self.categories:
            raise unknown_name("category", name, self.categories)
        return self.categories.index(name)

    def save(self, folder: Path) -> None:
        """Writes the artefact; the object's points are not part of it."""
        extra = {"categories": list(self.categories), "distance": self.distance}
        artifact.save(folder, KIND, self.settings, dict(self.network.state_dict()), extra=extra)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(ViewpointSettings, found.settings, where)
        settings = replace(settings, device=device, pretrained="")
        names, distance = found.extra.get("categories"), found.extra.get("distance")
        few = isinstance(names, list) and 0 < len(names) <= _MOST_CATEGORIES
        if not isinstance(names, list) or not few or not all(isinstance(n, str) for n in names):
            raise ResectError(f"{where}: categories", "a list of names", repr(names)[:80], "Fit it again.")
        if not isinstance(distance, float) or not 0 < distance < float("inf"):
            raise ResectError(f"{where}: distance", "a number above 0", repr(distance)[:80], "Fit it again.")
        network = make_network(settings, len(names), 0)
        load_weights(network, found.tensors, folder)
        return cls(ready(network, settings), settings, tuple(names), distance)


def ready(network: ViewpointNetwork, settings: ViewpointSettings) -> ViewpointNetwork:
    """For answering: on its device, in evaluation mode, without gradients."""
    return network.to(settings.device).eval().requires_grad_(False)


def rotation_covariance(
    rotation: Float[Tensor, "h 3 3"], viewpoint: Float[Tensor, "h 3"], spread: Float[Tensor, "h 3"]
) -> Float[Tensor, "h 3 3"]:
    """Of ω in exp(ω) R, R = `viewpoint_rotation(viewpoint)`, from independent spreads of the three angles.

    A camera that goes around counter-clockwise sees the object turn clockwise about its own y axis; one that rises
    sees it turn about the x axis that the camera had before it was tilted; tilt turns about the optical axis.
    """
    around = -rotation[:, :, 1]
    zero, tilt = torch.zeros_like(viewpoint[:, 2]), viewpoint[:, 2]
    rise = torch.stack([tilt.cos(), -tilt.sin(), zero], -1)
    roll = torch.stack([zero, zero, zero - 1], -1)
    turns = torch.stack([around, rise, roll], -1) * spread[:, None, :]
    least = torch.deg2rad(torch.tensor(_LEAST_SPREAD_DEG, dtype=turns.dtype)).square()
    return turns @ turns.mT + least * torch.eye(3, dtype=turns.dtype, device=turns.device)
