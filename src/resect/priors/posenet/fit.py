"""Trains a pose regressor; every batch is fixed by the seed and the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.data.digest import photos_digest
from resect.data.split import require
from resect.geometry.se3 import SE3
from resect.nn.freeze import Frozen
from resect.nn.picture import Changes
from resect.nn.pose_loss import PoseLoss
from resect.nn.training_pictures import TrainingPictures
from resect.priors.posenet.kin import Kin
from resect.priors.posenet.network import PoseNetNetwork, make_network
from resect.priors.posenet.prior import PoseNet, answered, ready
from resect.priors.posenet.settings import PoseNetSettings
from resect.priors.regressor_settings import in_steps
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

Batch = tuple[Tensor, Tensor, Tensor]
RENDERED = "rendered/"
"""Beginning of the names of views rendered from a scene."""
_LEAST_LEFT_OUT = 3
_AT_ONCE = 16


def fit(
    data: PhotoSet,
    settings: PoseNetSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> PoseNet:
    """Trains a network on posed photos.

    Args:
        data: training photos only; those whose names begin with "rendered/" are never left out to measure on.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: a fitted `PoseNet` to begin from, for training in stages.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    require(data, 2, "'posenet'")
    s = settings or PoseNetSettings()
    seed = run_seed(s, generator)
    s = in_steps(s, len(data))
    pictures = TrainingPictures(data, s.side, s.share, crop=s.crop, memory_gb=s.memory_gb)
    network = _begin(s, pictures.poses, seed, parents)
    source = Source(pictures, network, s, seed)
    trained = _train(network, source, range(len(data)), s, seed, out=out, resume=resume, progress=progress)
    network = ready(trained, s.device)
    kin = source.kin(network, range(len(data)))
    covariance, kin = _measured(data, source, kin, s, seed, parents, progress) if s.left_out else (None, kin)
    made = PoseNet(network, s, data.cameras[0], covariance, kin)
    finish(made, out)
    return made


@dataclass(frozen=True, eq=False)
class Kept:
    """Features of changed pictures, computed once.

    Attributes:
        features: in half precision.
        poses: of the pictures.
        photo: number of the photo of each.
    """

    features: Float[Tensor, "m c i j"]
    poses: SE3
    photo: Int[Tensor, "m"]


