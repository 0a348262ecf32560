"""iNeRF as a refiner: Adam on random pixels from the best start, every step kept, and never an answer worse than it.

Reference: Yen-Chen et al., "iNeRF: Inverting Neural Radiance Fields for Pose Estimation", IROS 2021. What differs from
its ports: the pose is always a rotation and a translation; the gradient does not vanish at the start; nothing is noisy;
the answer is compared with the start on pixels that no step has looked at more often than others, and is given out
only where its render agrees with the photo.
"""

from dataclasses import dataclass, field, replace

import torch

from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.agreement import agreement
from resect.refine.first_order import FirstOrderSettings, adam
from resect.refine.judge import ErrorModel, status_of
from resect.refine.recipe import RefineSettings, Work, has_contrast
from resect.refine.view import View
from resect.types import Estimate, Hypotheses, Photo, Status, Step

_JUDGED = 2048  # pixels that start and end are compared on


@dataclass(frozen=True)
class Inerf:
    """iNeRF.

    Attributes:
        settings: its steps.
        side: pixels of the photo's longer side; it is never enlarged.
        starts: so many of the hypotheses are followed, the best ones, and the best end is the answer.
        length: world units that count as much as one radian; 1 as published.
        seed: of the pixels.
        errors: how exact the scene is, by which an answer is judged; typical where not given.
    """

    settings: FirstOrderSettings = field(default_factory=FirstOrderSettings)
    side: int = 400
    starts: int = 1
    length: float = 1.0
    seed: int = 0
    errors: ErrorModel | None = None

    @torch.no_grad()
    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The pose after the last step, or the start where it is no better; the trace holds every step."""
        known = {"camera": photo.camera, "camera_source": photo.camera_source}
        finite = hypotheses.cam_from_world.finite
        if not bool(finite.any()):
            status = Status.NON_FINITE if len(hypotheses) else Status.NO_HYPOTHESIS
            return Estimate(status, **known)  # type: ignore[arg-type]
        best = hypotheses.take(finite.nonzero()[:, 0]).best(self.starts)
        work = Work(scene, photo, replace(RefineSettings(), bench_side=self.side))
        if not has_contrast(work):
            return Estimate(Status.NO_AGREEMENT, cost=work.meter.cost, **known)  # type: ignore[arg-type]
        start, trace = best.cam_from_world.float(), list[Step]()
        at = work.view(self.side, sharp=True)
        with work.meter.stage("steps"):
            end = adam(
                at, start, self.settings, length=self.length, seed=self.seed,
                report=lambda k, pose, loss: trace.append(Step(f"step {k}", pose, loss)),
            )  # fmt: skip
        with work.meter.stage("judge"):
            before, after = self._losses(at, start), self._losses(at, end)
            improved = bool(after.min() <= before.min())
            end, after = (end, after) if improved else (start, before)
            order = after.argsort()
            agree = agreement(work.view(work.settings.match_side), end[order[:1]]).detail
        modes = replace(best.take(order), cam_from_world=end[order], information=None)
        modes = replace(modes, log_weight=torch.full((len(order),), -torch.inf).index_fill(0, torch.tensor([0]), 0.0))
        sound = bool(end.t.isfinite().all())
        status = status_of(
            finite=sound,
            agreement=float(agree[0]),
            model=self.errors or ErrorModel(),
            improved=improved,
            second_mass=0.0,
        )
        loss = float(after[order[0]]), float(before.min())
        found = modes if sound else None
        return Estimate(status, found, tuple(trace), work.meter.cost, loss=loss, **known)  # type: ignore[arg-type]

    def _losses(self, view: View, pose: SE3) -> torch.Tensor:
        """Mean squared colour error on the same pixels for all poses."""
        usable = (view.weight > 0.5).nonzero()[:, 0]
        generator = torch.Generator().manual_seed(self.seed + 1)
        index = usable[torch.randperm(len(usable), generator=generator)[:_JUDGED]].sort().values
        return (view.shown(pose, index) - view.observed[None, index]).square().mean((1, 2))
