"""The refiner for objects that are cut out of their photo: outline and colour as plain differences, pixel by pixel.

Where a mask is known there is nothing to tell apart: opacity and colour on black are compared with the photo's at
every pixel, coarse to fine, from many starts that become fewer. For scenes with "alpha" whose derivatives include the
motion of the outline (`scenes.mesh`).
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.data.mask import box_of
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.halving import Candidates, suppress
from resect.refine.judge import modes
from resect.refine.levenberg_marquardt import LMSettings, Normal, State, System, levenberg_marquardt, total
from resect.refine.linearize import channel_of, sensitivity
from resect.refine.reflected import reflected
from resect.refine.robust import Robust
from resect.refine.rows import normal_of
from resect.refine.view import Meter
from resect.types import Channel, Estimate, Hypotheses, Linearized, Photo, Status, Step


@dataclass(frozen=True)
class CutoutSettings:
    """Sizes are pixels of the longer side of what is cut out.

    Attributes:
        sides: sizes at which poses are refined, coarse to fine; photos are never enlarged.
        keep: most poses that are refined at each size.
        steps: of Levenberg–Marquardt at each size.
        color: weight of a squared colour difference against one of opacity; 0 compares outlines alone. Poses are always
            ranked by both; steps look at colour at the finest size only, where there is detail to see.
        scale: difference at which a pixel is forgiven.
        margin: around the mask, part of its longer side.
        least_overlap: intersection over union of the outlines below which the photo is said to show something else.
        apart_deg: closer poses (and closer than `apart_shift`) count as one.
        apart_shift: the same for the shift, part of the object's radius.
        ambiguous: share of the mass from which on a second pose is named.
        noise: standard deviation of a difference of opacity along the outline.
        independent: so many neighbouring pixels, whose errors go together, count as one.
    """

    sides: tuple[int, ...] = (24, 48, 96)
    keep: tuple[int, ...] = (16, 6, 2)
    steps: int = 10
    color: float = 0.3
    scale: float = 0.2
    margin: float = 0.3
    least_overlap: float = 0.6
    apart_deg: float = 5.0
    apart_shift: float = 0.1
    ambiguous: float = 0.25
    noise: float = 0.1
    independent: float = 4.0


class Matched:
    """A scene and a cut-out side by side at one size.

    Args:
        scene: with "alpha", and "rgb" on black where colour is compared.
        part: the photo around the mask.
        side: pixels of its longer side, at most its own.
    """

    def __init__(self, scene: Scene, part: Photo, side: int, settings: CutoutSettings, meter: Meter) -> None:
        self.scene, self.settings, self.meter = scene, settings, meter
        self.camera: Camera = part.known_camera().fit_within(side)
        alpha = part.alpha
        assert alpha is not None
        size = (self.camera.width, self.camera.height)
        self.alpha = resize_area(alpha, *size).reshape(1, -1, 1)
        # A cut-out lies on white; the scene on black.
        black = part.image - (1 - alpha[..., None])
        self.rgb = resize_area(black, *size).reshape(1, -1, 3)
        colored = settings.color > 0 and "rgb" in scene.channels
        self.channels: tuple[Channel, ...] = ("alpha", "rgb") if colored else ("alpha",)
        self.robust = Robust("cauchy", settings.scale)

    def observed(self, channel: Channel) -> Float[Tensor, "1 n c"]:
        """The photo's side of a channel."""
        return self.alpha if channel == "alpha" else self.rgb

    def weight(self, channel: Channel) -> float:
        """Of a squared difference: the sum over a whole mask counts the same at every size."""
        return 1.0 if channel == "alpha" else self.settings.color

    def system(self, *, outline: bool = False) -> System:
        """Normal equations of both channels, or of the outline alone."""
        pixels = self.camera.pixels()
        channels = self.channels[:1] if outline else self.channels

        def normal(state: State) -> Normal:
            terms = []
            for channel in channels:
                self._count(len(state.cam_from_world))
                seen = sensitivity(self.scene, self.camera, state.cam_from_world, pixels, channel=channel)
                residual = (seen.values - self.observed(channel)).flatten(1)
                weight = torch.full_like(residual, self.weight(channel))
                rows = Linearized(residual, seen.jacobian.flatten(1, 2), weight, seen.names)
                terms.append(normal_of(rows, self.robust))
            return terms[0] if len(terms) == 1 else terms[0] + terms[1]

        return normal

    def loss(self, poses: SE3) -> Float[Tensor, "h"]:
        """What `system` minimises."""
        self._count(len(poses))
        shown = self.scene.render(self.camera, poses, self.channels)
        found = torch.zeros(len(poses), dtype=torch.float64)
        for channel in self.channels:
            residual = channel_of(shown, channel) - self.observed(channel)
            found += self.weight(channel) * self.robust.loss(residual).flatten(1).sum(1).double().cpu()
        return found

    def overlap(self, poses: SE3) -> Float[Tensor, "h"]:
        """Intersection over union of the soft outlines."""
        shown = channel_of(self.scene.render(self.camera, poses, ("alpha",)), "alpha")
        both = torch.minimum(shown, self.alpha).sum((1, 2))
        return both / torch.maximum(shown, self.alpha).sum((1, 2)).clamp_min(1e-6)

    def _count(self, images: int) -> None:
        self.meter.rays += images * self.alpha.shape[1]
        self.meter.images += images