class Source:
    """Features or pictures with poses. Where the backbone is not trained, features are computed first, once."""

    def __init__(
        self, pictures: TrainingPictures, network: PoseNetNetwork, settings: PoseNetSettings, seed: int
    ) -> None:
        self.pictures, self.settings, self.frame = pictures, settings, network.frame
        self.changes = Changes(settings.turn_deg, settings.roll_deg, settings.colour, settings.blur_px)
        self.rendered = torch.tensor([name.startswith(RENDERED) for name in pictures.data.names])
        held = "backbone" in settings.freeze and not settings.thaw
        self.kept = self._features(network, seed) if held and settings.views > 0 else None

    def _features(self, network: PoseNetNetwork, seed: int) -> Kept:
        """Of all photos unchanged, then of `views` − 1 changed pictures of each; of rendered views as they are."""
        network, device = network.to(self.settings.device).eval(), self.settings.device
        real, more = ((self.rendered == which).nonzero()[:, 0].tolist() for which in (False, True))
        passes = [(real, view) for view in range(self.settings.views)] + [(more, 0)]
        features, poses, photos = list[Tensor](), list[SE3](), list[int]()
        for rows, view in passes:
            g = torch.Generator().manual_seed((seed * 1_000_003 + len(features)) % 2**63)
            for k in range(0, len(rows), _AT_ONCE):
                some = rows[k : k + _AT_ONCE]
                seen, found = self.pictures.changed(some, self.changes if view else Changes(), g)
                with torch.no_grad():
                    features.append(network.see(seen.to(device)).half().contiguous().cpu())
                poses.append(found)
                photos += some
        every = SE3(torch.cat([p.R for p in poses]), torch.cat([p.t for p in poses]))
        return Kept(torch.cat(features), every, torch.tensor(photos))

    def kin(self, network: PoseNetNetwork, rows: Sequence[int]) -> Kin | None:
        """Pictures of some photos as the network remembers them; `None` where features are not kept."""
        if not self.settings.kin or self.kept is None:
            return None
        chosen = torch.isin(self.kept.photo, torch.tensor(list(rows))).nonzero()[:, 0]
        with torch.no_grad():
            parts = [network.code(self.kept.features[k].float().to(self.settings.device)) for k in chosen.split(256)]
        return Kin(torch.cat(parts).half().cpu(), self.kept.poses[chosen], self.kept.photo[chosen])

    def plain(self, network: PoseNetNetwork, rows: Sequence[int]) -> Tensor:
        """Features of unchanged pictures."""
        parts = [rows[k : k + _AT_ONCE] for k in range(0, len(rows), _AT_ONCE)]
        with torch.no_grad():
            return torch.cat([network.see(self.pictures.plain(p).to(self.settings.device)).cpu() for p in parts])


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches drawn from some of the photos.

    Attributes:
        source: of all photos.
        rows: numbers of these.
    """

    source: Source
    rows: Sequence[int]

    def batch(self, turn: Turn) -> Batch:
        """That of a turn: features or pictures, positions, quaternions."""
        source, size = self.source, self.source.settings.batch
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) % 2**63)
        real, more = self._choices
        second = torch.rand(size, generator=g) < source.settings.rendered
        second = second & (len(more) > 0) if len(real) else torch.ones_like(second)
        drawn = torch.rand(size, generator=g, dtype=torch.float64)
        pick = [(more if s else real)[int(d * len(more if s else real))] for d, s in zip(drawn, second, strict=True)]
        mine = [int(pick[k]) for k in turn.mine(range(size))]
        if source.kept is None:
            seen, poses = source.pictures.changed(mine, source.changes, g)
        else:
            seen, poses = source.kept.features[mine].float(), source.kept.poses[mine]
        return seen, *source.frame.encode(poses)

    @cached_property
    def _choices(self) -> tuple[Tensor, Tensor]:
        """What photos, then what rendered views are drawn from: numbers of kept features, or of photos."""
        kept, every = self.source.kept, torch.arange(len(self.source.pictures))
        photo = every if kept is None else kept.photo
        chosen = torch.isin(photo, torch.tensor(list(self.rows)))
        rendered = self.source.rendered[photo]
        return (chosen & ~rendered).nonzero()[:, 0], (chosen & rendered).nonzero()[:, 0]


class Trainee(nn.Module):
    """The network with the balance of its loss, whose frozen parts stay as they are."""

    def __init__(self, network: PoseNetNetwork, settings: PoseNetSettings, features: bool) -> None:
        super().__init__()
        self.network = network
        self.balance = PoseLoss(settings.s_x, settings.s_q, learned=settings.learned, norm=settings.norm)
        self._features = features
        self._frozen = Frozen(network, settings.freeze, settings.thaw)

    def train(self, mode: bool = True) -> "Trainee":
        """As always, but for what is frozen."""
        super().train(mode)
        self._frozen.still()
        return self

    def forward(self, seen: Tensor, x: Tensor, q: Tensor) -> dict[str, Tensor]:
        """Loss, and errors of position and quaternion."""
        features = seen if self._features else self.network.see(seen)
        found: dict[str, Tensor] = self.balance(*self.network.regress(*self.network.latents(features)), x, q)
        return found


def _train(
    network: PoseNetNetwork,
    source: Source,
    rows: Sequence[int],
    s: PoseNetSettings,
    seed: int,
    *,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> PoseNetNetwork:
    def loss(module: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = module(*(x.to(s.device) for x in batch))
        return found

    trainee = Trainee(network, s, source.kept is not None)
    data = photos_digest(source.pictures.data)
    batch = Batches(source, rows).batch
    train(trainee, batch, loss, s, seed=seed, data=data, out=out, resume=resume, progress=progress)
    return network


def _measured(
    data: PhotoSet,
    source: Source,
    kin: Kin | None,
    s: PoseNetSettings,
    seed: int,
    parents: tuple[object, ...],
    progress: Progress | None,
) -> tuple[Tensor | None, Kin | None]:
    """The covariance of the errors, and the kin's shares, on photos that a second network has not seen.

    That network is trained as the first one was; too few photos are not measured on. Rendered views say nothing of
    errors: what rendered them has learned the photos that are left out, as it has not learned a new one.
    """
    kept, held = left_out(data)
    if len(held) < _LEAST_LEFT_OUT:
        return None, kin
    network = _begin(s, source.pictures.poses, seed, parents)
    second, truth = ready(_train(network, source, kept, s, seed, progress=progress), s.device), source.pictures.poses
    with torch.no_grad():
        features, others = source.plain(second, held).to(s.device), source.kin(second, kept)
        if kin is not None and others is not None:
            latents = second.regress(*second.latents(features))
            others = others.shared(second.code(features), *latents, truth[list(held)], second.frame)
            kin = replace(kin, share=others.share, limit=others.limit)
            photos = source.kin(second, [i for i in kept if not bool(source.rendered[i])])
            others = None if photos is None else replace(photos, share=others.share, limit=others.limit)
        found = answered(second, others, features)
    return error_covariance(found, truth[list(held)]), kin


def left_out(data: PhotoSet) -> tuple[list[int], list[int]]:
    """Photos to train a second network on, and a quarter to measure it on: the fourth of eight runs, and the last.

    Photos next to each other on the camera's path are alike, and what is between two known ones says little of new
    ones; nor does what lies between two runs tell of what is beyond the path's end. Rendered views that have one of
    those left out among their two nearest photos are left out too: no view stands beside a new photo as they do.
    """
    real = [i for i, name in enumerate(data.names) if not name.startswith(RENDERED)]
    run = -(-len(real) // 8)
    held = {i for k, i in enumerate(real) if k // run == 3 or k >= len(real) - run}
    rendered = [i for i in range(len(data)) if data.names[i].startswith(RENDERED)]
    if rendered:
        center = data.truth.cam_from_world.center
        nearest = torch.cdist(center[rendered], center[real]).topk(min(2, len(real)), largest=False).indices.tolist()
        rendered = [i for i, near in zip(rendered, nearest, strict=True) if held.isdisjoint(real[k] for k in near)]
    return [i for i in real if i not in held] + rendered, sorted(held)


def error_covariance(found: SE3, truth: SE3) -> Tensor:
    """Mean of δ δᵀ with truth = exp(δ) @ found, the nearer to its diagonal the fewer photos there are."""
    delta = (truth @ found.inverse()).log()
    covariance, share = delta.mT @ delta / len(delta), len(delta) / (len(delta) + 6)
    diagonal = torch.diag(covariance.diagonal())
    return share * covariance + (1 - share) * diagonal + 1e-10 * torch.eye(6, dtype=covariance.dtype)


def _begin(s: PoseNetSettings, poses: SE3, seed: int, parents: tuple[object, ...]) -> PoseNetNetwork:
    """With first weights, or those of the network to begin from."""
    network = make_network(s, poses, seed)
    before = next((p for p in parents if isinstance(p, PoseNet)), None)
    if before is not None:
        network.load_state_dict(before.network.state_dict())
    return network
