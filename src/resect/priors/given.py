"""A start from the user: a pose, and how far off it may be."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import read_json
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Hypotheses, Photo

_NOT_A_ROTATION = 1e-3
_FILE = "an object with 'wxyz' (4 numbers) and 't' (3), or 'cam_from_world' (4 rows of 4)"


@dataclass(frozen=True, eq=False)
class Given:
    """A start that does not depend on the photo.

    Attributes:
        cam_from_world: one pose (no batch dimension).
        sigma_deg: standard deviation of each rotation angle; `None` if unknown.
        sigma_units: standard deviation of each coordinate of the point that is turned about, seen from the camera,
            world units; `None` if unknown.
        source: what the hypotheses say of themselves; starts made from truth begin with "oracle".
        about: the point in the world that is turned about, e.g. the middle of an object, which stays in view so; `None`
            is the camera's centre.
    """

    cam_from_world: SE3
    sigma_deg: float | None = None
    sigma_units: float | None = None
    source: str = "given"
    about: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.cam_from_world.batch_shape != ():
            shape = str(tuple(self.cam_from_world.batch_shape))
            raise ResectError("start", "one pose", f"a batch of shape {shape}")
        for name, sigma in (("sigma_deg", self.sigma_deg), ("sigma_units", self.sigma_units)):
            if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
                raise ResectError(name, "a positive number, or none", str(sigma))

    @property
    def hypotheses(self) -> Hypotheses:
        """The start alone, with the information that its standard deviations amount to."""
        return self._with(SE3(self.cam_from_world.R[None], self.cam_from_world.t[None]), torch.zeros(1))

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The start, then, where both standard deviations are known, `count` − 1 draws from its distribution."""
        if self.sigma_deg is None or self.sigma_units is None or count < 2:
            return self.hypotheses
        draws = torch.randn(count - 1, 6, generator=generator, dtype=torch.float64)
        noise = torch.cat([torch.zeros(1, 6, dtype=torch.float64), draws])
        sigma = torch.tensor([self.sigma_units] * 3 + [math.radians(self.sigma_deg)] * 3, dtype=torch.float64)
        start = self.cam_from_world.double()
        delta = torch.linalg.solve(self._pivoted(), (noise * sigma).mT).mT
        poses = SE3(start.R.expand(count, 3, 3), start.t.expand(count, 3)).retract(delta)
        weight = -0.5 * (noise * noise).sum(-1)
        return self._with(poses.to(self.cam_from_world.t.dtype), weight)

    def _with(self, poses: SE3, log_weight: Float[Tensor, "h"]) -> Hypotheses:
        deg, units = self.sigma_deg, self.sigma_units
        diagonal = [0.0 if units is None else units**-2] * 3 + [0.0 if deg is None else math.radians(deg) ** -2] * 3
        known = deg is not None or units is not None
        pivoted = self._pivoted()
        matrix = pivoted.mT @ torch.diag(torch.tensor(diagonal, dtype=torch.float64)) @ pivoted
        # Every draw stands for the same knowledge, so only the start itself, the first, carries it.
        information = torch.zeros(len(log_weight), 6, 6, dtype=torch.float64)
        information[0] = matrix
        return Hypotheses(poses, log_weight, information if known else None, source=(self.source,) * len(log_weight))

    def _pivoted(self) -> Float[Tensor, "6 6"]:
        """From δ in the camera's frame to (shift of the pivot, turn): the pivot c moves by v + ω × c."""
        carry = torch.eye(6, dtype=torch.float64)
        if self.about is not None:
            pivot = torch.tensor([self.about], dtype=torch.float64)
            carry[:3, 3:] = -so3.hat(self.cam_from_world.double().apply(pivot)[0])
        return carry

    @classmethod
    def from_file(
        cls,
        path: Path | str,
        *,
        sigma_deg: float | None = None,
        sigma_units: float | None = None,
        about: tuple[float, float, float] | None = None,
    ) -> Self:
        """A start from a JSON file, `cam_from_world` in OpenCV axes.

        The file holds {"wxyz": [w, x, y, z], "t": [x, y, z]} or {"cam_from_world": 4×4 rows}.

        Raises:
            ResectError: not such a file, not finite, or not a rotation.
        """
        path = Path(path)
        facts = read_json(path)
        if not isinstance(facts, dict):
            raise ResectError(path, _FILE, type(facts).__name__)
        if "cam_from_world" in facts:
            matrix = _numbers(facts["cam_from_world"], (4, 4), f"{path}: cam_from_world")
            pose = SE3.from_matrix(matrix)
            if not torch.allclose(matrix[3], torch.tensor([0.0, 0, 0, 1], dtype=matrix.dtype)):
                raise ResectError(f"{path}: cam_from_world", "a last row 0 0 0 1", str(matrix[3].tolist()))
        elif "wxyz" in facts and "t" in facts:
            quaternion = _numbers(facts["wxyz"], (4,), f"{path}: wxyz")
            length = float(quaternion.norm())
            if abs(length - 1) > 0.01:
                raise ResectError(f"{path}: wxyz", "a unit quaternion", f"one of length {length:.3f}")
            pose = SE3(so3.from_quaternion(quaternion), _numbers(facts["t"], (3,), f"{path}: t"))
        else:
            raise ResectError(path, _FILE, f"keys {', '.join(map(str, list(facts)[:8])) or 'none'}")
        if not torch.allclose(pose.R, so3.nearest_rotation(pose.R), atol=_NOT_A_ROTATION):
            fix = "Rows must be orthonormal with determinant +1; a scale or a mirrored axis is not allowed."
            raise ResectError(f"{path}: cam_from_world", "a rotation matrix", "another matrix", fix)
        return cls(SE3(so3.nearest_rotation(pose.R), pose.t), sigma_deg, sigma_units, about=about)


def _numbers(value: Any, shape: tuple[int, ...], where: str) -> Tensor:
    try:
        found = torch.tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ResectError(where, f"numbers of shape {shape}", repr(value)[:80]) from None
    if tuple(found.shape) != shape or not bool(found.isfinite().all()):
        raise ResectError(where, f"finite numbers of shape {shape}", f"shape {tuple(found.shape)}")
    return found
