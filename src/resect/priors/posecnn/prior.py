"""A fitted PoseCNN as a `Detector`: the known objects in a photo, with masks, boxes and poses."""

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
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.nn.backbone.weights import load_weights
from resect.nn.picture import look, shows_nothing
from resect.priors.lay import information_of
from resect.priors.posecnn import rolled
from resect.priors.posecnn.cuts import cuts_of, pictures_of
from resect.priors.posecnn.found import Found, PoseSpread, Seen, find
from resect.priors.posecnn.frames import camera_beside
from resect.priors.posecnn.network import PoseCnnNetwork, make_network
from resect.priors.posecnn.objects import KnownObject
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.store import checked_objects, object_tensors
from resect.priors.posecnn.surface import rotations_of
from resect.types import Hypotheses, Photo, Target

KIND = "posecnn"
_KNOWN_RAD = 0.8  # a rotation whose error is greater is not known


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

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the objects."""
        return tuple(o.name for o in self.objects)

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        """At most `count` objects, best first, each with its mask, box and one pose; none where nothing is found.

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
        poses = self.poses(seen, found)
        answers = []
        for k, one in enumerate(found):
            mask = self._in_photo(one.cells, seen.camera, photo)
            if not bool(mask.any()):
                continue
            target = Target(self.names[one.kind], one.instance, box=box_of(mask), mask=mask, score=one.score)
            answers.append((with_target(photo, target), self._hypotheses(poses[k : k + 1], one, target)))
        return answers

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """Poses of the instances of the target's object (of the best object where there is no target)."""
        del generator
        asked = None if photo.target is None else photo.target.object_id
        if asked is not None and asked not in self.names:
            raise unknown_name("object", asked, self.names)
        seen = [] if photo.camera is None else self.detect(photo, 10**6)
        found = [h for p, h in seen if asked is None or (p.target and p.target.object_id == asked)]
        if not found:
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        found = found[: max(1, count)] if asked is not None else found[:1]
        information = torch.cat([h.information for h in found if h.information is not None])
        return Hypotheses(
            SE3.cat([h.cam_from_world for h in found]),
            torch.cat([h.log_weight for h in found]),
            information,
            source=(KIND,) * len(found),
            target=photo.target,
        )

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

    def poses(self, seen: Seen, found: list[Found]) -> SE3:
        """One pose an object: the centre's ray at its depth, the rotation of what its cut shows."""
        known = [self.objects[f.kind] for f in found]
        ray = seen.camera.rays(torch.stack([f.centre for f in found])).double()
        middle = ray / ray[:, 2:] * torch.tensor([[f.depth] for f in found], dtype=torch.float64)
        rotation = self._rotations(seen, found, middle)
        own = torch.stack([o.middle for o in known]).double()
        return SE3(rotation, middle - (rotation @ own[..., None])[..., 0])

    def _rotations(self, seen: Seen, found: list[Found], middle: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
        s, known = self.settings, [self.objects[f.kind] for f in found]
        boxes = torch.tensor([box_of(f.cells) for f in found]) * s.cell
        cuts = cuts_of(boxes, seen.camera)
        pictures = pictures_of(cuts, seen.picture[None], torch.zeros(len(found), dtype=torch.long), seen.camera, s.cut)
        kind = torch.tensor([f.kind for f in found])
        with torch.no_grad():
            surface = rolled.surface(self.network, pictures.to(s.device), kind.to(s.device), s.turns).cpu()
        distance = (middle.float() * cuts.turn[..., 2]).sum(-1) / torch.tensor([o.diameter for o in known])
        patches = torch.stack([o.seen_from_middle(o.patches) for o in known])
        return cuts.turn.double() @ rotations_of(surface, cuts, distance, patches).double()

    def _hypotheses(self, pose: SE3, found: Found, target: Target) -> Hypotheses:
        """With a spread about the object's middle."""
        known, spread = self.objects[found.kind], self.spread
        middle = pose.apply(known.middle.double()[None, None])[0, 0]
        along = torch.nn.functional.normalize(middle, dim=0)
        axis = along[:, None] * along
        eye = torch.eye(3, dtype=torch.float64)
        place = (spread.across * known.diameter) ** 2 * (eye - axis) + (spread.away * found.depth) ** 2 * axis
        carry = torch.eye(6, dtype=torch.float64)
        carry[:3, 3:] = so3.hat(middle)
        turn = spread.turn_rad**-2 if spread.turn_rad < _KNOWN_RAD else 0.0
        pivoted = torch.block_diag(information_of(place), turn * eye)
        back = torch.linalg.inv(carry)
        information = back.mT @ pivoted @ back
        weight = torch.tensor([found.score]).clamp_min(1e-6).log()
        return Hypotheses(pose, weight, information[None], source=(KIND,), target=target)

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


def ready(network: PoseCnnNetwork, settings: PoseCnnSettings) -> PoseCnnNetwork:
    """For answering: on its device, in evaluation mode, without gradients."""
    return network.to(settings.device).eval().requires_grad_(False)
