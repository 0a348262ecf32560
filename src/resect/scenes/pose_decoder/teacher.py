"""What a pose decoder needs of the pose regressor that it learns from."""

from pathlib import Path
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from resect.nn.pose_loss import PoseFrame
from resect.nn.training_pictures import TrainingPictures
from resect.types import Photo, PhotoSet


class Teacher(Protocol):
    """A fitted pose regressor that first makes a latent of a photo, then a pose of that."""

    @property
    def frame(self) -> PoseFrame:
        """What poses are regressed in."""
        ...

    def training_pictures(self, data: PhotoSet, memory_gb: float) -> TrainingPictures:
        """Photos as it sees them."""
        ...

    def latents(self, pictures: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b l"]:
        """What it thinks of pictures: the latents of position and of rotation in a row."""
        ...

    def latent(self, photo: Photo) -> Float[Tensor, "l"]:
        """What it thinks of a photo."""
        ...

    def regress_latents(self, latents: Float[Tensor, "b l"]) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Positions and quaternions in its frame; differentiable in the latents."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        ...
