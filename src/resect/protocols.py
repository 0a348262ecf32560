"""The five interfaces; the whole surface for extending resect. Your class needs no import of ours."""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Channel, Estimate, Hypotheses, Photo, Render


class Prior(Protocol):
    """A guess: one pass over a photo."""

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """At most `count` weighted poses; an empty `Hypotheses` when nothing was found."""
        ...


class Detector(Protocol):
    """Finds what can be asked for in a photo."""

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        """At most `count` photos, each with its `Target`, and guesses for it."""
        ...


class Scene(Protocol):
    """A decoder: from a pose to what would be seen."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for."""
        ...

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners (least, greatest) of a box around what there is to see, world units."""
        ...

    @property
    def code_dim(self) -> int:
        """Length of the latent code; 0 for a scene that takes none."""
        ...

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo resampled to `camera`'s size, in the space that `render` speaks; H = 1, all pixels in row order."""
        ...

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses would show at N pixels (all of the camera's, in row order, when `None`).

        Deterministic, memory bounded, and differentiable in the pose where the scene is.
        """
        ...

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Scene":
        """The scene at the level of detail for pixels of this angle: the cheapest that shows no less; often itself.

        `distance` (world units) is how far away it is seen, where that is known: of an object it decides.
        """
        ...


class RayScene(Scene, Protocol):
    """A scene that gives exact derivatives of colour with respect to rays."""

    def ray_jacobian(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
        """Colour, d colour / d origin and d colour / d direction along world rays with unit directions.

        The direction is perturbed as a free vector with the sample depths held; only components across it matter.
        """
        ...


class Objective(Protocol):
    """How a render and a photo are compared."""

    @property
    def least_squares(self) -> bool:
        """Whether the loss is Σ w r²; others (GMSD, cross-entropy) are for first-order refiners only."""
        ...

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """Residuals of H renders."""
        ...


class Refiner(Protocol):
    """Inverts a scene from hypotheses."""

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """Poses, status, covariance, trace and cost. Never an exception for a photo that does not fit."""
        ...
