"""Refinement in the space of a pose regressor's latents: a step costs a small network, not a render.

The scene shows one pixel of features, in standard deviations (`scenes.pose_decoder`); the ordinary least squares find
the pose whose features are the photo's, together with what the start's information says.
"""

from dataclasses import dataclass, replace

import torch

from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.levenberg_marquardt import LMSettings, State, levenberg_marquardt, total
from resect.refine.linearize import channel_of
from resect.refine.objectives import Difference
from resect.refine.robust import Robust
from resect.refine.rows import photometric, pose_information
from resect.refine.view import Meter, View
from resect.types import Estimate, Hypotheses, Photo, Status


@dataclass(frozen=True)
class LatentRefiner:
    """Levenberg–Marquardt on features.

    Attributes:
        steps: most steps.
        forgive: standard deviations at which a feature begins to be forgiven (Cauchy).
        prior: whether the start's information holds the pose back.
        length: world units that count as much as one radian.
    """

    steps: int = 10
    forgive: float = 3.0
    prior: bool = True
    length: float = 1.0

    @torch.no_grad()
    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The poses that look most like the photo to the scene's teacher; never less than their starts."""
        source = photo.camera_source
        if not len(hypotheses):
            return Estimate(Status.NO_HYPOTHESIS, camera=photo.camera, camera_source=source)
        meter = Meter()
        with meter.stage("observe"):
            view = one_pixel(scene, photo, meter)
        start = hypotheses.cam_from_world
        with meter.stage("latent"):
            robust = Robust("cauchy", self.forgive)
            terms = [photometric(view, Difference("feature"), robust)]
            if self.prior and hypotheses.information is not None:
                terms.append(pose_information(start.double(), hypotheses.information.double()))
            system = total(terms)
            settings = LMSettings(steps=self.steps, damping=1e-3, policy="decrease", trust=0.5)
            end = levenberg_marquardt(system, start, settings, length=self.length).cam_from_world
            before, after = (system(_at(pose)).loss for pose in (start.double(), end))
        better = after < before
        loss = torch.where(better, after, before)
        if not bool(loss.isfinite().any()):
            return Estimate(Status.NON_FINITE, cost=meter.cost, camera=photo.camera, camera_source=source)
        pose = SE3(
            torch.where(better[:, None, None], end.R, start.R.double()),
            torch.where(better[:, None], end.t, start.t.double()),
        )
        order = loss.nan_to_num(torch.inf).argsort()
        found = replace(hypotheses, cam_from_world=pose, log_weight=(-loss).float()).take(order)
        found = replace(found, log_weight=found.log_weight.log_softmax(0))
        status = Status.OK if bool(better[order[0]]) else Status.NOT_IMPROVED
        losses = float(loss[order[0]]), float(before[order[0]])
        return Estimate(status, found, cost=meter.cost, camera=photo.camera, camera_source=source, loss=losses)


def one_pixel(scene: Scene, photo: Photo, meter: Meter | None = None) -> View:
    """The photo's features and the scene's, at the one pixel they have."""
    from resect.geometry.camera import Camera

    camera = Camera(0.5, 0.5, 0.5, 0.5, 1, 1)
    observed = channel_of(scene.observe(photo, camera), "feature")[0]
    return View(scene, camera, observed, torch.ones(1).to(observed), "feature", meter or Meter(), 1)


def _at(pose: SE3) -> State:
    h = len(pose)
    return State(pose, torch.zeros(h, 0, dtype=torch.float64), torch.arange(h), 0)
