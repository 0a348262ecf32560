"""Shape and pose of one photo, fitted together: code of an implicit shape and camera move until the outlines meet.

A code read off a picture knows nothing of where the outline really lies, and a pose fitted to the wrong shape makes up
for it. Along the ray of each pixel the point that is most inside decides whether the pixel is covered; only there does
the photo pull, at the code and the pose at once (the idea of silhouette fitting of implicit shapes, as in Liu et al.,
"DIST", CVPR 2020). The code is held near where it began: one outline says little of a shape.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.mask import box_of
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.types import Photo

_MARGIN = 0.15  # around the mask, part of its longer side
_CHUNK = 1 << 15
_FLAT = 0.1  # of the median: a slope that counts as none


@dataclass(frozen=True)
class JointSettings:
    """How far, and how.

    Attributes:
        side: pixels of the longer side of what is compared.
        samples: along each ray, within the sphere of `radius`.
        steps: of Adam.
        rate: its step in the code, part of the code's root mean square.
        turn_rate: the same of the pose: radians, and parts of the object's radius.
        soft: width of the outline at the first and the last step, pitches of the rays.
        hold: weight of the mean squared change of the code over its mean square, against the mean cross-entropy.
        radius: about the origin, of the object's own frame, that holds every shape.
    """

    side: int = 48
    samples: int = 48
    steps: int = 60
    rate: float = 0.03
    turn_rate: float = 0.01
    soft: tuple[float, float] = (4.0, 0.7)
    hold: float = 0.02
    radius: float = 0.87


@dataclass(frozen=True, eq=False)
class Joint:
    """What came of it.

    Attributes:
        code: of the shape.
        cam_from_object: its pose.
        overlap: intersection over union of outline and mask.
        overlap_before: the same where it began.
    """

    code: Float[Tensor, "k c"]
    cam_from_object: SE3
    overlap: float
    overlap_before: float


def fit_jointly(
    logit: Callable[[Float[Tensor, "n 3"], Float[Tensor, "k c"]], Float[Tensor, "n"]],
    code: Float[Tensor, "k c"],
    cam_from_object: SE3,
    photo: Photo,
    settings: JointSettings | None = None,
) -> Joint:
    """Code and pose whose outline overlaps most with the photo's mask; the beginning where nothing overlaps more.

    Args:
        logit: of points (object's frame) being inside the shape of a code, 0 on the surface; differentiable in both.
        code: where the shape begins.
        cam_from_object: where the pose begins.
        photo: with a known camera and a target's mask, or transparency.
        settings: sizes and steps.

    Raises:
        ResectError: no mask, or an empty one.
    """
    s = settings or JointSettings()
    seen = _Outline.of(logit, photo, s)
    scale = code.square().mean().sqrt().clamp_min(1e-6)
    change = torch.zeros_like(code, requires_grad=True)
    delta = torch.zeros(6, dtype=code.dtype, requires_grad=True)
    adam = torch.optim.Adam([{"params": [change], "lr": s.rate}, {"params": [delta], "lr": s.turn_rate}])
    pose = SE3(cam_from_object.R.to(code), cam_from_object.t.to(code))
    kept: Joint | None = None
    for k in range(s.steps + 1):
        now, at = code + scale * change, _moved(pose, delta, s.radius)
        nearest = seen.most_inside(now, at)
        overlap = seen.overlap(nearest)
        if kept is None:
            kept = Joint(code, pose, overlap, overlap)
        elif overlap > kept.overlap:
            kept = replace(kept, code=now.detach(), cam_from_object=_detached(at), overlap=overlap)
        if k < s.steps:
            soft = s.soft[0] * (s.soft[1] / s.soft[0]) ** (k / max(1, s.steps - 1))
            loss = seen.loss(now, at, nearest, soft) + s.hold * change.square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    assert kept is not None
    return kept


@dataclass(frozen=True, eq=False)
class _Nearest:
    """The point of each ray that is most inside.

    Attributes:
        logit: there.
        depth: how far away it is.
    """

    logit: Float[Tensor, "n"]
    depth: Float[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class _Outline:
    """A mask, and the rays that a shape is looked at along."""

    logit: Callable[[Tensor, Tensor], Tensor]
    rays: Float[Tensor, "n 3"]
    mask: Bool[Tensor, "n"]
    pitch_rad: float
    samples: int
    radius: float

    @classmethod
    def of(cls, logit: Callable[[Tensor, Tensor], Tensor], photo: Photo, s: JointSettings) -> "_Outline":
        mask = photo.target.mask if photo.target is not None else None
        if mask is None and photo.alpha is not None:
            mask = photo.alpha > 0.5
        if mask is None or not bool(mask.any()):
            raise ResectError(photo.name, "a photo whose object is cut out", "no mask, or an empty one")
        left, top, right, bottom = (int(x) for x in box_of(mask))
        more = math.ceil(_MARGIN * max(right - left, bottom - top))
        pitch = max(1.0, (max(right - left, bottom - top) + 2 * more) / s.side)
        x = torch.arange(left - more, right + more, pitch) + pitch / 2
        y = torch.arange(top - more, bottom + more, pitch) + pitch / 2
        pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
        column, row = pixels.floor().long().unbind(-1)
        height, width = mask.shape
        within = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        pixels, column, row = pixels[within], column[within], row[within]
        camera = photo.known_camera()
        return cls(logit, camera.rays(pixels), mask[row, column], pitch * camera.pixel_rad, s.samples, s.radius)

    def loss(self, code: Float[Tensor, "k c"], pose: SE3, nearest: _Nearest, soft: float) -> Float[Tensor, ""]:
        """Mean cross-entropy of the distance to the outline, `soft` pitches of the rays wide.

        What is most inside along a ray, over how fast that changes from ray to ray, is that distance: logits of a
        network are steep in one place and flat in another, and would pull the outline in or out.
        """
        depth = nearest.depth
        points = self._points(pose, depth[:, None])[:, 0]
        inside = self.logit(points, code)
        (slope,) = torch.autograd.grad(inside.sum(), points, retain_graph=True)
        step = slope.norm(dim=-1) * depth * self.pitch_rad
        distance = inside / (soft * step.maximum(_FLAT * step.median()).clamp_min(1e-9))
        return torch.nn.functional.binary_cross_entropy_with_logits(distance, self.mask.to(inside))

    def overlap(self, nearest: _Nearest) -> float:
        """Intersection over union of outline and mask."""
        covered = nearest.logit > 0
        return float((covered & self.mask).sum() / (covered | self.mask).sum().clamp_min(1))

    @torch.no_grad()
    def most_inside(self, code: Float[Tensor, "k c"], pose: SE3) -> _Nearest:
        """Where along each ray the logit is greatest."""
        away = pose.t.norm()
        along = torch.linspace(-self.radius, self.radius, self.samples).to(pose.t)
        depth = (away + along).clamp_min(1e-3).expand(len(self.rays), -1)
        points = self._points(pose, depth)
        flat = points.reshape(-1, 3)
        found = torch.cat([self.logit(part, code) for part in flat.split(_CHUNK)]).reshape(points.shape[:2])
        outside = points.norm(dim=-1) > self.radius
        best, index = torch.where(outside, -20.0, found).max(1)
        return _Nearest(best, depth.gather(1, index[:, None])[:, 0])

    def _points(self, pose: SE3, depth: Float[Tensor, "n k"]) -> Float[Tensor, "n k 3"]:
        """Along the rays, in the object's frame."""
        return (self.rays.to(pose.t)[:, None] * depth[..., None] - pose.t) @ pose.R


def _detached(pose: SE3) -> SE3:
    return SE3(pose.R.detach(), pose.t.detach())


def _moved(pose: SE3, delta: Float[Tensor, "6"], radius: float) -> SE3:
    """Turned about the object's origin and shifted, in parts of its radius."""
    turned = SE3.exp(torch.cat([torch.zeros_like(delta[:3]), delta[3:]])).R @ pose.R
    return SE3(turned, pose.t + radius * delta[:3])
