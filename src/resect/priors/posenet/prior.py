"""A fitted pose regressor: one pose a photo, with the information that its errors on left-out photos amount to."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.nn.picture import look, shows_nothing, turned, view_camera
from resect.nn.pose_loss import PoseFrame
from resect.nn.training_pictures import TrainingPictures
from resect.priors.lay import information_of
from resect.priors.posenet.kin import Kin
from resect.priors.posenet.network import PoseNetNetwork, make_network
from resect.priors.posenet.settings import PoseNetSettings
from resect.types import Hypotheses, Photo, PhotoSet

KIND = "posenet"
_MOST_KIN, _KIN_WEIGHT = 15, -1.0


@dataclass(frozen=True, eq=False)
class PoseNet:
    """A trained regressor.

    Attributes:
        network: in evaluation mode, on the settings' device.
        settings: how it was built.
        camera: of its training photos; what a photo with another camera shows is resampled to this one's view.
        covariance: of δ = (v, ω) in exp(δ) @ cam_from_world, world units and radians; `None` if it was not measured.
        kin: training pictures, which have their share in an answer; `None` where they are not remembered.
    """

    network: PoseNetNetwork
    settings: PoseNetSettings
    camera: Camera
    covariance: Float[Tensor, "6 6"] | None = None
    kin: Kin | None = None

    def picture(self, photo: Photo) -> Float[Tensor, "1 3 s s"]:
        """What the network sees of a photo."""
        s = self.settings
        wide = view_camera(self.camera, round(s.side / s.share), crop=s.crop)
        seen = look(photo, wide)[None]
        return turned(seen, wide, view_camera(self.camera, s.side, s.share, crop=s.crop), torch.eye(3)[None])

    def regress(self, photo: Photo) -> SE3:
        """`cam_from_world` (1), float64."""
        with torch.no_grad():
            return answered(self.network, self.kin, self._features(photo))

    def _features(self, photo: Photo) -> Float[Tensor, "1 c i j"]:
        return self.network.see(self.picture(photo).to(self.settings.device))

    @property
    def frame(self) -> PoseFrame:
        """What poses are regressed in."""
        return self.network.frame

    def training_pictures(self, data: PhotoSet, memory_gb: float) -> TrainingPictures:
        """Photos as the network sees them."""
        s = self.settings
        return TrainingPictures(data, s.side, s.share, crop=s.crop, memory_gb=memory_gb, camera=self.camera)

    def latents(self, pictures: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b l"]:
        """What the network thinks of pictures before it says a pose: latents of position and rotation in a row."""
        return torch.cat(self.network.latents(self.network.see(pictures.to(self.settings.device))), -1)

    def latent(self, photo: Photo) -> Float[Tensor, "l"]:
        """The same of a photo."""
        with torch.no_grad():
            return self.latents(self.picture(photo))[0].cpu()

    def regress_latents(self, latents: Float[Tensor, "b l"]) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position and quaternion in the network's frame; differentiable in the latents."""
        return self.network.regress(*latents.chunk(2, -1))

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The answer, then poses of the training pictures most alike; none for a photo without any contrast."""
        if count < 1 or bool(shows_nothing(self.picture(photo)[0])):
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        with torch.no_grad():
            features = self._features(photo)
            poses = answered(self.network, self.kin, features)
            more = 0 if self.kin is None else min(count - 1, _MOST_KIN)
            if self.kin is not None and more:
                poses = SE3.cat([poses, self.kin.poses(self.network.code(features)[0].cpu(), more)])
        n = len(poses)
        information = None if self.covariance is None else information_of(self.covariance).repeat(n, 1, 1)
        weight = torch.cat([torch.zeros(1), torch.full((n - 1,), _KIN_WEIGHT)])
        return Hypotheses(poses, weight, information, source=(KIND,) * n, target=photo.target)

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        tensors = dict(self.network.state_dict())
        if self.covariance is not None:
            tensors["covariance"] = self.covariance
        extra: dict[str, object] = {"camera": asdict(self.camera)}
        if self.kin is not None:
            poses = self.kin.cam_from_world
            tensors |= {"kin_codes": self.kin.codes, "kin_R": poses.R, "kin_t": poses.t, "kin_photo": self.kin.photo}
            extra |= {"kin_share": list(self.kin.share)}
            extra |= {"kin_limit": list(self.kin.limit)} if math.isfinite(sum(self.kin.limit)) else {}
        artifact.save(folder, KIND, self.settings, tensors, extra=extra)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(PoseNetSettings, found.settings, where)
        settings = replace(settings, device=device)
        camera = artifact.settings_from_json(Camera, found.extra.get("camera") or {}, where)
        network = make_network(settings, None, 0, pretrained=False)
        given = {name: tensor for name, tensor in found.tensors.items() if not name.startswith("kin_")}
        covariance = given.pop("covariance", None)
        if covariance is not None:
            covariance = checked_covariance(found.tensor("covariance", (6, 6), torch.float64), folder)
        load_weights(network, given, folder)
        return cls(ready(network, device), settings, camera, covariance, _read_kin(found, where))


def answered(network: PoseNetNetwork, kin: Kin | None, features: Float[Tensor, "b c i j"]) -> SE3:
    """Poses of features, with the share of kin in them, float64."""
    x, q = network.regress(*network.latents(features))
    if kin is not None:
        x, q = kin.blend(network.code(features), x, q, network.frame)
    return network.frame.decode(x, q).double().to("cpu")


def _read_kin(found: artifact.Artifact, where: str) -> Kin | None:
    """What was remembered, checked."""
    if "kin_codes" not in found.tensors:
        return None
    codes = found.tensor("kin_codes", (None, None), torch.float16)
    n, photo = len(codes), found.tensor("kin_photo", (len(codes),), torch.int64)
    poses = SE3(found.tensor("kin_R", (n, 3, 3), torch.float64), found.tensor("kin_t", (n, 3), torch.float64))
    share = _two(found.extra.get("kin_share"), 1.0)
    limit = _two(found.extra.get("kin_limit", [math.inf, math.inf]), math.inf)
    finite = n > 0 and all(bool(x.isfinite().all()) for x in (codes, poses.R, poses.t))
    if share is None or limit is None or not finite:
        expected = "finite codes, poses, two shares from 0 to 1 and two limits"
        raise ResectError(where, expected, f"{share}, {limit}"[:80], "Fit it again.")
    return Kin(codes, poses, photo, share, limit)


def _two(values: object, most: float) -> tuple[float, float] | None:
    """Two numbers from 0 to a greatest; `None` for anything else."""
    if not isinstance(values, list) or len(values) != 2:
        return None
    good = all(isinstance(x, float) and 0 <= x <= most for x in values)
    return (values[0], values[1]) if good else None


def checked_covariance(covariance: Tensor, where: object) -> Tensor:
    """A finite, symmetric, positive matrix, or an error."""
    good = bool(covariance.isfinite().all()) and torch.allclose(covariance, covariance.mT)
    if not good or float(torch.linalg.eigvalsh(covariance).min()) <= 0:
        raise ResectError(f"{where}: covariance", "a positive definite matrix", "another", "Fit it again.")
    return covariance


def ready(network: PoseNetNetwork, device: str) -> PoseNetNetwork:
    """For answering: on its device, in evaluation mode, without gradients."""
    return network.to(device).eval().requires_grad_(False)
