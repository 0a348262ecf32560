"""Guess → invert → judge, for one photo at a time: what a server or a robot keeps warm."""

import math
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.protocols import Prior, Refiner, Scene
from resect.types import Cost, Estimate, Hypotheses, Photo, Status

_ASPECT_TOLERANCE = 0.01  # as for the scene's camera in data.photo


@dataclass(frozen=True, eq=False)
class Localizer:
    """Finds where a photo was taken from.

    Attributes:
        scene: what can render; `None` takes the prior's answer as it is.
        prior: one guess, or several in the order they are tried: the next is asked when the answer that came of the
            one before was a failure. `None` needs a start for each photo.
        refiner: inverts the scene; needed with a scene.
        camera: of the scene's training photos; stands in for a photo's unknown camera where the upright shape agrees.
        count: hypotheses to ask a prior for.
        seed: with the photo's name it fixes all randomness, so the order of photos does not matter.
    """

    scene: Scene | None = None
    prior: Prior | Sequence[Prior] | None = None
    refiner: Refiner | None = None
    camera: Camera | None = None
    count: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scene is not None and self.refiner is None:
            raise ResectError("Localizer", "a refiner for the scene", "none", "Pass refiner=resect.Inversion().")
        if self.scene is None and self.prior is None:
            raise ResectError("Localizer", "a scene, a prior or both", "neither")

    @property
    def priors(self) -> tuple[Prior, ...]:
        """The guesses in the order they are tried."""
        if self.prior is None:
            return ()
        return tuple(self.prior) if isinstance(self.prior, Sequence) else (self.prior,)

    def estimate(self, photo: Photo, start: Hypotheses | None = None) -> Estimate:
        """The pose of one photo; never an exception for a photo that does not fit.

        Args:
            photo: the photo; where its camera is unknown the scene's own stands in if the shape of the picture agrees,
                else one that a prior finds.
            start: guesses to refine in place of the prior's.
        """
        photo = self._with_scene_camera(photo)
        failure, cost = Estimate(Status.NO_HYPOTHESIS, camera_source=photo.camera_source), Cost()
        for hypotheses, guessing in self._guesses(photo, start):
            cost = cost + guessing
            if len(hypotheses) == 0:
                continue
            if photo.camera is None and hypotheses.camera is None:
                # The next prior may be one that finds the camera; an answer of an earlier one says more than this.
                if failure.status is Status.NO_HYPOTHESIS:
                    failure = replace(failure, status=Status.NO_CAMERA)
                continue
            placed = knows_translation(hypotheses)
            if not bool(placed.any()):
                if failure.status in (Status.NO_HYPOTHESIS, Status.NO_CAMERA):
                    failure = replace(failure, status=Status.NO_TRANSLATION)
                continue
            hypotheses = hypotheses if bool(placed.all()) else hypotheses.take(placed.nonzero()[:, 0])
            seen = photo
            if photo.camera is None:
                seen = replace(photo, camera=hypotheses.camera, camera_source="prior")
            if photo.target is None and hypotheses.target is not None:
                seen = replace(seen, target=hypotheses.target)  # the prior says where to look
            answer = self._invert(seen, hypotheses)
            cost = cost + answer.cost
            if answer.ok:
                return replace(answer, cost=cost)
            failure = answer
        return replace(failure, cost=cost)

    def _guesses(self, photo: Photo, start: Hypotheses | None) -> Iterator[tuple[Hypotheses, Cost]]:
        if start is not None:
            yield start, Cost()
            return
        priors = self.priors
        if not priors:
            raise ResectError("Localizer", "a prior or a start", "neither", "Pass prior=… or estimate(photo, start=…).")
        generator = torch.Generator().manual_seed(self.seed + zlib.crc32(photo.name.encode()))
        for prior in priors:
            began = time.perf_counter()
            guess = prior.propose(photo, self.count, generator)
            yield guess, Cost(ms=(("prior", 1000 * (time.perf_counter() - began)),))

    def _with_scene_camera(self, photo: Photo) -> Photo:
        height, width = photo.image.shape[:2]
        mine = self.camera
        if photo.camera is not None or mine is None:
            return photo
        if abs(math.log(mine.width * height / (mine.height * width))) > _ASPECT_TOLERANCE:
            return photo
        return replace(photo, camera=mine.rescale(width, height), camera_source="scene")

    def _invert(self, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        if self.scene is not None and self.refiner is not None:
            answer = self.refiner.refine(self.scene, photo, hypotheses)
            return replace(answer, camera=answer.camera or photo.camera, camera_source=photo.camera_source)
        finite = hypotheses.cam_from_world.finite
        if not bool(finite.any()):
            return Estimate(Status.NON_FINITE, camera=photo.camera, camera_source=photo.camera_source)
        modes = hypotheses.take(finite.nonzero()[:, 0]).best(len(hypotheses))
        modes = replace(modes, log_weight=modes.log_weight.log_softmax(0))
        return Estimate(Status.OK, modes, camera=photo.camera, camera_source=photo.camera_source)


def knows_translation(hypotheses: Hypotheses) -> Bool[Tensor, "h"]:
    """Which hypotheses are whole poses; one that knows its rotation and says that it knows no shift is none."""
    if hypotheses.information is None:
        return torch.ones(len(hypotheses), dtype=torch.bool)
    known = hypotheses.information.diagonal(dim1=1, dim2=2) > 0
    return known[:, :3].any(1) | ~known[:, 3:].any(1)
