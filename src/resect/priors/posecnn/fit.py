"""Trains PoseCNN on photos of known objects with masks and poses; every batch is fixed by the seed and the step."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.nn.backbone.weights import load_weights
from resect.nn.freeze import Frozen
from resect.nn.picture import Changes
from resect.priors.posecnn.cuts import cuts_of, owned, pictures_of, shown_surface
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.network import make_network
from resect.priors.posecnn.objects import KnownObject, known_objects
from resect.priors.posecnn.prior import PoseCnn, ready
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.spoil import spoiled
from resect.priors.posecnn.spread import measured_spread
from resect.priors.posecnn.surface import surface_loss
from resect.priors.posecnn.views import Views, cell_pixels, joined, owner_of_cells, turned
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures with the labels, directions and depths of their cells, and n cuts of the objects in them.

    Attributes:
        picture: turned, recoloured, blurred, noisy.
        label: of each cell: 0 background, else 1 + class.
        centre: direction to the centre and depth of each cell; 0 on the background.
        cut: pictures of single objects, changed in the same way.
        kind: class of each.
        rotation: of each in its cut's frame.
        place: of its surface that a part of a cut shows, about the middle, diameters.
        shown: whether a part shows it.
    """

    picture: Float[Tensor, "b 3 y x"]
    label: Int[Tensor, "b i j"]
    centre: Float[Tensor, "b 3 i j"]
    cut: Float[Tensor, "n 3 side side"]
    kind: Int[Tensor, "n"]
    rotation: Float[Tensor, "n 3 3"]
    place: Float[Tensor, "n u v 3"]
    shown: Bool[Tensor, "n u v"]


