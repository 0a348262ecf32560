"""A photo against renders of instances, in the pose and, where asked for, in coordinates of the code."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.category.codes import CodeSpace
from resect.refine.levenberg_marquardt import Normal, State, System
from resect.refine.linearize import POSE_NAMES
from resect.refine.robust import Robust
from resect.refine.rows import normal_of
from resect.refine.view import View
from resect.types import Linearized

_STEP = 0.02  # standard deviations of a code


class CodedScene(Scene, Protocol):
    """A scene of many instances, each with a code, that differentiates itself."""

    @property
    def codes(self) -> Float[Tensor, "n d"]:
        """The learned codes."""
        ...

    @property
    def instances(self) -> tuple[str, ...]:
        """Their names."""
        ...

    def of(self, instance: str | int | Float[Tensor, "d"]) -> Scene:
        """One instance as a scene without codes."""
        ...

    def derivatives(
        self,
        camera: Camera,
        cam_from_world: SE3,
        pixels: Float[Tensor, "n 2"],
        code: Float[Tensor, "h d"] | None = None,
    ) -> tuple[Float[Tensor, "h n 3"], Float[Tensor, "h n 3 6"]]:
        """Colours and their derivatives with respect to δ = (v, ω), exp(δ) @ cam_from_world."""
        ...


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of H hypotheses.

    Attributes:
        base: a code each.
        space: coordinates in which they are free; `None` holds them.
    """

    base: Float[Tensor, "h d"]
    space: CodeSpace | None = None

    def at(self, coordinates: Float[Tensor, "h k"], index: Tensor) -> Float[Tensor, "h d"]:
        """The codes of some hypotheses at their coordinates."""
        base = self.base[index]
        return base if self.space is None else self.space.code(base, coordinates)

    def start(self) -> Float[Tensor, "h k"]:
        """Their coordinates; without columns where they are held."""
        if self.space is None:
            return torch.zeros(len(self.base), 0, dtype=torch.float64)
        return self.space.coordinates(self.base).double()


def photo_term(
    scene: CodedScene, view: View, codes: Codes, robust: Robust, strength: float, index: Int[Tensor, "n"] | None = None
) -> System:
    """Normal equations of render − photo, and of what a code's distance from the mean costs.

    Coordinates of the code are differentiated by small steps forward: a render each, a third of a forward tangent.

    Args:
        strength: weight of the squared coordinates.
        index: pixels compared, all by default.
    """
    index = torch.arange(len(view.observed)) if index is None else index
    weight, pixels = view.weight[None, index, None].expand(1, -1, 3).flatten(1), view.pixels(index)

    def system(state: State) -> Normal:
        pose, code = state.cam_from_world, codes.at(state.extra, state.index)
        view.count(len(pose) * len(pixels))
        values, jacobian = scene.derivatives(view.camera, pose, pixels, code)
        names: tuple[str, ...] = POSE_NAMES
        if codes.space is not None:
            jacobian = torch.cat([jacobian, _by_code(view, index, pose, code, codes.space, values)], -1)
            names += tuple(f"code{k}" for k in range(state.extra.shape[1]))
        residual = (values - view.observed[None, index]).flatten(1)
        rows = Linearized(residual, jacobian.flatten(1, 2), weight.expand_as(residual), names)
        normal = normal_of(rows, robust)
        return normal if codes.space is None else normal + _near_mean(state.extra, strength)

    return system


def _by_code(
    view: View, index: Tensor, pose: SE3, code: Tensor, space: CodeSpace, values: Tensor
) -> Float[Tensor, "h n 3 k"]:
    k, h = len(space.axes), len(pose)
    moved = (code[:, None] + _STEP * space.axes).flatten(0, 1)
    repeated = SE3(pose.R.repeat_interleave(k, 0), pose.t.repeat_interleave(k, 0))
    shown = view.shown(repeated, index, moved).unflatten(0, (h, k))
    return ((shown - values[:, None]) / _STEP).permute(0, 2, 3, 1)


def _near_mean(coordinates: Float[Tensor, "h k"], strength: float) -> Normal:
    """½ strength |x|²."""
    h, k = coordinates.shape
    matrix = torch.zeros(h, 6 + k, 6 + k, dtype=torch.float64)
    matrix[:, 6:, 6:] = strength * torch.eye(k, dtype=torch.float64)
    gradient = torch.cat([torch.zeros(h, 6, dtype=torch.float64), strength * coordinates.double()], 1)
    return Normal(matrix, gradient, 0.5 * strength * coordinates.double().square().sum(1))
