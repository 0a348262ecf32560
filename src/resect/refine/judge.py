"""How the answer of one photo is judged: loss on pixels kept apart, modes with mass, covariance, status."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.apart import apart
from resect.refine.exposure import Exposure
from resect.refine.levenberg_marquardt import State
from resect.refine.objectives import Difference
from resect.refine.pixels import draw
from resect.refine.robust import Robust
from resect.refine.rows import photometric
from resect.refine.view import View
from resect.types import Hypotheses, Status

_MODE_TURN_RAD = math.radians(3.0)
_MODE_SHIFT = 0.02
_AMBIGUOUS = 0.25
_NEAR_AGREEMENT = 0.7
_MOST_PIXELS = 100.0


@dataclass(frozen=True)
class ErrorModel:
    """How exact a scene is, measured on training photos that were left out of it (`calibrate`).

    Attributes:
        residual: standard deviation of the colour difference of render and photo at the true pose.
        independent: rays whose errors are independent of each other; more rays than that add nothing.
        turn_rad: standard deviation per axis of the rotation of answers.
        shift: the same of the translation, world units; 0 stands for `turn_rad` times the distance of what is seen.
        least_agreement: lowest correlation of local contrast at which the photo is said to show the scene.
        length: distance of what is seen, world units; 0 where it was not measured.
        photos: how many photos it was measured on.
    """

    residual: float = 0.035
    independent: float = 40.0
    turn_rad: float = 0.001
    shift: float = 0.0
    least_agreement: float = 0.4
    length: float = 0.0
    photos: int = 0

    def scaled(self, length: float) -> "ErrorModel":
        """With the shift filled in where it was not measured."""
        return self if self.shift > 0 else replace(self, shift=self.turn_rad * length)


@dataclass(frozen=True, eq=False)
class Bench:
    """Pixels kept apart for judging; no step ever looks at them.

    Attributes:
        view: the finest size.
        index: the pixels.
        robust: the loss.
    """

    view: View
    index: Int[Tensor, "k"]
    robust: Robust

    def loss(self, poses: SE3) -> Float[Tensor, "h"]:
        """Mean of 2ρ over the pixels, after the best gain and bias per channel: a squared residual that forgives."""
        values = self.view.shown(poses, self.index)
        target = self.view.observed[None, self.index]
        residual = values - target
        weight = self.view.weight[None, self.index, None].expand_as(residual)
        for _ in range(2):
            residual = _without_exposure(values, target, weight)
            weight = self.view.weight[None, self.index, None] * self.robust.weight(residual)
        return 2 * self.robust.loss(residual).mean((1, 2))

    def information(self, poses: SE3, model: ErrorModel) -> Float[Tensor, "h 6 6"]:
        """Of δ, as if only `model.independent` of the pixels had independent errors of the model's size."""
        exposure = Exposure()
        strength = model.independent / len(self.index) / model.residual**2
        term = photometric(
            self.view, Difference(self.view.channel), self.robust, index=self.index, prior=exposure, strength=strength
        )
        h = len(poses)
        return term(State(poses, torch.zeros(h, 0, dtype=torch.float64), torch.arange(h), 0)).matrix


def make_bench(view: View, count: int, scale: float, seed: int) -> Bench:
    """Random pixels of the finest view."""
    index = draw((view.weight > 0.5).float().cpu() + 1e-9, count, torch.Generator().manual_seed(seed))
    return Bench(view, index.to(view.observed.device), Robust("cauchy", scale))


def _without_exposure(values: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Residuals after a weighted line fit per channel, whose slope is held between ½ and 2."""
    share = weight / weight.sum(1, keepdim=True).clamp_min(1e-9)
    mean_v, mean_t = (share * values).sum(1, keepdim=True), (share * target).sum(1, keepdim=True)
    v, t = values - mean_v, target - mean_t
    gain = ((share * v * t).sum(1, keepdim=True) + 1e-4) / ((share * v * v).sum(1, keepdim=True) + 1e-4)
    return gain.clamp(0.5, 2.0) * v - t


def modes(
    ended: Hypotheses, loss: Float[Tensor, "h"], variance: float, independent: float, extent: float
) -> tuple[Hypotheses, Int[Tensor, "k"]]:
    """Groups poses that ended together; `log_weight` is the log of each mode's mass, best first.

    The mass is the sum over its poses of prior weight × exp(−½ n (loss − best)/s²), n the independent rays (at most
    100) and s² the residual's variance; poses belong together within 3° and 2 % of the extent of the bounds.

    Returns:
        The modes, each at the pose of least loss in it, and which pose that is.
    """
    rays = min(independent, _MOST_PIXELS)
    log_mass = ended.log_weight.double() - 0.5 * rays * (loss.double() - loss.min()) / variance
    turn, shift = apart(ended.cam_from_world)
    same: Bool[Tensor, "h h"] = (turn < _MODE_TURN_RAD) & (shift < _MODE_SHIFT * extent)
    left = torch.ones(len(loss), dtype=torch.bool)
    heads, masses = [], []
    for k in loss.argsort().tolist():
        if left[k]:
            members = same[k].cpu() & left
            heads.append(k)
            masses.append(log_mass[members].logsumexp(0))
            left &= ~members
    mass = torch.stack(masses)
    order = mass.argsort(descending=True)
    index = torch.tensor(heads)[order]
    chosen = ended.take(index)
    normalised = (mass - mass.logsumexp(0))[order].to(ended.log_weight)
    return Hypotheses(chosen.cam_from_world, normalised, chosen.information, chosen.code, chosen.source), index


def with_floor(
    information: Float[Tensor, "h 6 6"], turn_floor_rad: float, shift_floor: float
) -> Float[Tensor, "h 6 6"]:
    """The information when the covariance has a floor added: (Λ⁻¹ + F)⁻¹ = Λ − Λ (Λ + F⁻¹)⁻¹ Λ; singular Λ allowed."""
    floor = torch.tensor([max(shift_floor, 1e-12)] * 3 + [max(turn_floor_rad, 1e-12)] * 3, dtype=torch.float64) ** 2
    inverse = torch.diag(1 / floor).to(information.device)
    lam = information.double()
    held = lam - lam @ torch.linalg.solve(lam + inverse, lam)
    return 0.5 * (held + held.mT)


def status_of(
    *,
    finite: bool,
    agreement: float,
    model: ErrorModel,
    improved: bool,
    second_mass: float,
) -> Status:
    """The status from what was measured, the gravest first."""
    if not finite:
        return Status.NON_FINITE
    if not agreement >= model.least_agreement:  # a constant photo agrees with nothing: NaN
        return Status.NOT_CONVERGED if agreement >= _NEAR_AGREEMENT * model.least_agreement else Status.NO_AGREEMENT
    if second_mass >= _AMBIGUOUS:
        return Status.AMBIGUOUS
    return Status.OK if improved else Status.NOT_IMPROVED