@dataclass(frozen=True, eq=False)
class Cutout:
    """Guess → pose, for photos with `alpha`, or with a target's mask.

    Attributes:
        settings: sizes and weights.
        known: further terms in units of σ (`refine.rows`: up, height, …) that every pose is held to.
        mirrors: normals of planes in which the object may equal its mirror image (`reflected.mirror_normals`): from the
            second size on the poses that such an object looks the same at are tried too. For outlines without colour.
    """

    settings: CutoutSettings = field(default_factory=CutoutSettings)
    known: tuple[System, ...] = ()
    mirrors: Float[Tensor, "k 3"] | None = None

    @torch.no_grad()
    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The poses that explain the cut-out best; a photo that does not fit gets a status."""
        part, meter = cut_around(photo, self.settings.margin), Meter()
        answer = Estimate(Status.NO_HYPOTHESIS)
        if len(hypotheses) and part is not None:
            answer = self._answer(scene, part, hypotheses, meter)
        return replace(answer, cost=meter.cost, camera=photo.camera, camera_source=photo.camera_source)

    def _answer(self, scene: Scene, part: Photo, hypotheses: Hypotheses, meter: Meter) -> Estimate:
        s, trace = self.settings, list[Step]()
        bounds = scene.bounds.double()
        middle, radius = bounds.mean(0), 0.5 * float((bounds[1] - bounds[0]).norm())
        poses = hypotheses.cam_from_world.float()
        found = Candidates(poses, torch.zeros(len(poses)), torch.arange(len(poses)))
        for side, keep in zip(s.sides, s.keep, strict=True):
            with meter.stage(f"settle {side}"):
                if trace and self.mirrors is not None and side == s.sides[1]:
                    found = _with_reflections(found, self.mirrors, middle)
                at = Matched(scene, part, side, s, meter)
                poses = found.cam_from_world
                distance = float((poses.R.double() @ middle + poses.t.double()).norm(dim=-1).median())
                near = s.apart_shift * radius + math.radians(s.apart_deg) * distance
                found = suppress(replace(found, score=self._score(at, poses)), keep, s.apart_deg, near)
                finest = side == s.sides[-1]
                steps = LMSettings(steps=s.steps, policy="decrease", trust=0.3, stop=3e-4 if finest else 2e-3)
                term = total([self._scaled(at, outline=not finest), *self.known])
                # Depth takes long steps where the object is far and small.
                end = levenberg_marquardt(
                    term, found.cam_from_world, steps, length=max(radius, 0.1 * distance), pivot=middle
                )
                found = replace(found, cam_from_world=end.cam_from_world)
                found = suppress(replace(found, score=self._score(at, found.cam_from_world)), keep, s.apart_deg, near)
                trace.append(found.step(f"settle {side}"))
        return replace(self._judged(at, hypotheses, found, 2 * radius), trace=tuple(trace))

    def _score(self, at: Matched, poses: SE3) -> Float[Tensor, "h"]:
        """Log likelihood of poses: of the photo, and of what else is known."""
        loss = at.loss(poses) / (self.settings.independent * self.settings.noise**2)
        if self.known:
            loss = loss + total(self.known)(_state(poses)).loss
        return -loss.float()

    def _scaled(self, at: Matched, *, outline: bool = False) -> System:
        """In units of σ, so that it weighs rightly against what else is known."""
        term, strength = at.system(outline=outline), 1 / (self.settings.independent * self.settings.noise**2)
        return lambda state: term(state).scaled(strength)

    def _judged(self, at: Matched, hypotheses: Hypotheses, found: Candidates, extent: float) -> Estimate:
        """Modes by loss, information from the same normal equations, status by overlap."""
        s, poses = self.settings, found.cam_from_world
        if not bool(poses.finite.any()):
            return Estimate(Status.NON_FINITE)
        normal = total([self._scaled(at), *self.known])(_state(poses))
        ended = hypotheses.take(found.parent)
        ended = replace(ended, cam_from_world=poses, log_weight=torch.zeros(len(poses)), information=normal.matrix)
        # The loss is half a squared sum in units of σ: its differences are log likelihood ratios.
        groups, _ = modes(ended, 2 * normal.loss, 1.0, 1.0, extent)
        overlap = float(at.overlap(groups.cam_from_world[:1])[0])
        if overlap < s.least_overlap:
            return Estimate(Status.NO_AGREEMENT)
        second = float(groups.log_weight[1].exp()) if len(groups) > 1 else 0.0
        return Estimate(Status.AMBIGUOUS if second >= s.ambiguous else Status.OK, groups)


def _with_reflections(found: Candidates, normals: Float[Tensor, "k 3"], middle: Float[Tensor, "3"]) -> Candidates:
    """With what the best two look like from behind."""
    best = found.take(torch.arange(min(2, len(found.score))))
    parent = best.parent.repeat_interleave(len(normals))
    poses = reflected(best.cam_from_world, normals.to(middle), middle)
    return Candidates(
        SE3.cat([found.cam_from_world, poses]),
        torch.cat([found.score, torch.zeros(len(poses)).to(found.score)]),
        torch.cat([found.parent, parent]),
    )


def _state(poses: SE3) -> State:
    return State(poses, torch.zeros(len(poses), 0, dtype=torch.float64), torch.arange(len(poses)), 0)


def cut_around(photo: Photo, margin: float) -> Photo | None:
    """The photo around its mask; `None` where the mask is empty.

    Raises:
        ResectError: neither `alpha` nor a target's mask, or a mask of another size.
    """
    mask = None if photo.target is None else photo.target.mask
    alpha = photo.alpha if mask is None or photo.alpha is not None else mask.to(photo.image)
    if alpha is None:
        fix = "Give a cut-out (PNG with transparency), or a target with a mask."
        raise ResectError(photo.name, "a photo whose object is cut out", "neither alpha nor mask", fix)
    if alpha.shape != photo.image.shape[:2]:
        got = f"{alpha.shape[1]}x{alpha.shape[0]}"
        raise ResectError(photo.name, f"a mask of the photo's size, {photo.image.shape[1]}x{photo.image.shape[0]}", got)
    if not bool((alpha > 0.5).any()):
        return None
    laid = photo.image if photo.alpha is not None else photo.image * alpha[..., None] + 1 - alpha[..., None]
    box = [int(x) for x in box_of(alpha > 0.5)]
    more = math.ceil(margin * max(box[2] - box[0], box[3] - box[1]))
    left, top = max(0, box[0] - more), max(0, box[1] - more)
    right, bottom = min(alpha.shape[1], box[2] + more), min(alpha.shape[0], box[3] + more)
    camera = photo.known_camera().crop(left, top, right - left, bottom - top)
    part = (slice(top, bottom), slice(left, right))
    return replace(photo, image=laid[part], alpha=alpha[part], camera=camera, target=None, mask=None, depth=None)
