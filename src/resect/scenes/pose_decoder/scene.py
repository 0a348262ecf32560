"""A pose decoder as a `Scene`: what it shows at a pose is one pixel of features, whatever the camera.

The features are the teacher's latent along the directions that poses change most against what is left unexplained, in
units of that. So a difference of features is a difference in standard deviations, and least squares weigh it rightly.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect import artifact
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.nn.pose_loss import PoseFrame
from resect.scenes.pose_decoder.chart import Chart, Layers
from resect.scenes.pose_decoder.network import PoseDecoderNetwork
from resect.scenes.pose_decoder.settings import PoseDecoderSettings
from resect.scenes.pose_decoder.teacher import Teacher
from resect.scenes.rays import check_asked
from resect.types import Channel, Photo, Render

KIND = "pose-decoder"
_AT_ONCE = 16384  # poses whose features are in memory
PIXEL = Camera(0.5, 0.5, 0.5, 0.5, 1, 1)
"""A camera of one pixel, which is all there is to see."""


@dataclass(frozen=True, eq=False)
class PoseDecoder:
    """A trained decoder.

    Attributes:
        network: in evaluation mode.
        settings: how it was built.
        frames: of the teacher, one for each place.
        project: from latents to features.
        middle: latent whose features are zero.
        bounds: corners of a box around the training cameras and what is before them, world units.
        scenes: names of the places, where there are several.
        scene: number of the place that is asked about.
        teacher: needed to look at photos.
    """

    network: PoseDecoderNetwork
    settings: PoseDecoderSettings
    frames: tuple[PoseFrame, ...]
    project: Float[Tensor, "c l"]
    middle: Float[Tensor, "l"]
    bounds: Float[Tensor, "2 3"]
    scenes: tuple[str, ...] = ()
    scene: int = 0
    teacher: Teacher | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Features alone."""
        return ("feature",)

    @property
    def code_dim(self) -> int:
        """0: places are told apart by `of`."""
        return 0

    def of(self, scene: str) -> Self:
        """The same for one of several places."""
        if scene not in self.scenes:
            raise unknown_name("scene", scene, self.scenes)
        return replace(self, scene=self.scenes.index(scene))

    def taught_by(self, teacher: Teacher) -> Self:
        """The same with the teacher that it learned from."""
        return replace(self, teacher=teacher)

    def lod(self, pixel_rad: float, distance: float | None = None) -> Self:
        """Itself: there is one pixel."""
        return self

    def latents(self, cam_from_world: SE3) -> Float[Tensor, "h l"]:
        """What the teacher would think of photos from there; differentiable."""
        found: Tensor = self.network(*self._inputs(cam_from_world))
        return found.to(cam_from_world.t)

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """What the teacher thinks of a photo, at every pixel of the camera."""
        if self.teacher is None:
            raise ResectError("PoseDecoder.observe", "the teacher", "none", "taught_by(teacher) gives it one.")
        latent = self.teacher.latent(photo).to(self.middle)
        feature = (self.project @ (latent - self.middle))[None, None]
        return Render(feature=feature.expand(1, camera.width * camera.height, -1))

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("feature",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """Features of H poses, the same at every pixel."""
        check_asked("PoseDecoder", want, self.channels, code, "'of' chooses the place")
        count = camera.width * camera.height if pixels is None else len(pixels)
        shown = self._features(cam_from_world)
        return Render(feature=shown[:, None].expand(-1, count, -1) if "feature" in want else None)

    def linearize(
        self, camera: Camera, cam_from_world: SE3, pixels: Float[Tensor, "n 2"], channel: Channel
    ) -> tuple[Float[Tensor, "h n c"], Float[Tensor, "h n c 6"]]:
        """Features at N pixels and their derivatives with respect to δ."""
        values, slopes = (torch.from_numpy(x) for x in self.chart(cam_from_world)(np.zeros((len(cam_from_world), 6))))
        shown, jacobian, n = values.to(cam_from_world.t), slopes.to(cam_from_world.t), len(pixels)
        return shown[:, None].expand(-1, n, -1), jacobian[:, None].expand(-1, n, -1, -1)

    def chart(self, start: SE3) -> Chart:
        """Features of poses exp(ξ) @ start and their derivatives, in closed form."""
        return Chart.about(start, self.frames[self.scene], self._layers)

    def distance2(self, photo: Photo, cam_from_world: SE3) -> Float[Tensor, "h"]:
        """Squared distance, in standard deviations, between what a photo and what poses look like to the teacher."""
        observed = self.observe(photo, PIXEL).feature
        assert observed is not None
        with torch.no_grad():
            chunks = (cam_from_world[k : k + _AT_ONCE] for k in range(0, len(cam_from_world), _AT_ONCE))
            return torch.cat([(self._features(c).float() - observed[0]).square().sum(-1) for c in chunks])

    def _features(self, cam_from_world: SE3) -> Float[Tensor, "h c"]:
        return self._shown(*self.network.hidden(*self._inputs(cam_from_world))).to(cam_from_world.t)

    def _shown(self, x_hidden: Tensor, q_hidden: Tensor) -> Tensor:
        """The last layers and the projection are one matrix each."""
        x_matrix, q_matrix, bias = self._folded
        return torch.addmm(torch.addmm(bias, x_hidden, x_matrix), q_hidden, q_matrix)

    def _inputs(self, cam_from_world: SE3) -> tuple[Tensor, Tensor, Tensor | None]:
        x, q = self.frames[self.scene].encode(cam_from_world)
        many = len(self.scenes) > 1
        return x, q, torch.full((len(x),), self.scene, device=x.device) if many else None

    @cached_property
    def _folded(self) -> tuple[Tensor, Tensor, Tensor]:
        x_last, q_last = self.network.x_encoder[-1], self.network.q_encoder[-1]
        half = len(self.middle) // 2
        bias = torch.cat([x_last.bias, q_last.bias]) - self.middle  # type: ignore[list-item]
        x_project, q_project = self.project[:, :half], self.project[:, half:]
        return (x_project @ x_last.weight).T, (q_project @ q_last.weight).T, self.project @ bias  # type: ignore[operator]

    @cached_property
    def _layers(self) -> Layers:
        project, middle = self.project.double().cpu().numpy(), self.middle.double().cpu().numpy()
        return Layers.of(self.network, project, middle, self.scene)

    def save(self, folder: Path) -> None:
        """Writes the artefact, with the teacher's in `teacher/`."""
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        for i, frame in enumerate(self.frames):
            tensors |= {f"frame{i}/{k}": v.clone() for k, v in frame.state_dict().items()}
        tensors |= {"project": self.project, "middle": self.middle, "bounds": self.bounds}
        if self.teacher is not None:
            self.teacher.save(folder / "teacher")
        artifact.save(folder, KIND, self.settings, tensors, extra={"scenes": list(self.scenes)})

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads and checks the artefact, without the teacher."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(PoseDecoderSettings, found.settings, where)
        scenes = found.extra.get("scenes")
        if not isinstance(scenes, list) or not all(isinstance(x, str) for x in scenes) or len(scenes) > 1000:
            raise ResectError(f"{where}: scenes", "a list of names", repr(scenes)[:80], "Fit it again.")
        middle = found.tensor("middle", (None,), torch.float32)
        project = found.tensor("project", (None, len(middle)), torch.float32)
        network = PoseDecoderNetwork(settings, len(middle), max(1, len(scenes)))
        frames = tuple(PoseFrame() for _ in scenes or (None,))
        parts = {"network/": network, **{f"frame{i}/": frame for i, frame in enumerate(frames)}}
        for part, module in parts.items():
            mine = {k.removeprefix(part): v for k, v in found.tensors.items() if k.startswith(part)}
            load_weights(module, mine, folder)
        bounds = found.tensor("bounds", (2, 3), torch.float32)
        if not all(bool(x.isfinite().all()) for x in (middle, project, bounds)):
            raise ResectError(folder, "finite numbers", "others", "Fit it again.")
        return cls(network.eval().requires_grad_(False), settings, frames, project, middle, bounds, tuple(scenes))
