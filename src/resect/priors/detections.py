"""Detections from files as a `Detector`: what a network of anyone's has found becomes photos with targets."""

from dataclasses import dataclass, replace

import torch

from resect.data.detections import Detections
from resect.data.target import with_target
from resect.geometry.se3 import SE3
from resect.types import Hypotheses, Photo


@dataclass(frozen=True, eq=False)
class GivenDetections:
    """Boxes and masks that were found elsewhere; they come without poses.

    Attributes:
        detections: of all photos; see `resect.data.detections.read_detections`.
        object_ids: only these, where given.
        least_score: only those with at least this confidence.
    """

    detections: Detections
    object_ids: tuple[str, ...] | None = None
    least_score: float = float("-inf")

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        """The `count` best detections of a photo, each with its `Target` and no hypotheses.

        Raises:
            ResectError: a mask of another size than the photo's or an empty one, or a box outside of it.
        """
        asked = [
            d
            for d in self.detections.of(photo.name)
            if d.score >= self.least_score and (self.object_ids is None or d.object_id in self.object_ids)
        ]
        instances: dict[str, int] = {}
        found = []
        for detection in asked[:count]:
            instance = instances.get(detection.object_id, 0)
            instances[detection.object_id] = instance + 1
            target = replace(detection.target(photo), instance=instance)
            none = Hypotheses(SE3.identity(0), torch.zeros(0), target=target)
            found.append((with_target(photo, target), none))
        return found
