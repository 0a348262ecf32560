"""Refinement in the space of a pose regressor's latents: a step costs a small network, not a render.

The scene shows one pixel of features, in standard deviations (`scenes.pose_decoder`); Levenberg–Marquardt finds the
pose whose features are the photo's, together with what the start's information says. All of it is a few small
matrices, so it is NumPy's, in float64: the general least squares spend a hundred milliseconds calling PyTorch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.linearize import channel_of
from resect.refine.view import Meter, View
from resect.types import Estimate, Hypotheses, Photo, Status

Array = NDArray[np.float64]
_DAMPING, _TRUST = 1e-3, 0.5
_ENOUGH = 1e-4  # a step that promises to lower the loss, half of squared standard deviations, by less is not taken
_EYE = np.eye(6)


@runtime_checkable
class Charted(Protocol):
    """A scene whose features are known in closed form about some poses."""

    def chart(self, start: SE3) -> Callable[[Array], tuple[Array, Array]]:
        """From ξ (h, 6) to the features of exp(ξ) @ start (h, c) and their derivatives (h, c, 6)."""
        ...


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
        if not isinstance(scene, Charted):
            raise ResectError("LatentRefiner", "a scene of latents", type(scene).__name__, "Fit a pose-decoder.")
        if not len(hypotheses):
            return Estimate(Status.NO_HYPOTHESIS, camera=photo.camera, camera_source=source)
        meter = Meter()
        with meter.stage("observe"):
            observed = one_pixel(scene, photo, meter).observed[0].double().cpu().numpy()
        with meter.stage("latent"):
            start = hypotheses.cam_from_world.double()
            known = np.zeros((1, 6, 6))
            if self.prior and hypotheses.information is not None:
                known = hypotheses.information.double().cpu().numpy()
            problem = Problem(scene.chart(start), observed, known, self.forgive)
            with np.errstate(all="ignore"):  # a start of no numbers stays one, and ends last
                xi, before, loss = self._settled(problem, len(start))
            found = replace(hypotheses, cam_from_world=SE3.exp(torch.from_numpy(xi).to(start.t)) @ start)
        if not np.isfinite(loss).any():
            return Estimate(Status.NON_FINITE, cost=meter.cost, camera=photo.camera, camera_source=source)
        order = np.where(np.isnan(loss), np.inf, loss).argsort(kind="stable")
        found = replace(found, log_weight=torch.from_numpy(-loss).to(hypotheses.log_weight)).take(order.tolist())
        found = replace(found, log_weight=found.log_weight.log_softmax(0))
        losses = float(loss[order[0]]), float(before[order[0]])
        status = Status.OK if losses[0] < losses[1] else Status.NOT_IMPROVED
        return Estimate(status, found, cost=meter.cost, camera=photo.camera, camera_source=source, loss=losses)

    def _settled(self, problem: "Problem", count: int) -> tuple[Array, Array, Array]:
        """How far the poses are from their starts, and the losses there and here."""
        xi, damping = np.zeros((count, 6)), np.full(count, _DAMPING)
        now = problem(xi)
        before, unit = now.loss, np.array([self.length] * 3 + [1.0] * 3)
        for _ in range(self.steps):
            step = _step(now, damping)
            if not (-0.5 * (now.gradient * step).sum(1) > _ENOUGH).any():
                break
            size = np.sqrt(np.square(step / unit).sum(1))
            moved = xi + step * np.minimum(1.0, _TRUST / np.maximum(size, 1e-30))[:, None]
            trial = problem(moved)
            better = trial.loss < now.loss
            xi, now = np.where(better[:, None], moved, xi), trial.where(better, now)
            damping = damping * np.where(better, 0.3, 5.0)
        return xi, before, now.loss


@dataclass(frozen=True, eq=False)
class Normal:
    """JᵀWJ + Λ, JᵀWr + Λξ, and the loss Σ ρ(r) + ½ ξᵀΛξ."""

    matrix: Float[Array, "h 6 6"]
    gradient: Float[Array, "h 6"]
    loss: Float[Array, "h"]

    def where(self, chosen: NDArray[np.bool_], other: "Normal") -> "Normal":
        """These where they are chosen, else others."""
        if chosen.all() or not chosen.any():
            return self if chosen.all() else other
        matrix = np.where(chosen[:, None, None], self.matrix, other.matrix)
        gradient = np.where(chosen[:, None], self.gradient, other.gradient)
        return Normal(matrix, gradient, np.where(chosen, self.loss, other.loss))


@dataclass(frozen=True, eq=False)
class Problem:
    """Normal equations of features against a photo's.

    Attributes:
        shown: features of poses, and derivatives.
        observed: the photo's.
        known: information of the starts.
        forgive: standard deviations at which a feature begins to be forgiven.
    """

    shown: Callable[[Array], tuple[Array, Array]]
    observed: Float[Array, "c"]
    known: Float[Array, "h 6 6"]
    forgive: float

    def __call__(self, xi: Float[Array, "h 6"]) -> Normal:
        """At exp(ξ) @ start; ρ is Cauchy's."""
        value, slope = self.shown(xi)
        residual = value - self.observed
        z = np.square(residual / self.forgive)
        weighted, held = (slope / (1 + z)[..., None]).swapaxes(1, 2), (self.known @ xi[..., None])[..., 0]
        loss = 0.5 * (self.forgive**2 * np.log1p(z).sum(1) + (xi * held).sum(1))
        return Normal(weighted @ slope + self.known, (weighted @ residual[..., None])[..., 0] + held, loss)


def _step(normal: Normal, damping: Float[Array, "h"]) -> Float[Array, "h 6"]:
    """−(A + λ diag A)⁻¹ g; a direction without information gets no step."""
    diagonal = normal.matrix.diagonal(axis1=1, axis2=2)
    floor = 1e-9 * diagonal.sum(1, keepdims=True) + 1e-300
    more = damping[:, None] * np.maximum(diagonal, floor) + 1e-3 * floor
    step: Array = np.linalg.solve(normal.matrix + more[:, None] * _EYE, -normal.gradient[..., None])[..., 0]
    return step


def one_pixel(scene: Scene, photo: Photo, meter: Meter | None = None) -> View:
    """The photo's features and the scene's, at the one pixel they have."""
    camera = Camera(0.5, 0.5, 0.5, 0.5, 1, 1)
    observed = channel_of(scene.observe(photo, camera), "feature")[0]
    return View(scene, camera, observed, torch.ones(1).to(observed), "feature", meter or Meter(), 1)
