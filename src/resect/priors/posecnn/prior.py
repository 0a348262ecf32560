"""A fitted PoseCNN as a `Detector`: the known objects in a photo, with masks, boxes and poses."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect import artifact
from resect.data.mask import box_of
from resect.data.target import with_target
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3, pivot
from resect.nn.backbone.weights import load_weights
from resect.nn.picture import look, shows_nothing
from resect.priors.lay import information_of, place_covariance
from resect.priors.posecnn import rolled
from resect.priors.posecnn.cuts import cuts_of, pictures_of
from resect.priors.posecnn.found import Found, PoseSpread, Seen, find
from resect.priors.posecnn.frames import camera_beside
from resect.priors.posecnn.network import PoseCnnNetwork, make_network
from resect.priors.posecnn.objects import KnownObject
from resect.priors.posecnn.patterns import Patterns, patterns_of, turned
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.store import checked_objects, object_tensors
from resect.types import Hypotheses, Photo, Target

KIND = "posecnn"
_FEWER = 16  # of an object's points tell its box
_KNOWN_RAD = 0.35  # where the nearest of many rotations is farther off, rotations are not known


class PoseCnn:
    """A fitted PoseCNN.

    Args:
        network: in evaluation mode, on the settings' device.
        settings: how it was built.
        objects: that it knows, in the order of its classes.
        camera: of its pictures.
        depth: that depths count in.
        meters_per_unit: of the objects' units, if known.
        spread: of the poses; rotations that are too far off count as unknown.
    """

    def __init__(
        self,
        network: PoseCnnNetwork,
        settings: PoseCnnSettings,
        objects: tuple[KnownObject, ...],
        camera: Camera,
        depth: float,
        meters_per_unit: float | None,
        spread: PoseSpread | None = None,
    ) -> None:
        self.network, self.settings, self.objects = network, settings, objects
        self.camera, self.depth, self.meters_per_unit = camera, depth, meters_per_unit
        self.spread = spread or PoseSpread()
        self._patterns: dict[int, Patterns] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the objects."""
        return tuple(o.name for o in self.objects)

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        """At most `count` objects, best first, each with its mask, box and poses; none where nothing is found.

        Instances of a class are numbered from the surest, 0, on.

        Poses of one object are a density over what it may be, the likeliest first: rotations of a grid, some 15° apart.

        The photo's camera must be known: the network looks at a picture of the focal length that it was trained with,
        which is the larger the wider the photo's camera sees.
        """
        camera = camera_beside(self.camera, photo.known_camera())
        picture = look(photo, camera)
        if bool(shows_nothing(picture)):
            return []
        seen = self.look(picture, camera)
        found = sorted(self.find(seen), key=lambda f: -f.score)[:count]
        if not found:
            return []
        answers, before = [], [0] * len(self.names)
        for one, (pose, likely) in zip(found, self.poses(seen, found), strict=True):
            mask = self._in_photo(one.cells, seen.camera, photo)
            if not bool(mask.any()):
                continue
            target = Target(self.names[one.kind], before[one.kind], box=box_of(mask), mask=mask, score=one.score)
            before[one.kind] += 1
            answers.append((with_target(photo, target), self._hypotheses(pose, likely, one, target)))
        return answers

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The likeliest poses of the target's object, of any instance; of the best object where there is no target."""
        del generator
        asked = None if photo.target is None else photo.target.object_id
        if asked is not None and asked not in self.names:
            raise unknown_name("object", asked, self.names)
        seen = [] if photo.camera is None else self.detect(photo, 10**6)
        found = [h for p, h in seen if asked is None or (p.target and p.target.object_id == asked)]
        if not found:
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        found = found if asked is not None else found[:1]
        return Hypotheses.cat(found, photo.target).best(max(1, count))

    def of(self, mesh: Mesh) -> Self:
        """Itself: which object is meant says the photo's target."""
        del mesh
        return self

    def look(self, picture: Float[Tensor, "3 y x"], camera: Camera) -> Seen:
        """The network's maps of a picture of a camera of its focal length."""
        with torch.no_grad():
            probability, centres = rolled.dense(self.network, picture.to(self.settings.device), self.settings.turns)
        return Seen(probability.cpu(), centres.cpu(), picture, camera)

    def find(self, seen: Seen) -> list[Found]:
        """Objects by voting, every class."""
        return find(seen, self.settings, self.depth, [o.radius for o in self.objects])

    def poses(self, seen: Seen, found: list[Found]) -> list[tuple[SE3, Float[Tensor, "k"]]]:
        """Poses of each object by what its cut shows, the likeliest first, and the logarithms of their weights.

        In two rounds: boxes of cells are off, and what is cut by the box of the likeliest pose is more like what cuts
        showed in training.
        """
        boxes = torch.tensor([box_of(f.cells) for f in found]).float() * self.settings.cell
        known = [self.objects[f.kind] for f in found]
        first = self._poses_in(seen, found, boxes, 1)
        better = [
            _seen_box(seen.camera, pose, one, box) for (pose, _), one, box in zip(first, known, boxes, strict=True)
        ]
        return self._poses_in(seen, found, torch.stack(better), self.settings.poses)

    def _poses_in(
        self, seen: Seen, found: list[Found], boxes: Float[Tensor, "n 4"], count: int
    ) -> list[tuple[SE3, Float[Tensor, "k"]]]:
        s, cuts = self.settings, cuts_of(boxes, seen.camera)
        pictures = pictures_of(cuts, seen.picture[None], torch.zeros(len(found), dtype=torch.long), seen.camera, s.cut)
        kind = torch.tensor([f.kind for f in found])
        with torch.no_grad():
            surface = rolled.surface(self.network, pictures.to(s.device), kind.to(s.device), s.turns).cpu()
        answers = []
        for k, one in enumerate(found):
            known = self.objects[one.kind]
            likely = turned(surface.row(k), cuts.row(k), self._patterns_of(one.kind), count)
            turn = cuts.turn[k].double()
            rotation, middle = turn @ likely.rotation.double(), known.diameter * likely.middle.double() @ turn.mT
            pose = SE3(rotation, middle - (rotation @ known.middle.double()[:, None])[..., 0])
            answers.append((pose, likely.log_weight))
        return answers

    def _patterns_of(self, kind: int) -> Patterns:
        if kind not in self._patterns:
            self._patterns[kind] = patterns_of(self.objects[kind])
        return self._patterns[kind]

    def _hypotheses(self, pose: SE3, likely: Float[Tensor, "k"], found: Found, target: Target) -> Hypotheses:
        """With a spread about the object's middle; one alone, of which the place is known, where rotations are not."""
        known, spread, n = self.objects[found.kind], self.spread, len(likely)
        middle = pose.apply(known.middle.double().expand(n, 1, 3))[:, 0]
        known_turn = spread.turn_rad < _KNOWN_RAD
        pivoted = torch.zeros(n, 6, 6, dtype=torch.float64)
        pivoted[:, :3, :3] = information_of(place_covariance(middle, spread.across * known.diameter, spread.away))
        pivoted[:, 3:, 3:] = torch.eye(3, dtype=torch.float64) * spread.turn_rad**-2 * known_turn
        back = pivot(-middle)
        weight = likely.log_softmax(0) + math.log(max(found.score, 1e-6))
        every = Hypotheses(pose, weight, back.mT @ pivoted @ back, source=n * (KIND,), target=target)
        return every if known_turn else every.take([0])

    def _in_photo(self, cells: Bool[Tensor, "i j"], camera: Camera, photo: Photo) -> Bool[Tensor, "h w"]:
        """Cells of a camera's picture as pixels of the photo."""
        mine, s = photo.known_camera(), self.settings
        at, seen = camera.project(mine.rays(mine.pixels()))
        x, y = (at[:, 0] / s.cell).floor().long(), (at[:, 1] / s.cell).floor().long()
        inside = seen & (x >= 0) & (y >= 0) & (x < cells.shape[1]) & (y < cells.shape[0])
        mask = inside & cells[y.clamp(0, cells.shape[0] - 1), x.clamp(0, cells.shape[1] - 1)]
        return mask.view(mine.height, mine.width)

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        facts = {
            "names": list(self.names),
            "diameters": [o.diameter for o in self.objects],
            "camera": artifact.as_json(self.camera),
            "depth": self.depth,
            "meters_per_unit": self.meters_per_unit,
            "spread": artifact.as_json(self.spread),
        }
        own = object_tensors(self.objects)
        weights = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        settings = replace(self.settings, pretrained="")
        artifact.save(folder, KIND, settings, weights | own, extra=facts)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(PoseCnnSettings, found.settings, where)
        settings = replace(settings, device=device, pretrained="")
        objects, depth, meters = checked_objects(found.extra, found.tensors, settings.patches, where)
        camera = artifact.settings_from_json(Camera, found.extra.get("camera") or {}, where)
        network = make_network(settings, len(objects), 0)
        weights = {k.removeprefix("network."): v for k, v in found.tensors.items() if k.startswith("network.")}
        load_weights(network, weights, folder)
        spread = artifact.settings_from_json(PoseSpread, found.extra.get("spread") or {}, where)
        if not all(0 < x < float("inf") for x in (spread.turn_rad, spread.across, spread.away)):
            raise ResectError(f"{where}: spread", "numbers above 0", str(spread), "Fit it again.")
        return cls(ready(network, settings), settings, objects, camera, depth, meters, spread)


def _seen_box(camera: Camera, pose: SE3, known: KnownObject, other: Float[Tensor, "4"]) -> Float[Tensor, "4"]:
    """The box that an object fills in a picture at the first pose; the other one where it reaches behind the camera or
    out of the picture.
    """
    points = pose[:1].apply(known.points[::_FEWER].double()[None])[0]
    tangent = points[:, :2] / points[:, 2:].clamp_min(1e-9)
    at = tangent * tangent.new_tensor([camera.fx, camera.fy]) + tangent.new_tensor([camera.cx, camera.cy])
    most = at.new_tensor([camera.width, camera.height])
    low, high = at.amin(0).clamp_min(0), at.amax(0).minimum(most)
    sound = bool((points[:, 2] > 0).all()) and bool((high - low > 1).all())
    return torch.cat([low, high]).to(other) if sound else other


def ready(network: PoseCnnNetwork, settings: PoseCnnSettings) -> PoseCnnNetwork:
    """For answering: on its device, in evaluation mode, without gradients."""
    return network.to(settings.device).eval().requires_grad_(False)