def fit(
    data: Mapping[str, ObjectSet],
    settings: PoseCnnSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> PoseCnn:
    """Trains the network on all photos given.

    Args:
        data: object id → its photos, with masks of what is visible, poses and a mesh.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: at most one PoseCNN of the same objects and sizes, to begin from.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).

    Raises:
        ResectError: an object without a mesh, or no masks at all.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    s = settings or PoseCnnSettings()
    seed = run_seed(s, generator)
    objects = known_objects(data, s.points, s.patches, torch.Generator().manual_seed(seed))
    frames = Frames(data, objects, s)
    depth = _mean_depth(frames)
    network = make_network(s, len(objects), seed)
    for begin in parents:
        _take_over(network, begin, objects)
    Frozen(network, s.held)
    batches = Batches(frames, s, depth, objects)
    trained = train(
        network, batches.batch, loss_of(objects, s), s,
        seed=seed, data=_digest(data), out=out, resume=resume, progress=progress,
    )  # fmt: skip
    meters = next(iter(data.values())).photos.world.meters_per_unit
    made = PoseCnn(ready(trained, s), s, objects, frames.camera, depth, meters)  # type: ignore[arg-type]
    made.spread = measured_spread(made, frames)
    finish(made, out)
    return made


def _take_over(network: nn.Module, begin: object, objects: tuple[KnownObject, ...]) -> None:
    """The weights of a network of the same objects and sizes."""
    if not isinstance(begin, PoseCnn) or begin.names != tuple(o.name for o in objects):
        got = ", ".join(begin.names) if isinstance(begin, PoseCnn) else type(begin).__name__
        raise ResectError("PoseCNN to begin from", ", ".join(o.name for o in objects), got)
    load_weights(network, {k: v.cpu() for k, v in begin.network.state_dict().items()}, "PoseCNN to begin from")


class Batches:
    """Draws batches on the settings' device.

    Args:
        frames: of the training photos.
        settings: how.
        depth: that depths count in.
        objects: that are in them.
    """

    def __init__(
        self, frames: Frames, settings: PoseCnnSettings, depth: float, objects: tuple[KnownObject, ...]
    ) -> None:
        self.frames, self.settings, self.depth = frames, settings, depth
        s = settings
        self.changes = Changes(turn_deg=s.turn_deg, roll_deg=s.roll_deg, colour=s.colour, blur_px=s.blur_px)
        self._cells = cell_pixels(settings)
        self._points = torch.stack([o.seen_from_middle(o.points) for o in objects])
        self._diameter = torch.tensor([o.diameter for o in objects])

    def batch(self, turn: Turn) -> Batch:
        """This process's share of a turn's batch; any turn, in any order, always the same.

        What is random is drawn on the CPU, so that a batch is the same on any device.
        """
        s = self.settings
        drawn = np.random.default_rng([turn.seed, 11, turn.step]).integers(len(self.frames), size=s.batch)
        rows = turn.mine(drawn.tolist())
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) * 64 + turn.rank)
        views = joined([self.frames[i] for i in rows]).to(s.device)
        whole = views
        if s.turn_deg > 0 or s.roll_deg > 0:
            whole = turned(views, self.frames.camera, self.changes.turns(len(rows), g).to(s.device), s)
        picture = spoiled(whole.picture.float() / 255, self.changes, s, g)
        return Batch(picture, *self.targets(whole), *self.cuts(views, g))

    def targets(self, views: Views) -> tuple[Int[Tensor, "b i j"], Float[Tensor, "b 3 i j"]]:
        """Label, and direction to the centre with depth, of all cells; 0 on the background."""
        owner = owner_of_cells(views.owner, self.settings).long()
        shape, inside = owner.shape, (owner > 0).flatten(1)
        label = functional.pad(views.kind + 1, (1, 0))[owner]
        centre, _ = self.frames.camera.project(views.middle)
        goal = functional.pad(torch.cat([torch.nan_to_num(centre), views.middle[:, 2:] / self.depth], 1), (0, 0, 1, 0))
        goal = goal[owner.flatten(1)]
        direction = functional.normalize(goal[..., :2] - self._cells.to(goal), dim=-1)
        each = torch.cat([direction, goal[..., 2:]], -1) * inside[..., None]
        return label, each.mT.reshape(-1, 3, *shape[1:])

    def cuts(self, views: Views, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Cuts of the objects that teach rotations, as the last five of a `Batch`."""
        s, camera = self.settings, self.frames.camera
        row = views.asked.nonzero()[:, 0].repeat_interleave(s.cuts)
        box, image, kind = views.box[row], views.image[row], views.kind[row]
        moved = (2 * torch.rand(box.shape, generator=g) - 1).to(box) * s.box_jitter
        box = box + moved * (box[:, 2:] - box[:, :2]).repeat(1, 2)
        roll = (2 * torch.rand(len(row), generator=g) - 1).to(box) * math.radians(s.roll_deg)
        cuts = cuts_of(box, camera, roll)
        picture = pictures_of(cuts, views.picture.float() / 255, image, camera, s.cut)
        rotation = cuts.turn.mT @ views.rotation[row]
        middle = (cuts.turn.mT @ views.middle[row, :, None])[..., 0] / self._diameter.to(box)[kind, None]
        parts = s.cut // s.strides[0]
        place, hit = shown_surface(cuts, self._points.to(box)[kind], rotation, middle, parts)
        shown = hit & owned(cuts, views.owner, image, row, camera, parts)
        return spoiled(picture, self.changes, s, g), kind, rotation, place, shown


def loss_of(objects: tuple[KnownObject, ...], s: PoseCnnSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a batch: labels, directions with depths, surfaces."""
    patches = torch.stack([o.seen_from_middle(o.patches) for o in objects])
    most = max(len(o.symmetries) for o in objects)
    turns = [torch.cat([o.symmetries, torch.eye(3).expand(most, 3, 3)])[:most] for o in objects]
    symmetries = torch.stack(turns)
    weight = torch.tensor([1.0] + len(objects) * [s.object_weight])

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        b = batch
        labels, centres, found = network(b.picture, b.cut, b.kind)
        label = functional.cross_entropy(labels, b.label, weight=weight.to(labels))
        centre = _centre_loss(centres, b, everywhere=s.everywhere)
        own, same = (known.to(b.rotation)[b.kind] for known in (patches, symmetries))
        off = surface_loss(found, b.place, b.shown, b.rotation, own, same)
        surface = off.sum() / max(1, len(off))
        total = s.label_weight * label + s.centre_weight * centre + s.surface_weight * surface
        return {"loss": total, "labels": label.detach(), "centres": centre.detach(), "surfaces": surface.detach()}

    return loss


def _centre_loss(centres: Float[Tensor, "b k 3 i j"], b: Batch, *, everywhere: bool) -> Tensor:
    """L1: of each cell the maps of its own class; or of all maps everywhere, which are 0 elsewhere."""
    inside = b.label > 0
    if everywhere:
        own = functional.one_hot((b.label - 1).clamp_min(0), centres.shape[1]).movedim(-1, 1) * inside[:, None]
        return (centres - b.centre[:, None] * own[:, :, None]).abs().mean()
    index = (b.label - 1).clamp_min(0)[:, None, None].expand(-1, 1, 3, -1, -1)
    mine = centres.gather(1, index)[:, 0]
    return ((mine - b.centre).abs() * inside[:, None]).sum() / (3 * inside.sum()).clamp_min(1)


def _mean_depth(frames: Frames) -> float:
    """Of the objects in some of the photos."""
    some = range(0, len(frames), max(1, len(frames) // 64))
    depth = torch.cat([frames[i].middle[:, 2] for i in some])
    if len(depth) == 0:
        fix = "Give photos with mask_visib/, as BOP has them, or draw some: 'resect data clutter'."
        raise ResectError("PoseCNN", "masks of the objects", "none", fix)
    return float(depth.mean())


def _digest(data: Mapping[str, ObjectSet]) -> str:
    content = hashlib.sha256()
    for name, objects in data.items():
        content.update(repr((name, objects.photos.names)).encode())
        content.update(objects.photos.truth.cam_from_world.double().matrix().numpy().tobytes())
    return content.hexdigest()
