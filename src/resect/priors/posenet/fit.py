"""Trains a pose regressor; every batch is fixed by the seed and the step."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from resect.data.split import leave_out, require
from resect.geometry.se3 import SE3
from resect.nn.freeze import Frozen
from resect.nn.picture import Changes
from resect.nn.pose_loss import PoseLoss
from resect.nn.training_pictures import TrainingPictures
from resect.priors.posenet.network import PoseNetNetwork, make_network
from resect.priors.posenet.prior import PoseNet, ready
from resect.priors.posenet.settings import PoseNetSettings
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

Batch = tuple[Tensor, Tensor, Tensor]
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
    covariance = _covariance(data, source, s, seed, parents, progress) if s.left_out else None
    made = PoseNet(ready(trained, s.device), s, data.cameras[0], covariance)
    finish(made, out)
    return made


class Source:
    """Batches of features or pictures with poses.

    Where the backbone is not trained, features of `settings.views` changed pictures of each photo are computed first.
    """

    def __init__(
        self, pictures: TrainingPictures, network: PoseNetNetwork, settings: PoseNetSettings, seed: int
    ) -> None:
        self.pictures, self.settings, self.frame = pictures, settings, network.frame
        self.changes = Changes(settings.turn_deg, settings.roll_deg, settings.colour, settings.blur_px)
        held = "backbone" in settings.freeze and not settings.thaw
        self.kept = self._features(network, seed) if held and settings.views > 0 else None

    def _features(self, network: PoseNetNetwork, seed: int) -> list[tuple[Tensor, SE3]]:
        """For each view of all photos: features (n, c, i, j) in half precision, poses (n). The first is unchanged."""
        network = network.to(self.settings.device).eval()
        rows = [range(k, min(k + _AT_ONCE, len(self.pictures))) for k in range(0, len(self.pictures), _AT_ONCE)]
        found = []
        for view in range(self.settings.views):
            changes = self.changes if view else Changes()
            g = torch.Generator().manual_seed(seed * 1000 + view)
            made = [self.pictures.changed(some, changes, g) for some in rows]
            with torch.no_grad():
                features = [network.see(seen.to(self.settings.device)).half().cpu() for seen, _ in made]
            poses = SE3(torch.cat([p.R for _, p in made]), torch.cat([p.t for _, p in made]))
            found.append((torch.cat(features), poses))
        return found

    def plain(self, network: PoseNetNetwork, rows: Sequence[int]) -> Tensor:
        """Features of unchanged pictures."""
        if self.kept is not None:
            return self.kept[0][0][list(rows)].float()
        with torch.no_grad():
            parts = [rows[k : k + _AT_ONCE] for k in range(0, len(rows), _AT_ONCE)]
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
        drawn = torch.randint(len(self.rows), (size,), generator=g).tolist()
        views = torch.randint(max(1, source.settings.views), (size,), generator=g).tolist()
        mine = turn.mine(range(size))
        photos = [self.rows[drawn[k]] for k in mine]
        if source.kept is None:
            seen, poses = source.pictures.changed(photos, source.changes, g)
        else:
            chosen = [(source.kept[views[k]], i) for k, i in zip(mine, photos, strict=True)]
            seen = torch.stack([features[i] for (features, _), i in chosen]).float()
            poses = SE3.stack([p[i] for (_, p), i in chosen])
        return seen, *source.frame.encode(poses)


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
    data = digest(source.pictures.data)
    batch = Batches(source, rows).batch
    train(trainee, batch, loss, s, seed=seed, data=data, out=out, resume=resume, progress=progress)
    return network


def _covariance(
    data: PhotoSet,
    source: Source,
    s: PoseNetSettings,
    seed: int,
    parents: tuple[object, ...],
    progress: Progress | None,
) -> Tensor | None:
    """Of the errors on photos that a second network, trained alike, has not seen; `None` for too few photos."""
    kept, held = left_out(data)
    if len(held) < _LEAST_LEFT_OUT:
        return None
    network = _begin(s, source.pictures.poses, seed, parents)
    second = ready(_train(network, source, kept, s, seed, progress=progress), s.device)
    with torch.no_grad():
        found = second.frame.decode(*second.regress(*second.latents(source.plain(second, held).to(s.device))))
    return error_covariance(found.double().to("cpu"), source.pictures.poses[list(held)])


def left_out(data: PhotoSet) -> tuple[list[int], list[int]]:
    """Photos to train a second network on, and photos to measure it on; rendered views near those are left out too."""
    real = [i for i, name in enumerate(data.names) if not name.startswith("rendered/")]
    kept, held = ([real[k] for k in half] for half in leave_out(len(real)))
    rendered = [i for i in range(len(data)) if i not in set(real)]
    if rendered and held:
        center = data.truth.cam_from_world.center
        nearest = torch.cdist(center[rendered], center[real]).argmin(1).tolist()
        kept += [i for i, k in zip(rendered, nearest, strict=True) if real[k] not in set(held)]
    return kept, held


def error_covariance(found: SE3, truth: SE3) -> Tensor:
    """Mean of δ δᵀ with truth = exp(δ) @ found, the nearer to its diagonal the fewer photos there are."""
    delta = (truth @ found.inverse()).log()
    covariance, share = delta.mT @ delta / len(delta), len(delta) / (len(delta) + 6)
    diagonal = torch.diag(covariance.diagonal())
    return share * covariance + (1 - share) * diagonal + 1e-10 * torch.eye(6, dtype=covariance.dtype)


def in_steps(s: PoseNetSettings, photos: int) -> PoseNetSettings:
    """Settings whose epochs are counted in steps."""
    per_epoch = -(-photos // s.batch)
    s = replace(s, steps=s.epochs * per_epoch, epochs=0) if s.epochs else s
    return replace(s, drop_every=s.drop_epochs * per_epoch, drop_epochs=0) if s.drop_epochs else s


def digest(data: PhotoSet) -> str:
    """Of the photos' names, cameras and poses."""
    content = repr((data.names, data.cameras)).encode() + data.truth.cam_from_world.double().matrix().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


def _begin(s: PoseNetSettings, poses: SE3, seed: int, parents: tuple[object, ...]) -> PoseNetNetwork:
    """With first weights, or those of the network to begin from."""
    network = make_network(s, poses, seed)
    before = next((p for p in parents if isinstance(p, PoseNet)), None)
    if before is not None:
        network.load_state_dict(before.network.state_dict())
    return network
