"""Trains PoseCNN on photos of known objects with masks and poses; every batch is fixed by the seed and the step."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.geometry import so3
from resect.nn.backbone.weights import load_weights
from resect.nn.freeze import Frozen
from resect.nn.picture import Changes
from resect.priors.posecnn.frames import Frame, Frames, KnownObject, cell_pixels, known_objects, owner_of_cells, turn_to
from resect.priors.posecnn.losses import pose_loss, shape_match_loss
from resect.priors.posecnn.network import make_network
from resect.priors.posecnn.prior import PoseCnn, ready
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.spread import measured_spread
from resect.priors.posecnn.turned import turned_frames
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures and what is in them; `image` says which picture each of the n objects is in."""

    picture: Float[Tensor, "b 3 y x"]
    label: Int[Tensor, "b i j"]
    centre: Float[Tensor, "b 3 i j"]
    kind: Int[Tensor, "n"]
    image: Int[Tensor, "n"]
    box: Float[Tensor, "n 4"]
    rotation: Float[Tensor, "n 3 3"]
    asked: Tensor


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
    objects = known_objects(data, s.points, torch.Generator().manual_seed(seed))
    frames = Frames(data, objects, s)
    depth = _mean_depth(frames)
    network = make_network(s, len(objects), seed)
    for begin in parents:
        _take_over(network, begin, objects)
    Frozen(network, s.held)
    batches = Batches(frames, s, depth)
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
    """Draws batches of pictures, turned, recoloured, blurred and noisy.

    Args:
        frames: of the training photos.
        settings: how.
        depth: that depths count in.
    """

    def __init__(self, frames: Frames, settings: PoseCnnSettings, depth: float) -> None:
        self.frames, self.settings, self.depth = frames, settings, depth
        s = settings
        self.changes = Changes(turn_deg=s.turn_deg, roll_deg=s.roll_deg, colour=s.colour, blur_px=s.blur_px)
        self.cells = cell_pixels(settings)

    def batch(self, turn: Turn) -> Batch:
        """This process's share of a turn's batch; any turn, in any order, always the same."""
        s = self.settings
        drawn = np.random.default_rng([turn.seed, 11, turn.step]).integers(len(self.frames), size=s.batch)
        rows = turn.mine(drawn.tolist())
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) * 64 + turn.rank)
        frames = [self.frames[i] for i in rows]
        if s.turn_deg > 0 or s.roll_deg > 0:
            frames = turned_frames(frames, self.frames.camera, self.changes.turns(len(rows), g), s)
        picture = spoiled(torch.stack([f.picture for f in frames]).float() / 255, self.changes, s, g)
        targets = [self._cells(f) for f in frames]
        image = torch.cat([torch.full((len(f.kind),), b) for b, f in enumerate(frames)])
        kind, rotation, middle, box, asked = (
            torch.cat([getattr(f, name) for f in frames]) for name in ("kind", "rotation", "middle", "box", "asked")
        )
        size = (box[:, 2:] - box[:, :2]).repeat(1, 2)
        box = box + s.box_jitter * size * (2 * torch.rand(box.shape, generator=g) - 1)
        rotation = turn_to(middle).mT @ rotation if s.relative else rotation
        labels, centres = (torch.stack(x) for x in zip(*targets, strict=True))
        return Batch(picture, labels, centres, kind, image, box, rotation, asked)

    def _cells(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """Label, and direction to the centre with depth, of all cells; 0 on the background."""
        camera = self.frames.camera
        kinds = torch.cat([torch.zeros(1, dtype=torch.long), frame.kind + 1])
        owner = owner_of_cells(frame.owner, self.settings).long()
        if len(frame.kind) == 0:
            return owner, torch.zeros(3, *owner.shape)
        centre, _ = camera.project(frame.middle)
        way = torch.nan_to_num(centre)[:, None] - self.cells
        direction = functional.normalize(way, dim=-1)
        depth = (frame.middle[:, 2:] / self.depth)[:, None].expand(*direction.shape[:2], 1)
        each = torch.cat([torch.zeros(1, len(self.cells), 3), torch.cat([direction, depth], -1)])
        chosen = each[owner.flatten(), torch.arange(len(self.cells))]
        return kinds[owner], chosen.T.reshape(3, *owner.shape)


def spoiled(
    picture: Float[Tensor, "b 3 y x"], changes: Changes, s: PoseCnnSettings, generator: torch.Generator
) -> Float[Tensor, "b 3 y x"]:
    """Pictures as a worse camera takes them: recoloured and blurred, half of them by motion, with noise."""
    picture = changes.recolour(picture, generator)
    picture = _moved(picture, round(3 * s.blur_px), generator)
    strength = s.noise * torch.rand(len(picture), 1, 1, 1, generator=generator)
    return (picture + strength * torch.randn(picture.shape, generator=generator)).clamp(0, 1)


def _moved(picture: Float[Tensor, "b 3 y x"], reach: int, generator: torch.Generator) -> Float[Tensor, "b 3 y x"]:
    """Half of the pictures blurred by a motion along x or y of at most `reach` + 1 pixels."""
    draw = torch.rand(len(picture), 3, generator=generator)
    length = torch.where(draw[:, 0] < 0.5, 1 + (draw[:, 1] * (reach + 1)).long(), 1)
    offset = torch.arange(reach + 1) - reach // 2
    first = -((length - 1) // 2)[:, None]
    kernel = ((offset >= first) & (offset < first + length[:, None])) / length[:, None]
    still = (offset == 0).float().expand_as(kernel)
    across = draw[:, 2:] < 0.5
    for side, weights in ((3, torch.where(across, kernel, still)), (2, torch.where(across, still, kernel))):
        picture = _along(picture, weights, side)
    return picture


def _along(picture: Float[Tensor, "b 3 y x"], kernel: Float[Tensor, "b k"], side: int) -> Float[Tensor, "b 3 y x"]:
    """Each picture under its own kernel, whose middle is at k // 2 of an odd or (k − 1) // 2 of an even length."""
    size = kernel.shape[1]
    before = (size - 1) // 2
    pad = (before, size - 1 - before)
    flat = picture.reshape(1, -1, *picture.shape[2:])
    flat = functional.pad(flat, (*pad, 0, 0) if side == 3 else (0, 0, *pad), "replicate")
    weights = kernel.repeat_interleave(3, 0)[:, None]
    weights = weights[:, :, None] if side == 3 else weights[..., None]
    return functional.conv2d(flat, weights, groups=len(weights)).view(picture.shape)


def loss_of(objects: tuple[KnownObject, ...], s: PoseCnnSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a batch: labels, directions with depths, rotations."""
    device = torch.device(s.device)
    points = torch.stack([(o.points - o.middle) / o.diameter for o in objects]).to(device)
    most = max(len(o.symmetries) for o in objects)
    turns = torch.stack([torch.cat([o.symmetries, torch.eye(3).expand(most, 3, 3)])[:most] for o in objects]).to(device)
    symmetric = torch.tensor([len(o.symmetries) > 1 for o in objects], device=device)

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        b = Batch(**{k: v.to(device) for k, v in vars(batch).items()})
        labels, centres, quaternions = network(b.picture, b.box, b.image)
        label = functional.cross_entropy(labels, b.label)
        centre = _centre_loss(centres, b, everywhere=s.everywhere)
        rows = b.asked.nonzero()[:, 0]
        kind = b.kind[rows]
        found = so3.from_quaternion(quaternions[rows, kind])
        true = b.rotation[rows, None] @ turns[kind]
        off = pose_loss(found, true, points[kind])
        if s.symmetric == "closest":
            closest = shape_match_loss(found, b.rotation[rows], points[kind])
            off = torch.where(symmetric[kind], closest, pose_loss(found, true[:, :1], points[kind]))
        rotation = off.sum() / max(1, len(rows))
        total = s.label_weight * label + s.centre_weight * centre + s.rotation_weight * rotation
        return {"loss": total, "labels": label.detach(), "centres": centre.detach(), "rotation": rotation.detach()}

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
