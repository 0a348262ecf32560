"""Trains a pose regressor of several places; every batch is fixed by the seed and the step."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor, nn

from resect.data.digest import photos_digest
from resect.data.split import require
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.nn.backbone.make import make_backbone
from resect.nn.freeze import Frozen
from resect.nn.picture import Changes
from resect.nn.pose_loss import PoseFrame, PoseLoss
from resect.nn.training_pictures import TrainingPictures
from resect.priors.ms_transformer.network import Maps, MSTransformerNetwork, chosen, classification_loss
from resect.priors.ms_transformer.prior import MSTransformer, Place
from resect.priors.ms_transformer.settings import MSTransformerSettings
from resect.priors.posenet.fit import error_covariance, left_out
from resect.priors.regressor_settings import in_steps
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

Batch = tuple[Maps, Tensor, Tensor, Tensor]
_AT_ONCE = 16
_LEAST_LEFT_OUT = 3


def fit(
    data: PhotoSet | Mapping[str, PhotoSet],
    settings: MSTransformerSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> MSTransformer:
    """Trains a network on posed photos.

    Args:
        data: training photos only, by the name of their place; photos of one place are named by their folder.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: a fitted `MSTransformer` of the same places to begin from, for training in stages.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    named = {data.root.resolve().name: data} if isinstance(data, PhotoSet) else dict(sorted(data.items()))
    for photos in named.values():
        require(photos, 2, "'ms-transformer'")
    s = settings or MSTransformerSettings()
    seed = run_seed(s, generator)
    frames = [PoseFrame(p.truth.cam_from_world.double() if s.normalize else None) for p in named.values()]
    network = _begin(s, tuple(named), seed, parents)
    source = Source(list(named.values()), frames, network, s, seed)
    s = source.settings
    rows = [list(range(len(p))) for p in named.values()]
    trained = _train(network, source, rows, seed, out=out, resume=resume, progress=progress)
    covariances = _covariances(named, source, seed, parents, progress) if s.left_out else [None] * len(named)
    places = {
        name: Place(photos.cameras[0], frame, covariance)
        for (name, photos), frame, covariance in zip(named.items(), frames, covariances, strict=True)
    }
    made = MSTransformer(trained.to(s.device).eval().requires_grad_(False), s, places)
    finish(made, out)
    return made


