"""Levenberg–Marquardt on SE(3) for H hypotheses at once.

Minimises Σ ρ(r) + further rows over δ in exp(δ) @ cam_from_world and, if asked for, further parameters. Everything it
knows of a problem is a function that returns normal equations, so photometric terms, pose information, landmarks and
depth are sums of such functions (`rows.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.lock import Lock

_LEAST_DAMPING, _MOST_DAMPING = 1e-6, 1e6


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations of H problems in P parameters, in float64: A = JᵀWJ, g = JᵀWr, and the loss Σ ρ(r)."""

    matrix: Float[Tensor, "h p p"]
    gradient: Float[Tensor, "h p"]
    loss: Float[Tensor, "h"]

    def __add__(self, other: "Normal") -> "Normal":
        """Both terms together; a term in the six of the pose alone fits one with more parameters."""
        p = max(self.gradient.shape[1], other.gradient.shape[1])
        a, b = self._padded(p), other._padded(p)
        return Normal(a.matrix + b.matrix, a.gradient + b.gradient, a.loss + b.loss)

    def scaled(self, factor: float) -> "Normal":
        """All squares times a factor."""
        return Normal(factor * self.matrix, factor * self.gradient, factor * self.loss)

    def _padded(self, parameters: int) -> "Normal":
        missing = parameters - self.gradient.shape[1]
        if not missing:
            return self
        pad = torch.nn.functional.pad
        return Normal(pad(self.matrix, (0, missing, 0, missing)), pad(self.gradient, (0, missing)), self.loss)


@dataclass(frozen=True, eq=False)
class State:
    """Where some of the hypotheses stand.

    Attributes:
        cam_from_world: their poses.
        extra: further parameters (log focal length), one row each; without columns when there are none.
        index: which of all hypotheses they are.
        step: how many steps were taken; fresh pixels are drawn by it.
    """

    cam_from_world: SE3
    extra: Float[Tensor, "h e"]
    index: Int[Tensor, "h"]
    step: int


System = Callable[[State], Normal]


@dataclass(frozen=True)
class LMSettings:
    """How to step.

    Attributes:
        steps: most steps.
        damping: added to the normal matrix, as a part of its diagonal, at the start.
        policy: "free" takes every step at constant damping (for pixels drawn afresh); "decrease" takes only steps that
            lower the loss and adapts the damping of each hypothesis.
        trust: longest step, |(v / length, ω)|.
        stop: a hypothesis whose step is shorter has converged and costs no more.
    """

    steps: int = 20
    damping: float = 1e-2
    policy: Literal["free", "decrease"] = "free"
    trust: float = 0.15
    stop: float = 1e-5


@dataclass(frozen=True, eq=False)
class Solution:
    """Where the hypotheses ended.

    Attributes:
        cam_from_world: H poses.
        extra: further parameters.
        loss: at the last evaluation ("decrease": at the answer; "free": one step before it).
        converged: whether the last step was shorter than `stop`.
        steps: evaluations of each hypothesis.
    """

    cam_from_world: SE3
    extra: Float[Tensor, "h e"]
    loss: Float[Tensor, "h"]
    converged: Bool[Tensor, "h"]
    steps: Int[Tensor, "h"]


def total(terms: Sequence[System]) -> System:
    """The sum of several terms."""

    def system(state: State) -> Normal:
        first, *rest = (term(state) for term in terms)
        for normal in rest:
            first = first + normal
        return first

    return system


def solve(
    normal: Normal, damping: Float[Tensor, "h"], free: Bool[Tensor, "p"]
) -> tuple[Float[Tensor, "h p"], Bool[Tensor, "h"]]:
    """The damped step −(A + λ diag A)⁻¹ g with locked parameters held, and whether it is finite.

    Directions without any information get no step: their diagonal is kept above 1e-9 of the mean.
    """
    diagonal = normal.matrix.diagonal(dim1=-2, dim2=-1)
    floor = 1e-9 * diagonal.clamp_min(0).mean(-1, keepdim=True) + 1e-300
    matrix = normal.matrix + torch.diag_embed(
        (damping[:, None] + 1e-12) * torch.maximum(diagonal, floor) + 1e-3 * floor
    )
    open_ = (free[:, None] & free[None]).to(matrix)
    matrix = matrix * open_ + torch.diag((~free).to(matrix))
    factor, failed = torch.linalg.cholesky_ex(matrix)
    step = -torch.cholesky_solve((normal.gradient * free)[..., None], factor)[..., 0]
    good = (failed == 0) & step.isfinite().all(-1) & normal.loss.isfinite()
    return torch.where(good[:, None], step, torch.zeros_like(step)), good


