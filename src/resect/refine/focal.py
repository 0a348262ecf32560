"""The focal length along with the pose, for photos whose camera is only guessed.

A render with a wrong focal length still shows true points of the scene; matched to the photo they are points with
pixels, and pose and focal length follow from the reprojection alone, far outside the reach of colour gradients.
"""

import math
from dataclasses import replace

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.lock import Lock
from resect.refine.matching import Matched, match_and_solve
from resect.refine.recipe import Work
from resect.refine.robust import Robust
from resect.refine.rows import landmarks

_ROUNDS = 3
_WIDE = 3.0  # how much more reprojection error is let through while the focal length is wrong


def solve_focal(work: Work, start: SE3, sigma: float, lock: Lock | None = None) -> tuple[SE3, float]:
    """One pose and the logarithm of the factor of the focal length.

    Args:
        work: the photo in hand, with the guessed camera; its scene renders depth.
        start: one pose, with a batch dimension of one.
        sigma: standard deviation of that logarithm.
        lock: what the pose keeps, a batch of one.
    """
    s, pose, log_focal = work.settings, start, 0.0
    with work.meter.stage("focal"):
        for turn in range(_ROUNDS):
            at = work.refocused(math.exp(log_focal)).view(s.match_side)
            loose = replace(s.match, inlier_px=s.match.inlier_px * (_WIDE if turn == 0 else 1.0))
            found = match_and_solve(at, pose[0], loose, lock)
            if found.cam_from_world is None:
                break
            pose, change = _resect(at.camera, found, pose, sigma, lock)
            log_focal += change
    return pose, log_focal


def _resect(camera: Camera, found: Matched, start: SE3, sigma: float, lock: Lock | None) -> tuple[SE3, float]:
    """The logarithm of the focal length at which the best pose fits the matches best, and that pose."""
    from scipy.optimize import minimize_scalar

    best: dict[float, SE3] = {}

    def misfit(log_focal: float) -> float:
        longer = camera.with_focal_scale(math.exp(log_focal))
        term = landmarks(found.points, found.pixels, longer, 1.0, Robust("cauchy", 1.0))
        begin = found.cam_from_world
        assert begin is not None
        steps = LMSettings(steps=12, damping=1e-6, stop=1e-7)
        end = levenberg_marquardt(term, begin.double()[None], steps, lock=lock)
        best[log_focal] = end.cam_from_world
        return float(end.loss[0]) + 0.5 * (log_focal / sigma) ** 2

    reach = 3 * sigma
    answer = float(minimize_scalar(misfit, bounds=(-reach, reach), method="bounded", options={"xatol": 2e-4}).x)
    pose = best[answer]
    return SE3(pose.R.to(start.R), pose.t.to(start.t)), answer
