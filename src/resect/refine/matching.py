"""Render, match the render to the photo, lift the matches by the rendered depth, solve PnP.

Dense optical flow (DIS) both ways, or SIFT. A match is a world point from the render's depth and a pixel of the photo.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from resect.data.sift import sift_detector
from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.linearize import channel_of
from resect.refine.lock import Lock
from resect.refine.robust import Robust
from resect.refine.rows import landmarks
from resect.refine.view import View
from resect.refine.warp import smooth_depth

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class MatchSettings:
    """How to match and solve.

    Attributes:
        matcher: "flow" or "sift".
        stride: every which pixel the flow is read at.
        round_trip_px: most distance between a pixel and where the flow there and back leads.
        inlier_px: reprojection error of an inlier.
        least_inliers: fewer are no answer.
        depth_jump: relative change of depth to a neighbour beyond which a match is left out.
        ratio: SIFT's second-best ratio.
        robust_px: scale of the Cauchy loss of the final fit to all matches.
    """

    matcher: Literal["flow", "sift"] = "flow"
    stride: int = 2
    round_trip_px: float = 1.0
    inlier_px: float = 1.5
    least_inliers: int = 12
    depth_jump: float = 0.2
    ratio: float = 0.85
    robust_px: float = 0.5


@dataclass(frozen=True, eq=False)
class Matched:
    """One pose found by matching.

    Attributes:
        cam_from_world: the pose, without a batch dimension; `None` when there were too few matches.
        inliers: how many matches agreed.
        points: world points of the inliers.
        pixels: of the photo at the view's size.
    """

    cam_from_world: SE3 | None
    inliers: int
    points: Float[Tensor, "m 3"]
    pixels: Float[Tensor, "m 2"]


def match_and_solve(view: View, start: SE3, settings: MatchSettings, lock: Lock | None = None) -> Matched:
    """From one pose to a better one.

    Args:
        start: one pose, without a batch dimension.
        lock: what the pose keeps, a batch of one.
    """
    render = view.render(start[None], (view.channel, "depth"))
    shown = _bytes(channel_of(render, view.channel)[0], view.shape)
    photo = _bytes(view.observed, view.shape)
    depth = channel_of(render, "depth")[0, :, 0].unflatten(0, view.shape)
    at, to = _flow(shown, photo, settings) if settings.matcher == "flow" else _sift(shown, photo, settings)
    keep = smooth_depth(depth[None], settings.depth_jump)[0][at[:, 1].long(), at[:, 0].long()] > 0
    inside = (to >= 0).all(1) & (to[:, 0] < view.shape[1]) & (to[:, 1] < view.shape[0])
    at, to = at[keep & inside], to[keep & inside]
    shown_to = view.weight.cpu().unflatten(0, view.shape)[to[:, 1].long(), to[:, 0].long()] > 0.5
    at, to = at[shown_to].double(), to[shown_to].double()
    rays = view.camera.rays(at)
    points = rays / rays[:, 2:].clamp_min(1e-6) * depth.double()[at[:, 1].long(), at[:, 0].long(), None]
    world = start.double().inverse().apply(points)
    return solve_pnp(view, start, world, to, settings, lock)


def solve_pnp(
    view: View,
    start: SE3,
    points: Float[Tensor, "m 3"],
    pixels: Float[Tensor, "m 2"],
    settings: MatchSettings,
    lock: Lock | None = None,
) -> Matched:
    """RANSAC over minimal sets, then a robust fit to all matches from its answer, of what a lock leaves open."""
    import cv2

    nothing = Matched(None, 0, points[:0], pixels[:0])
    if len(points) < settings.least_inliers:
        return nothing
    rays = view.camera.rays(pixels)
    flat = (rays[:, :2] / rays[:, 2:].clamp_min(1e-6)).numpy()
    threshold = settings.inlier_px * view.camera.pixel_rad
    try:
        found, turn, shift, inliers = cv2.solvePnPRansac(
            points.numpy(),
            flat,
            np.eye(3),
            None,
            iterationsCount=300,
            reprojectionError=threshold,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:
        return nothing
    if not found or inliers is None or len(inliers) < settings.least_inliers:
        return nothing
    rotation, _ = cv2.Rodrigues(turn)
    rough = SE3(torch.from_numpy(rotation), torch.from_numpy(shift)[:, 0])[None]
    term = landmarks(points, pixels, view.camera, 1.0, Robust("cauchy", settings.robust_px))
    rough = rough if lock is None else lock.hold(rough)
    fine = levenberg_marquardt(term, rough, LMSettings(steps=10, damping=1e-6, stop=1e-7), lock=lock)
    answer = fine.cam_from_world[0]
    chosen = torch.from_numpy(inliers[:, 0]).long()
    return Matched(SE3(answer.R.to(start.R), answer.t.to(start.t)), len(chosen), points[chosen], pixels[chosen])


def _bytes(values: Float[Tensor, "n c"], shape: tuple[int, int]) -> Image8:
    grey = values @ torch.tensor([0.299, 0.587, 0.114]).to(values) if values.shape[1] == 3 else values.mean(1)
    image: Image8 = (grey.detach().clamp(0, 1) * 255).round().to(torch.uint8).reshape(shape).cpu().numpy()
    return np.ascontiguousarray(image)


def _flow(shown: Image8, photo: Image8, settings: MatchSettings) -> tuple[Tensor, Tensor]:
    """Pixels of the render and where they are in the photo (pixel centres at .5)."""
    import cv2

    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    forth = flow.calc(shown, photo, None)
    back = flow.calc(photo, shown, None)
    height, width = shown.shape
    y, x = np.mgrid[1 : height - 1 : settings.stride, 1 : width - 1 : settings.stride].reshape(2, -1)
    at = np.stack([x, y], -1).astype(np.float32)
    to = at + forth[y, x]
    returned = cv2.remap(back, to[:, None, 0], to[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    good = np.linalg.norm(to + returned[:, 0] - at, axis=1) < settings.round_trip_px
    return torch.from_numpy(at[good] + 0.5), torch.from_numpy(to[good] + 0.5)


def _sift(shown: Image8, photo: Image8, settings: MatchSettings) -> tuple[Tensor, Tensor]:
    import cv2

    detector = sift_detector(2000, contrast=0.01)
    (at, a), (to, b) = (detector.detectAndCompute(image, None) for image in (shown, photo))
    empty = torch.zeros(0, 2)
    if a is None or b is None or len(a) < 2 or len(b) < 2:
        return empty, empty
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, 2)
    good = [m for m, second in pairs if m.distance < settings.ratio * second.distance]
    if not good:
        return empty, empty
    points = [[at[m.queryIdx].pt for m in good], [to[m.trainIdx].pt for m in good]]
    first, second = (torch.tensor(p).reshape(-1, 2) + 0.5 for p in points)
    height, width = shown.shape
    inside = (first[:, 0] < width) & (first[:, 1] < height)
    return first[inside], second[inside]
