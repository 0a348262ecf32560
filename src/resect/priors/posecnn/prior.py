"""A fitted PoseCNN as a `Detector`: the known objects in a photo, with masks, boxes and poses."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
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
from resect.priors.posecnn.frames import KnownObject, cell_pixels, turn_to
from resect.priors.posecnn.hough import Vote, find_centres
from resect.priors.posecnn.network import PoseCnnNetwork, make_network
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.types import Hypotheses, Photo, Target

KIND = "posecnn"
_KNOWN_RAD = 0.8  # a rotation whose error is greater is not known
_MOST_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network makes of a picture.

    Attributes:
        probability: of the labels of all cells, background first.
        centres: direction to the centre and depth of all cells, by class.
        maps: what boxes are cut from.
    """

    probability: Float[Tensor, "k i j"]
    centres: Float[Tensor, "k-1 3 i j"]
    maps: list[Tensor]


@dataclass(frozen=True, eq=False)
class Found:
    """One object in the network's picture.

    Attributes:
        kind: class, from 0.
        instance: of its class.
        cells: that show it.
        centre: projection of its middle, pixels of the picture.
        depth: of its middle, object units.
        score: mean probability of its cells times the share that votes for the centre.
    """

    kind: int
    instance: int
    cells: Bool[Tensor, "i j"]
    centre: Float[Tensor, "2"]
    depth: float
    score: float


@dataclass(frozen=True)
class PoseSpread:
    """Standard deviations of poses, as measured on training photos.

    Attributes:
        turn_rad: of each angle of the rotation.
        across: of the middle's place across the ray, parts of the diameter.
        away: along it, parts of the depth.
    """

    turn_rad: float = 0.35
    across: float = 0.05
    away: float = 0.08


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
        self._cells = cell_pixels(settings)

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the objects."""
        return tuple(o.name for o in self.objects)

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        """At most `count` objects, best first, each with its mask, box and one pose; none where nothing is found.

        The photo's camera must be known: the network's picture is resampled to the camera it was trained with.
        """
        photo.known_camera()
        picture = look(photo, self.camera)
        if bool(shows_nothing(picture)):
            return []
        seen = self.look(picture)
        found = sorted(self.find(seen), key=lambda f: -f.score)[:count]
        if not found:
            return []
        poses = self.poses(seen, found)
        answers = []
        for k, one in enumerate(found):
            mask = self._in_photo(one.cells, photo)
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

    def look(self, picture: Float[Tensor, "3 y x"]) -> Seen:
        """The network's maps of a picture of its camera."""
        with torch.no_grad():
            maps = self.network.maps(picture[None].to(self.settings.device))
            labels, centres = self.network.dense(maps)
        return Seen(labels[0].softmax(0).cpu(), centres[0].cpu(), maps)

    def find(self, seen: Seen) -> list[Found]:
        """Objects by voting, every class."""
        s = self.settings
        label = seen.probability.argmax(0)
        found = []
        for kind in range(len(self.objects)):
            mine = label == kind + 1
            if int(mine.sum()) < s.least_cells:
                continue
            index = mine.flatten().nonzero()[:, 0]
            values = seen.centres[kind].flatten(1).T[index]
            votes = find_centres(
                self._cells[index],
                values[:, :2],
                torch.Generator().manual_seed(kind),
                agreeing=s.agreeing,
                least=s.least_cells,
                least_share=s.least_votes,
                most=s.instances,
            )
            for instance, vote in enumerate(votes):
                found.append(self._found(seen, kind, instance, index, vote, values[:, 2]))
        return [f for f in found if f.depth > 0]

    def _found(
        self, seen: Seen, kind: int, instance: int, index: Int[Tensor, "n"], vote: Vote, depths: Float[Tensor, "n"]
    ) -> Found:
        cells = torch.zeros(seen.probability[0].numel(), dtype=torch.bool)
        cells[index[vote.voters]] = True
        sure = float(seen.probability[kind + 1].flatten()[index[vote.voters]].mean())
        depth = float(depths[vote.voters].median()) * self.depth
        return Found(kind, instance, cells.view(seen.probability.shape[1:]), vote.centre, depth, sure * vote.share)

    def poses(self, seen: Seen, found: list[Found]) -> SE3:
        """One pose an object: the centre's ray at its depth, the rotation of its box."""
        s = self.settings
        boxes = torch.tensor([box_of(f.cells) for f in found]) * s.cell
        first = torch.zeros(len(found), dtype=torch.long)
        with torch.no_grad():
            quaternions = self.network.rotations(seen.maps, boxes.to(s.device), first.to(s.device)).cpu().double()
        rotation = so3.from_quaternion(torch.stack([quaternions[k, f.kind] for k, f in enumerate(found)]))
        ray = self.camera.rays(torch.stack([f.centre for f in found])).double()
        middle = ray / ray[:, 2:] * torch.tensor([[f.depth] for f in found], dtype=torch.float64)
        rotation = turn_to(middle) @ rotation if s.relative else rotation
        own = torch.stack([self.objects[f.kind].middle for f in found]).double()
        return SE3(rotation, middle - (rotation @ own[..., None])[..., 0])

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

    def _in_photo(self, cells: Bool[Tensor, "i j"], photo: Photo) -> Bool[Tensor, "h w"]:
        """Cells of the picture as pixels of the photo."""
        mine, s = photo.known_camera(), self.settings
        at, seen = self.camera.project(mine.rays(mine.pixels()))
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
        own = {f"objects.{i}.{k}": getattr(o, k) for i, o in enumerate(self.objects) for k in _OWN}
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
        objects, depth, meters = _checked(found.extra, found.tensors, where)
        camera = artifact.settings_from_json(Camera, found.extra.get("camera") or {}, where)
        network = make_network(settings, len(objects), 0)
        weights = {k.removeprefix("network."): v for k, v in found.tensors.items() if k.startswith("network.")}
        load_weights(network, weights, folder)
        spread = artifact.settings_from_json(PoseSpread, found.extra.get("spread") or {}, where)
        if not all(0 < x < float("inf") for x in (spread.turn_rad, spread.across, spread.away)):
            raise ResectError(f"{where}: spread", "numbers above 0", str(spread), "Fit it again.")
        return cls(ready(network, settings), settings, objects, camera, depth, meters, spread)


