"""A fitted regressor of several places: which place a photo shows, and its pose there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.backbone.make import make_backbone
from resect.nn.backbone.weights import load_weights
from resect.nn.picture import look, shows_nothing, turned, view_camera
from resect.nn.pose_loss import PoseFrame
from resect.nn.training_pictures import TrainingPictures
from resect.priors.lay import information_of
from resect.priors.ms_transformer.network import MSTransformerNetwork, chosen
from resect.priors.ms_transformer.settings import MSTransformerSettings
from resect.priors.posenet.prior import checked_covariance
from resect.types import Hypotheses, Photo, PhotoSet

KIND = "ms-transformer"
_MOST_SCENES = 1000


@dataclass(frozen=True, eq=False)
class Place:
    """What is known of one of the places.

    Attributes:
        camera: of its training photos.
        frame: what its poses are regressed in.
        covariance: of δ = (v, ω) in exp(δ) @ cam_from_world; `None` if it was not measured.
    """

    camera: Camera
    frame: PoseFrame = field(default_factory=PoseFrame)
    covariance: Float[Tensor, "6 6"] | None = None


@dataclass(frozen=True, eq=False)
class MSTransformer:
    """A trained network.

    Attributes:
        network: in evaluation mode, on the settings' device.
        settings: how it was built.
        places: by name, sorted.
        scene: the place that is asked about; `None` where the photo is to tell.
    """

    network: MSTransformerNetwork
    settings: MSTransformerSettings
    places: Mapping[str, Place]
    scene: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the places, in the order of their queries."""
        return tuple(self.places)

    @property
    def frame(self) -> PoseFrame:
        """What poses of the place that is asked about are regressed in."""
        return self.places[self._asked()].frame

    def of(self, scene: str) -> Self:
        """The same, asked about one place; its poses alone are in that place's world."""
        if scene not in self.places:
            raise unknown_name("place", scene, self.places)
        return replace(self, scene=scene)

    def picture(self, photo: Photo, scene: str | None = None) -> Float[Tensor, "1 3 s s"]:
        """What the network sees of a photo, in the view of a place's camera (the first place's by default)."""
        s = self.settings
        camera = self.places[scene or self.scene or self.names[0]].camera
        wide = view_camera(camera, round(s.side / s.share), crop=s.crop)
        return turned(
            look(photo, wide)[None], wide, view_camera(camera, s.side, s.share, crop=s.crop), torch.eye(3)[None]
        )

    def probabilities(self, photo: Photo) -> Float[Tensor, "s"]:
        """That a photo shows each place."""
        with torch.no_grad():
            x, q, _ = self.network.gather(self.network.see(self.picture(photo).to(self.settings.device)))
            return self.network.scenes(x, q)[0].exp().cpu()

    def attention(self, photo: Photo, scene: str | None = None) -> dict[str, Float[Tensor, "i j"]]:
        """Where the queries of a place look, for "position" and "rotation": weights of the cells, of sum 1."""
        number = self.names.index(scene or self.scene or self.names[int(self.probabilities(photo).argmax())])
        with torch.no_grad():
            features = self.network.see(self.picture(photo, scene).to(self.settings.device))
            _, _, looked = self.network.gather(features, need_weights=True)
        shapes = [f.shape[2:] for f in features]
        maps = [w[0, number].view(*shape).cpu() for w, shape in zip(looked, shapes, strict=True) if w is not None]
        return dict(zip(("position", "rotation"), maps, strict=True))

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The pose in the place that is asked about, or in the most likely one; it weighs that place's probability."""
        nothing = Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        if count < 1 or bool(shows_nothing(self.picture(photo)[0])):
            return nothing
        likely = self.probabilities(photo)
        name = self.scene or self.names[int(likely.argmax())]
        place, number = self.places[name], self.names.index(name)
        with torch.no_grad():
            x, q, _ = self.network.gather(self.network.see(self.picture(photo, name).to(self.settings.device)))
            which = torch.tensor([number], device=x.device)
            pose = place.frame.decode(*(v.cpu() for v in self.network.regress(x[:, number], q[:, number], which)))
        information = None if place.covariance is None else information_of(place.covariance)[None]
        return Hypotheses(
            pose.double(),
            likely[number : number + 1].clamp_min(1e-30).log(),
            information,
            source=(f"{KIND}:{name}",),
            target=photo.target,
        )

    def training_pictures(self, data: PhotoSet, memory_gb: float) -> TrainingPictures:
        """Photos of the place that is asked about, as the network sees them."""
        s, camera = self.settings, self.places[self._asked()].camera
        return TrainingPictures(data, s.side, s.share, crop=s.crop, memory_gb=memory_gb, camera=camera)

    def latents(self, pictures: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b l"]:
        """What the queries of the place that is asked about make of pictures: of position and of rotation in a row."""
        x, q, _ = self.network.gather(self.network.see(pictures.to(self.settings.device)))
        which = torch.full((len(x),), self.names.index(self._asked()), device=x.device)
        return torch.cat([chosen(x, which), chosen(q, which)], -1)

    def latent(self, photo: Photo) -> Float[Tensor, "l"]:
        """The same of a photo."""
        with torch.no_grad():
            return self.latents(self.picture(photo))[0].cpu()

    def regress_latents(self, latents: Float[Tensor, "b l"]) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position and quaternion in the place's frame; differentiable in the latents."""
        which = torch.full((len(latents),), self.names.index(self._asked()), device=latents.device)
        x, q = latents.chunk(2, -1)
        return self.network.regress(x, q, which)

    def _asked(self) -> str:
        if self.scene is None and len(self.places) > 1:
            raise ResectError("ms-transformer", "one place to be asked about", "none chosen", "of(name) chooses it.")
        return self.scene or self.names[0]

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        for i, place in enumerate(self.places.values()):
            tensors |= {f"frame{i}/{k}": v for k, v in place.frame.state_dict().items()}
            if place.covariance is not None:
                tensors[f"covariance{i}"] = place.covariance
        places = {name: asdict(place.camera) for name, place in self.places.items()}
        artifact.save(folder, KIND, self.settings, tensors, extra={"places": places, "scene": self.scene})

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(MSTransformerSettings, found.settings, where)
        cameras = found.extra.get("places")
        if not isinstance(cameras, dict) or not 0 < len(cameras) <= _MOST_SCENES:
            raise ResectError(f"{where}: places", f"1 to {_MOST_SCENES} places", repr(cameras)[:80], "Fit it again.")
        with torch.random.fork_rng(devices=[]):  # first weights draw from it
            network = MSTransformerNetwork(settings, len(cameras), make_backbone(settings.backbone))
        places = {}
        for i, (name, camera) in enumerate(cameras.items()):
            frame, covariance = PoseFrame(), None
            load_weights(frame, _part(found.tensors, f"frame{i}/"), folder)
            if f"covariance{i}" in found.tensors:
                covariance = checked_covariance(found.tensor(f"covariance{i}", (6, 6), torch.float64), folder)
            places[name] = Place(artifact.settings_from_json(Camera, camera or {}, where), frame, covariance)
        load_weights(network, _part(found.tensors, "network/"), folder)
        network = network.to(device).eval().requires_grad_(False)
        made = cls(network, replace(settings, device=device), places)
        scene = found.extra.get("scene")
        return made if scene is None else made.of(str(scene))


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