class Source:
    """Pictures or features of several places with poses.

    Where the backbone is not trained, features of `views` pictures of each photo are computed first.
    """

    def __init__(
        self,
        data: list[PhotoSet],
        frames: list[PoseFrame],
        network: MSTransformerNetwork,
        settings: MSTransformerSettings,
        seed: int,
    ) -> None:
        s, self.frames = settings, frames
        self.pictures = [
            TrainingPictures(p, s.side, s.share, crop=s.crop, memory_gb=s.memory_gb / len(data)) for p in data
        ]
        counts = [len(p) for p in data]
        self.settings = in_steps(s, len(counts) * max(counts) if s.equalize else sum(counts))
        self.changes = Changes(s.turn_deg, s.roll_deg, s.colour, s.blur_px)
        held = any(name and "backbone".startswith(name) for name in s.freeze) and not s.thaw
        self.kept = [self._features(k, network, seed) for k in range(len(data))] if held and s.views > 0 else None

    def _features(self, scene: int, network: MSTransformerNetwork, seed: int) -> tuple[Maps, SE3]:
        """Of `views` pictures of each photo of a place, the first unchanged: view by view."""
        pictures, device = self.pictures[scene], self.settings.device
        network = network.to(device).eval()
        g = torch.Generator().manual_seed((seed * 1_000_003 + scene) % 2**63)
        x, q, poses = list[Tensor](), list[Tensor](), list[SE3]()
        same = self.settings.x_stride == self.settings.q_stride
        for view in range(self.settings.views):
            for k in range(0, len(pictures), _AT_ONCE):
                rows = range(k, min(k + _AT_ONCE, len(pictures)))
                seen, found = pictures.changed(rows, self.changes if view else Changes(), g)
                with torch.no_grad():
                    maps = [m.half().contiguous().cpu() for m in network.see(seen.to(device))]
                x.append(maps[0])
                q.append(maps[1])
                poses.append(found)
        first = torch.cat(x)
        every = SE3(torch.cat([p.R for p in poses]), torch.cat([p.t for p in poses]))
        return (first, first if same else torch.cat(q)), every

    def plain(self, scene: int, rows: list[int], network: MSTransformerNetwork) -> Maps:
        """Features of unchanged pictures."""
        if self.kept is not None:
            return tuple(m[rows].float() for m in self.kept[scene][0])  # type: ignore[return-value]
        with torch.no_grad():
            return network.see(self.pictures[scene].plain(rows).to(self.settings.device))


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches drawn from some photos of each place.

    Attributes:
        source: of all photos.
        rows: for each place, numbers of photos.
    """

    source: Source
    rows: list[list[int]]

    def batch(self, turn: Turn) -> Batch:
        """That of a turn: features or pictures, positions, quaternions, places."""
        s, source = self.source.settings, self.source
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) % 2**63)
        share = torch.tensor([1.0 if s.equalize else float(len(r)) for r in self.rows])
        scenes = torch.multinomial(share, s.batch, replacement=True, generator=g)
        picks = torch.rand(s.batch, generator=g, dtype=torch.float64).tolist()
        views = torch.randint(max(1, s.views), (s.batch,), generator=g).tolist()
        x_maps, q_maps, xs, qs, which = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor](), list[int]()
        for k in range(len(self.rows)):
            mine = [j for j in turn.mine(range(s.batch)) if int(scenes[j]) == k]
            if not mine:
                continue
            photos = [self.rows[k][int(picks[j] * len(self.rows[k]))] for j in mine]
            if source.kept is None:
                seen, poses = source.pictures[k].changed(photos, source.changes, g)
                x_maps.append(seen)
            else:
                maps, every = source.kept[k]
                at = [views[j] * len(source.pictures[k]) + p for j, p in zip(mine, photos, strict=True)]
                x_maps.append(maps[0][at].float())
                q_maps.append(maps[1][at].float())
                poses = every[at]
            x, q = source.frames[k].encode(poses)
            xs.append(x)
            qs.append(q)
            which += [k] * len(mine)
        first = torch.cat(x_maps)
        return (first, torch.cat(q_maps) if q_maps else first), torch.cat(xs), torch.cat(qs), torch.tensor(which)


class Trainee(nn.Module):
    """The network with the balance of its loss, whose frozen parts stay as they are."""

    def __init__(self, network: MSTransformerNetwork, settings: MSTransformerSettings, features: bool) -> None:
        super().__init__()
        self.network, self._features, self._classify = network, features, settings.classify
        self.balance = PoseLoss(settings.s_x, settings.s_q, learned=settings.learned, norm=settings.norm)
        self._frozen = Frozen(network, settings.freeze, settings.thaw)

    def train(self, mode: bool = True) -> "Trainee":
        """As always, but for what is frozen."""
        super().train(mode)
        self._frozen.still()
        return self

    def forward(
        self, x_seen: Tensor, q_seen: Tensor, x: Tensor, q: Tensor, scene: Int[Tensor, "b"]
    ) -> dict[str, Tensor]:
        """Loss; errors of position and quaternion; negative log-likelihood of the place."""
        features = (x_seen, q_seen) if self._features else self.network.see(x_seen)
        x_all, q_all, _ = self.network.gather(features)
        found: dict[str, Tensor] = self.balance(
            *self.network.regress(chosen(x_all, scene), chosen(q_all, scene), scene), x, q
        )
        place = classification_loss(self.network.scenes(x_all, q_all), scene)
        return found | {"loss": found["loss"] + self._classify * place, "place": place}


def _train(
    network: MSTransformerNetwork,
    source: Source,
    rows: list[list[int]],
    seed: int,
    *,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> MSTransformerNetwork:
    s = source.settings

    def loss(module: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        maps, x, q, scene = batch
        found: dict[str, Tensor] = module(*(v.to(s.device) for v in (*maps, x, q, scene)))
        return found

    trainee = Trainee(network, s, source.kept is not None)
    data = hashlib.sha256("".join(photos_digest(p.data) for p in source.pictures).encode()).hexdigest()
    batch = Batches(source, rows).batch
    train(trainee, batch, loss, s, seed=seed, data=data, out=out, resume=resume, progress=progress)
    return network


def _covariances(
    named: Mapping[str, PhotoSet], source: Source, seed: int, parents: tuple[object, ...], progress: Progress | None
) -> list[Tensor | None]:
    """Of the errors of a second network, trained alike, on photos that it has not seen; `None` for too few."""
    halves = [left_out(photos) for photos in named.values()]
    if all(len(held) < _LEAST_LEFT_OUT for _, held in halves):
        return [None] * len(named)
    network = _begin(source.settings, tuple(named), seed, parents)
    second = _train(network, source, [kept for kept, _ in halves], seed, progress=progress).eval()
    found: list[Tensor | None] = []
    for k, (_, held) in enumerate(halves):
        if len(held) < _LEAST_LEFT_OUT:
            found.append(None)
            continue
        with torch.no_grad():
            maps = source.plain(k, held, second)
            x, q, _ = second.gather((maps[0].to(source.settings.device), maps[1].to(source.settings.device)))
            which = torch.full((len(held),), k, device=x.device)
            pose = source.frames[k].decode(*(v.cpu() for v in second.regress(x[:, k], q[:, k], which)))
        found.append(error_covariance(pose.double(), source.pictures[k].poses[held]))
    return found


def _begin(
    s: MSTransformerSettings, names: tuple[str, ...], seed: int, parents: tuple[object, ...]
) -> MSTransformerNetwork:
    """With first weights, or those of the network to begin from."""
    before = next((p for p in parents if isinstance(p, MSTransformer)), None)
    if before is not None and before.names != names:
        raise ResectError("ms-transformer", f"the places {', '.join(before.names)}", ", ".join(names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MSTransformerNetwork(s, len(names), make_backbone(s.backbone, "" if before else s.pretrained))
    if before is not None:
        network.load_state_dict(before.network.state_dict())
    return network