def levenberg_marquardt(
    system: System,
    start: SE3,
    settings: LMSettings,
    *,
    length: float = 1.0,
    extra: Float[Tensor, "h e"] | None = None,
    pivot: Float[Tensor, "3"] | None = None,
    lock: Lock | None = None,
) -> Solution:
    """Steps every hypothesis until its step is short or the steps are spent.

    Args:
        system: normal equations at a state.
        length: world units that count as much as one radian: the distance of what is seen, or with a pivot its radius.
        extra: start of further parameters, H × E.
        pivot: world point that damping and trust turn about, for an object far from the camera; by default the
            camera's centre. It changes the way, not the minimum.
        lock: what the poses keep from their anchors, in place of a pivot; the starts must keep it already.
    """
    h = len(start)
    extra = torch.zeros(h, 0, dtype=torch.float64, device=start.t.device) if extra is None else extra.double()
    pose, loss = start.double(), torch.full((h,), torch.inf, dtype=torch.float64, device=start.t.device)
    damping = torch.full_like(loss, settings.damping)
    converged, steps = torch.zeros_like(loss, dtype=torch.bool), torch.zeros_like(loss, dtype=torch.long)
    free = torch.ones(6 + extra.shape[1], dtype=torch.bool, device=loss.device)
    if lock is not None:
        free[:6] = ~lock.locked.to(loss.device)
    active = torch.arange(h, device=loss.device)
    careful = settings.policy == "decrease"
    normal: Normal | None = None
    for step in range(settings.steps):
        if normal is None:
            normal = system(_state(pose, extra, active, start, step))
            steps[active] += 1
            loss[active] = normal.loss
        held = None if lock is None else lock.take(active)
        about = _parameters(pose[active], pivot, held, extra.shape[1])
        delta, good = solve(normal if about is None else _carried(normal, about), damping[active], free)
        size = torch.cat([delta[:, :3] / length, delta[:, 3:6]], -1).norm(dim=-1)
        delta = delta * (settings.trust / size.clamp_min(1e-30)).clamp_max(1.0)[:, None]
        moved, moved_extra = _moved(pose[active], delta[:, :6], about, held), extra[active] + delta[:, 6:]
        trial: Normal | None = None
        accept = good
        if careful:
            trial = system(_state(moved, moved_extra, active, start, step + 1, all_of_them=True))
            steps[active] += 1
            accept = good & (trial.loss < loss[active])
            scale = torch.where(accept, 0.3, 5.0).to(damping)
            damping[active] = (damping[active] * scale).clamp(_LEAST_DAMPING, _MOST_DAMPING)
            loss[active] = torch.where(accept, trial.loss, loss[active])
        pose = _where(pose, moved, active, accept)
        extra[active] = torch.where(accept[:, None], moved_extra, extra[active])
        done = ~good | (size < settings.stop) | (damping[active] >= _MOST_DAMPING)
        converged[active] = good & done
        normal = None if trial is None else _pick(normal, trial, accept, ~done)
        active = active[~done]
        if not len(active):
            break
    return Solution(SE3(pose.R.to(start.R), pose.t.to(start.t)), extra, loss, converged, steps)


def _parameters(pose: SE3, pivot: Tensor | None, lock: Lock | None, extra: int) -> Float[Tensor, "h p p"] | None:
    """P with δ = P ε: ε turns about the pivot (v = v' + c × ω', c the pivot in the camera's frame) or is a lock's u."""
    if pivot is None and lock is None:
        return None
    matrix = torch.eye(6 + extra, dtype=pose.t.dtype, device=pose.t.device).repeat(len(pose), 1, 1)
    if lock is not None:
        matrix[:, :6, :6] = lock.derivative(lock.motion(pose))
    elif pivot is not None:
        matrix[:, :3, 3:6] = so3.hat(pose.apply(pivot.to(pose.t).expand(len(pose), 1, 3))[:, 0])
    return matrix


def _carried(normal: Normal, by: Float[Tensor, "h p p"]) -> Normal:
    """The same problem in other parameters."""
    p = normal.gradient.shape[1]
    part = by[:, :p, :p]
    return Normal(part.mT @ normal.matrix @ part, (part.mT @ normal.gradient[..., None])[..., 0], normal.loss)


def _moved(pose: SE3, step: Tensor, by: Tensor | None, lock: Lock | None) -> SE3:
    """The poses after a step ε."""
    if lock is not None:
        return lock.moved(lock.motion(pose) + step)
    return pose.retract(step if by is None else (by[:, :6, :6] @ step[..., None])[..., 0])


def _state(pose: SE3, extra: Tensor, active: Tensor, like: SE3, step: int, *, all_of_them: bool = False) -> State:
    chosen = pose if all_of_them else pose[active]
    values = extra if all_of_them else extra[active]
    return State(SE3(chosen.R.to(like.R), chosen.t.to(like.t)), values, active, step)


def _where(pose: SE3, moved: SE3, active: Tensor, accept: Tensor) -> SE3:
    rotation, translation = pose.R.clone(), pose.t.clone()
    rotation[active[accept]], translation[active[accept]] = moved.R[accept], moved.t[accept]
    return SE3(rotation, translation)


def _pick(old: Normal, new: Normal, accept: Tensor, keep: Tensor) -> Normal:
    matrix = torch.where(accept[:, None, None], new.matrix, old.matrix)
    gradient = torch.where(accept[:, None], new.gradient, old.gradient)
    return Normal(matrix[keep], gradient[keep], torch.where(accept, new.loss, old.loss)[keep])
