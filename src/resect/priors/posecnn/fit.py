"""Trains PoseCNN on photos of known objects with masks and poses."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.nn.backbone.weights import load_weights
from resect.nn.freeze import Frozen
from resect.priors.posecnn.batches import Batches
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.looks import Looks
from resect.priors.posecnn.loss import loss_of
from resect.priors.posecnn.network import make_network
from resect.priors.posecnn.objects import KnownObject, known_objects
from resect.priors.posecnn.prior import PoseCnn, ready
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.spread import measured_spread
from resect.training.log import Progress
from resect.training.loop import finish, run_seed, train


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
    batch = Looks(batches, network).batch if s.looks else batches.batch
    trained = train(
        network, batch, loss_of(objects, s), s,
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