_OWN = ("points", "middle", "symmetries")


def _checked(
    facts: dict[str, Any], tensors: dict[str, Tensor], where: str
) -> tuple[tuple[KnownObject, ...], float, float | None]:
    """Objects, mean depth and units, as an artefact has them."""
    names, sizes, depth, meters = (facts.get(k) for k in ("names", "diameters", "depth", "meters_per_unit"))
    try:
        rows = list(zip(map(str, names), map(float, sizes), strict=True))  # type: ignore[arg-type]
        objects = tuple(
            KnownObject(
                name,
                tensors[f"objects.{i}.points"],
                tensors[f"objects.{i}.middle"],
                size,
                tensors[f"objects.{i}.symmetries"],
            )
            for i, (name, size) in enumerate(rows)
        )
        mean, unit = float(depth), None if meters is None else float(meters)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise ResectError(where, "the objects of a PoseCNN", str(error)[:80] or "others", "Fit it again.") from None
    shaped = all(o.points.shape[1:] == (3,) and o.middle.shape == (3,) for o in objects)
    sound = 0 < mean < float("inf") and all(o.diameter > 0 for o in objects)
    if not (0 < len(objects) <= _MOST_CLASSES and shaped and sound):
        raise ResectError(where, "the objects of a PoseCNN", f"{len(objects)}, mean depth {mean:g}", "Fit it again.")
    return objects, mean, unit


def ready(network: PoseCnnNetwork, settings: PoseCnnSettings) -> PoseCnnNetwork:
    """For answering: on its device, in evaluation mode, without gradients."""
    return network.to(settings.device).eval().requires_grad_(False)
