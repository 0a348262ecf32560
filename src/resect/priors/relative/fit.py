"""Trains a relative pose regressor on what its teacher thinks of training photos and of references near them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.data.digest import photos_digest
from resect.data.split import require
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.nn.picture import Changes
from resect.nn.pose_loss import PoseFrame, PoseLoss
from resect.priors.posenet.prior import PoseNet
from resect.priors.relative.network import RelativeNetwork
from resect.priors.relative.prior import Decoder, Relative, nearest, relation
from resect.priors.relative.settings import RelativeSettings
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the teacher thought of pictures, and references for them.

    Attributes:
        latent: of each picture.
        poses: of the pictures.
        codes: of the unchanged training photos.
        known: their poses.
        near: numbers of the photos nearest to each picture.
        decoder: where references are decoded.
        frame: of the teacher.
        settings: how references are drawn.
    """

    latent: Float[Tensor, "m l"]
    poses: SE3
    codes: Float[Tensor, "n l"]
    known: SE3
    near: Int[Tensor, "m k"]
    decoder: Decoder | None
    frame: PoseFrame
    settings: RelativeSettings

    def batch(self, turn: Turn) -> Batch:
        """Latents of pictures and of references, and how they stand to each other."""
        s = self.settings
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) % 2**63)
        rows = torch.randint(len(self.latent), (s.batch,), generator=g)
        pick = torch.randint(self.near.shape[1], (s.batch,), generator=g)
        noise = torch.randn(s.batch, 6, generator=g, dtype=torch.float64)
        mine = turn.mine(range(s.batch))
        rows, pick, noise = rows[mine], pick[mine], noise[mine]
        poses = self.poses[rows]
        if s.references == "photos" or self.decoder is None:
            chosen = self.near[rows, pick]
            reference, code = self.known[chosen], self.codes[chosen]
        else:
            unit = s.shift * float(self.frame.scale)
            sigma = torch.cat([torch.full((3,), unit), torch.deg2rad(torch.full((3,), s.turn_deg))]).double()
            reference = poses.retract(noise * sigma)
            with torch.no_grad():
                code = self.decoder.latents(reference).float()
        return self.latent[rows], code, *relation(reference, poses, self.frame)


class Trainee(nn.Module):
    """The network with the balance of its loss."""

    def __init__(self, network: RelativeNetwork, settings: RelativeSettings) -> None:
        super().__init__()
        self.network, self.balance = network, PoseLoss(settings.s_x, settings.s_q)

    def forward(self, query: Tensor, reference: Tensor, x: Tensor, q: Tensor) -> dict[str, Tensor]:
        """Loss, and errors of position and quaternion."""
        found: dict[str, Tensor] = self.balance(*self.network(query, reference), x, q)
        return found


def fit(
    data: PhotoSet,
    settings: RelativeSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Relative:
    """Trains a network.

    Args:
        data: training photos only.
        settings: how.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: the teacher, a `PoseNet`; where references are decoded also a pose decoder that learned from it.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).
    """
    require(data, 2, "a relative regressor")
    s = settings or RelativeSettings()
    teacher = next((p for p in parents if isinstance(p, PoseNet)), None)
    decoder: Decoder | None = next((p for p in parents if hasattr(p, "distance2")), None)  # type: ignore[assignment]
    if teacher is None:
        raise ResectError("relative", "a teacher: a fitted PoseNet", "none", "Give --teacher DIR.")
    if s.references == "decoder" and decoder is None:
        raise ResectError("relative", "a pose decoder", "none", "Give --decoder DIR, or --relative.references photos.")
    seed = run_seed(s, generator)
    lessons = _lessons(data, teacher, decoder, s, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RelativeNetwork(s, lessons.latent.shape[1])

    def loss(module: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = module(*(v.to(s.device) for v in batch))
        return found

    trainee = Trainee(network, s)
    train(
        trainee, lessons.batch, loss, s, seed=seed, data=photos_digest(data), out=out, resume=resume, progress=progress
    )
    network = network.cpu().eval().requires_grad_(False)
    kept = decoder if s.references == "decoder" else None
    made = Relative(network, s, lessons.known, lessons.codes, teacher, kept)
    finish(made, out)
    return made


def _lessons(data: PhotoSet, teacher: PoseNet, decoder: Decoder | None, s: RelativeSettings, seed: int) -> Lessons:
    pictures = teacher.training_pictures(data, s.memory_gb)
    t = teacher.settings
    changes = Changes(t.turn_deg, t.roll_deg, t.colour, t.blur_px)
    g = torch.Generator().manual_seed(seed)
    latents, poses = list[Tensor](), list[SE3]()
    for view in range(s.views):
        for k in range(0, len(data), _AT_ONCE):
            rows = range(k, min(k + _AT_ONCE, len(data)))
            seen, found = pictures.changed(rows, changes if view else Changes(), g)
            with torch.no_grad():
                latents.append(teacher.latents(seen).float().cpu())
            poses.append(found)
    latent = torch.cat(latents)
    every = SE3(torch.cat([p.R for p in poses]), torch.cat([p.t for p in poses]))
    known = pictures.poses
    near = nearest(known, every, s.neighbours + 1)[:, 1:] if len(known) > 1 else torch.zeros(len(every), 1).long()
    return Lessons(latent, every, latent[: len(data)], known, near, decoder, teacher.frame, s)
