"""Single methods as refiners, for comparison: no search, no judge. Their answers carry no covariance and always say OK.

`Inversion` is made of the first two and adds what makes an answer one to rely on.
"""

from dataclasses import dataclass, replace
from typing import Literal, assert_never

import torch

from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine import first_order
from resect.refine.halving import SearchSettings, settle
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.matching import MatchSettings, match_and_solve
from resect.refine.objectives import Difference
from resect.refine.recipe import RefineSettings, Work
from resect.refine.robust import Robust
from resect.refine.rows import DrawPixels, photometric
from resect.types import Estimate, Hypotheses, Photo, Status

Method = Literal["lm", "flow-pnp", "adam"]


@dataclass(frozen=True)
class Alone:
    """One method from the best start.

    Attributes:
        method: "lm" is Levenberg–Marquardt on colours, Cauchy 0.1: it settles under blur at 30 pixels as the default
            refiner does, then takes 512 fresh random pixels of the 120-pixel photo a step; "flow-pnp" renders at 120
            pixels, follows the optical flow to the photo and solves PnP; "adam" is iNeRF's way
            (`first_order.FirstOrderSettings`) on the 240-pixel photo.
        steps: at most so many; 0 takes 20, 3 and 300.
        length: world units that count as much as one radian; the scene's scale does well.
        seed: of the pixels.
    """

    method: Method
    steps: int = 0
    length: float = 1.0
    seed: int = 0

    @torch.no_grad()
    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The pose that the method ends at."""
        if not len(hypotheses):
            return Estimate(Status.NO_HYPOTHESIS, camera=photo.camera, camera_source=photo.camera_source)
        best = hypotheses.take([int(hypotheses.log_weight.argmax())])
        work = Work(scene, photo, RefineSettings())
        start = best.cam_from_world
        match self.method:
            case "lm":
                found = self._lm(work, start)
            case "flow-pnp":
                found = self._flow_pnp(work, start)
            case "adam":
                settings = first_order.FirstOrderSettings(steps=self.steps or 300)
                view = work.view(240, sharp=True)
                found = first_order.adam(view, start, settings, length=self.length, seed=self.seed)
            case _:
                assert_never(self.method)
        modes = replace(best, cam_from_world=found.float(), log_weight=torch.zeros(1), information=None)
        return Estimate(Status.OK, modes, cost=work.meter.cost, camera=photo.camera, camera_source=photo.camera_source)

    def _lm(self, work: Work, start: SE3) -> SE3:
        settled = settle(work.view(30), start, SearchSettings(), self.length)
        view = work.view(120)
        pixels = DrawPixels(torch.ones(len(view.observed)), 512, seed=self.seed)
        term = photometric(view, Difference(view.channel), Robust("cauchy", 0.1), draw=pixels)
        settings = LMSettings(steps=self.steps or LMSettings().steps)
        return levenberg_marquardt(term, settled, settings, length=self.length).cam_from_world

    def _flow_pnp(self, work: Work, start: SE3) -> SE3:
        pose = start[0]
        for _ in range(self.steps or 3):
            found = match_and_solve(work.view(120), pose, MatchSettings()).cam_from_world
            if found is None:
                break
            pose = found
        return pose[None]
