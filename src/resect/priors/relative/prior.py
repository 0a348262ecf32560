"""A fitted relative regressor: the teacher's pose, corrected by comparing the photo with a reference near it.

Relative poses are those of positions in the world and of rotations world_from_cam: t = t_photo − t_reference,
R = Rᵀ_reference R_photo.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from resect import artifact
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.nn.pose_loss import PoseFrame
from resect.priors.posenet.prior import PoseNet
from resect.priors.relative.network import RelativeNetwork
from resect.priors.relative.settings import RelativeSettings
from resect.types import Hypotheses, Photo

KIND = "rpr"


class Decoder(Protocol):
    """What knows what the teacher would think of a photo from a pose."""

    def latents(self, cam_from_world: SE3) -> Float[Tensor, "h l"]:
        """The teacher's latents, both in a row."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        ...


@dataclass(frozen=True, eq=False)
class Relative:
    """A trained relative regressor.

    Attributes:
        network: in evaluation mode.
        settings: how it was built.
        poses: of the training photos.
        codes: the teacher's latents of them.
        teacher: whose pose is corrected.
        decoder: where references are decoded.
    """

    network: RelativeNetwork
    settings: RelativeSettings
    poses: SE3
    codes: Float[Tensor, "n l"]
    teacher: PoseNet | None = None
    decoder: Decoder | None = None

    def with_parents(self, teacher: PoseNet, decoder: Decoder | None) -> Self:
        """The same with what it was learned from."""
        return replace(self, teacher=teacher, decoder=decoder)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The teacher's proposal, corrected; its information is the teacher's."""
        if self.teacher is None:
            raise ResectError(KIND, "the teacher", "none", "with_parents(…) gives it one.")
        found = self.teacher.propose(photo, min(count, 1), generator)
        if not len(found):
            return found
        latent = self.teacher.latent(photo)[None]
        pose = found.cam_from_world
        with torch.no_grad():
            for _ in range(self.settings.iterations):
                reference, code = self.reference(pose)
                x, q = self.network(latent, code)
                pose = moved(reference, x, q, self.teacher.frame)
        return replace(found, cam_from_world=pose, source=(f"{KIND}:{self.settings.references}",))

    def reference(self, pose: SE3) -> tuple[SE3, Float[Tensor, "1 l"]]:
        """What a pose is compared with: itself, decoded, or the nearest training photo."""
        if self.settings.references == "decoder":
            if self.decoder is None:
                raise ResectError(KIND, "the pose decoder", "none", "with_parents(…) gives it one.")
            return pose, self.decoder.latents(pose).float()
        i = nearest(self.poses, pose, 1)[0]
        return self.poses[i], self.codes[i]

    def save(self, folder: Path) -> None:
        """Writes the artefact, with those of teacher and decoder beside it."""
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {"rotation": self.poses.R, "translation": self.poses.t, "codes": self.codes}
        if self.teacher is not None:
            self.teacher.save(folder / "teacher")
        if self.decoder is not None:
            self.decoder.save(folder / "decoder")
        artifact.save(folder, KIND, self.settings, tensors)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads and checks the artefact, without its parents."""
        found = artifact.load(folder, KIND)
        settings = artifact.settings_from_json(RelativeSettings, found.settings, f"{folder}/artifact.json")
        codes = found.tensor("codes", (None, None), torch.float32)
        n = len(codes)
        poses = SE3(
            found.tensor("rotation", (n, 3, 3), torch.float64), found.tensor("translation", (n, 3), torch.float64)
        )
        with torch.random.fork_rng(devices=[]):
            network = RelativeNetwork(settings, codes.shape[1])
        mine = {k.removeprefix("network/"): v for k, v in found.tensors.items() if k.startswith("network/")}
        load_weights(network, mine, folder)
        if n == 0 or not all(bool(v.isfinite().all()) for v in (codes, poses.R, poses.t)):
            raise ResectError(folder, "finite numbers of at least one photo", "others", "Fit it again.")
        return cls(network.eval().requires_grad_(False), settings, poses, codes)


def relation(reference: SE3, photo: SE3, frame: PoseFrame) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
    """Position of photos less that of references, in the frame's units, and the quaternion of R."""
    x = (photo.center - reference.center) / frame.scale.to(photo.t)
    return x.float(), so3.to_quaternion(reference.R @ photo.R.mT).float()


def moved(reference: SE3, x: Float[Tensor, "b 3"], q: Float[Tensor, "b 4"], frame: PoseFrame) -> SE3:
    """The poses that stand so to references: the inverse of `relation`."""
    center = reference.center + frame.scale.to(reference.t) * x.to(reference.t)
    between = so3.from_quaternion(functional.normalize(q, dim=-1)).to(reference.t)
    rotation = between.mT @ reference.R
    return SE3(rotation, -(rotation @ center[..., None])[..., 0])


def nearest(poses: SE3, of: SE3, count: int) -> Tensor:
    """(b, k) numbers of the nearest poses: distance of centres over their spread, plus angle in radians."""
    scale = (poses.center - poses.center.mean(0)).norm(dim=-1).mean().clamp_min(1e-9)
    n, b = len(poses), len(of)
    turn = so3.angle(of.R[:, None].expand(b, n, 3, 3), poses.R[None].expand(b, n, 3, 3))
    return (torch.cdist(of.center, poses.center) / scale + turn).argsort(dim=1, stable=True)[:, :count]
