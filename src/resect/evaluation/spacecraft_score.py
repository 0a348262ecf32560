"""Poses of one object in its photos, judged as those of spacecraft are: relative position error plus rotation error.

The score is the mean over all images of both together (`metrics/spacecraft`); an image without an answer leaves none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.evaluation.pose_file import PoseList, read_poses, status_facts
from resect.evaluation.reference import match_names
from resect.geometry.se3 import SE3
from resect.metrics.pose import median
from resect.metrics.spacecraft import SpacecraftScores, spacecraft_scores


@dataclass(frozen=True, eq=False)
class SpacecraftScore:
    """What poses are worth.

    Attributes:
        names: of the images.
        position: distance from the true position, part of the object's distance; infinite without an answer.
        orientation: angle in radians; likewise.
    """

    names: tuple[str, ...]
    position: Float[Tensor, "n"]
    orientation: Float[Tensor, "n"]

    @classmethod
    def of(cls, names: Sequence[str], scores: SpacecraftScores) -> "SpacecraftScore":
        """Of images that all have an answer."""
        return cls(tuple(names), scores.position, scores.orientation)

    @property
    def failed(self) -> int:
        """How many images have no answer."""
        return int(self.position.isinf().sum())

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints; infinite figures are `null`."""
        figures = {
            "spacecraft_score": float((self.position + self.orientation).mean()),
            "position_score": float(self.position.mean()),
            "orientation_score": float(self.orientation.mean()),
            "median_position_error": median(self.position),
            "median_rotation_deg": math.degrees(median(self.orientation)),
        }
        told = {key: value if math.isfinite(value) else None for key, value in figures.items()}
        return {"images": len(self.names), "failed": self.failed, **told}

    def text(self) -> str:
        """The score in two lines."""
        f = {k: "none" if v is None else v if isinstance(v, int) else f"{v:.4f}" for k, v in self.as_json().items()}
        whole = f"score {f['spacecraft_score']} = position {f['position_score']} (part of the distance)"
        middle = f"median {f['median_position_error']} and {f['median_rotation_deg']}°; small errors count as none"
        lost = (
            f"; {self.failed} of {len(self.names)} images have no answer, so there is no score" if self.failed else ""
        )
        return f"{whole} + orientation {f['orientation_score']} (rad)\n{middle}{lost}"


def score_spacecraft(answers: PoseList | Path, truth: RotationSet) -> SpacecraftScore:
    """Judges a pose file, or a list `file qw qx qy qz tx ty tz`, of `cam_from_obj` poses.

    Args:
        answers: the file; of several modes of an image the best one counts.
        truth: images with positions, in the unit of the answers.

    Raises:
        ResectError: labels without positions, or none of their images among the answers.
    """
    given = answers if isinstance(answers, PoseList) else read_poses(answers)
    if truth.translation is None:
        fix = "Score the rotations alone: resect score NETWORK DATA."
        raise ResectError(truth.format, "labels with positions", "rotations alone", fix)
    partner = match_names([row.photo for row in given.rows], truth.names)
    best = {
        partner[photo]: rows[0].cam_from_world
        for (photo, _), rows in given.groups().items()
        if photo in partner and status_facts(rows[0].status)[0]
    }
    if not partner:
        got, fix = repr(given.rows[0].photo) if given.rows else "no answers", "Name the same part with --split."
        raise ResectError("answers", f"images of the truth, such as '{truth.names[0]}'", got, fix)
    found = [(i, pose) for i, name in enumerate(truth.names) if (pose := best.get(name)) is not None]
    position = torch.full((len(truth),), math.inf, dtype=torch.float64)
    orientation = position.clone()
    if found:
        rows = [i for i, _ in found]
        true = SE3(truth.rotation[rows], truth.translation[rows])
        scores = spacecraft_scores(SE3.stack([pose for _, pose in found]), true)
        position[rows], orientation[rows] = scores.position, scores.orientation
    return SpacecraftScore(truth.names, position, orientation)
