"""Trains a pose decoder on what its teacher thinks of training photos, whose true poses go in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.nn.picture import Changes
from resect.nn.pose_loss import PoseLoss
from resect.scenes.pose_decoder.network import PoseDecoderNetwork
from resect.scenes.pose_decoder.scene import PoseDecoder
from resect.scenes.pose_decoder.settings import PoseDecoderSettings
from resect.scenes.pose_decoder.teacher import Teacher
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a teacher thought of pictures.

    Attributes:
        latent: of each picture.
        x: its position in the teacher's frame.
        q: its quaternion there.
        scene: number of its place.
        batch_size: pictures of a step.
    """

    latent: Float[Tensor, "n l"]
    x: Float[Tensor, "n 3"]
    q: Float[Tensor, "n 4"]
    scene: Int[Tensor, "n"]
    batch_size: int

    def batch(self, turn: Turn) -> Batch:
        """That of a turn."""
        g = torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) % 2**63)
        i = turn.mine(torch.randint(len(self.x), (self.batch_size,), generator=g).tolist())
        return self.latent[i], self.x[i], self.q[i], self.scene[i]


def fit(
    data: PhotoSet | Mapping[str, PhotoSet],
    settings: PoseDecoderSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> PoseDecoder:
    """Trains a decoder for one place, or for several by name, which the teacher must know by the same names.

    Args:
        data: training photos only.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: the teacher.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).
    """
    teachers: list[Teacher] = [p for p in parents if hasattr(p, "regress_latents")]  # type: ignore[misc]
    if not teachers:
        raise ResectError("pose-decoder", "a teacher: a fitted pose regressor", "none", "Give --teacher DIR.")
    scenes, taught = {"": data} if isinstance(data, PhotoSet) else data, {"": teachers[0]}
    if not isinstance(data, PhotoSet):
        if not hasattr(teachers[0], "of"):
            raise ResectError("pose-decoder", "a teacher of several places, as there are several", "one of one place")
        taught = {name: teachers[0].of(name) for name in scenes}
    return fit_scenes(scenes, taught, settings, out=out, resume=resume, generator=generator, progress=progress)


def fit_scenes(
    scenes: Mapping[str, PhotoSet],
    teachers: Mapping[str, Teacher],
    settings: PoseDecoderSettings | None = None,
    *,
    out: Path | None = None,
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> PoseDecoder:
    """Trains one decoder for several places whose teachers share their latents and heads.

    Args:
        scenes: name → training photos.
        teachers: name → the teacher as it looks at that place.
        settings: how.
        out: folder for the artefact.
        resume: go on from the checkpoint in `out`.
        generator: of all randomness.
        progress: called with (step, steps, remark).
    """
    s = settings or PoseDecoderSettings()
    seed = run_seed(s, generator)
    names = tuple(sorted(scenes))
    frames = tuple(teachers[name].frame for name in names)
    taught = [_lessons(scenes[n], teachers[n], s, k, seed) for k, n in enumerate(names)]
    latent, x, q, place = (torch.cat(parts) for parts in zip(*taught, strict=True))
    lessons = Lessons(latent, x, q, place, s.batch)
    s = replace(s, steps=s.epochs * -(-len(lessons.x) // s.batch), epochs=0) if s.epochs else s
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PoseDecoderNetwork(s, lessons.latent.shape[1], len(names))
    with torch.no_grad():
        for layer, half in zip((network.x_encoder[-1], network.q_encoder[-1]), lessons.latent.chunk(2, 1), strict=True):
            layer.bias.copy_(half.mean(0))  # type: ignore[operator]
    trainee = Trainee(network, [teachers[n] for n in names], s, float(lessons.latent.var(0).mean()))

    def loss(module: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = module(*(x.to(s.device) for x in batch))
        return found

    digest = hashlib.sha256(lessons.latent.numpy().tobytes() + lessons.x.numpy().tobytes()).hexdigest()
    train(trainee, lessons.batch, loss, s, seed=seed, data=digest, out=out, resume=resume, progress=progress)
    network = network.cpu().eval().requires_grad_(False)
    project, middle = directions(network, lessons, s.channels, len(names) > 1)
    bounds = bounds_of([scenes[n].truth.cam_from_world for n in names])
    known = names if len(names) > 1 else ()
    made = PoseDecoder(network, s, frames, project, middle, bounds, known, 0, teachers[names[0]])
    finish(made, out)
    return made


class Trainee(nn.Module):
    """The decoder with the loss of latents, in units of their variance, and of the pose that the teacher reads off."""

    def __init__(
        self, network: PoseDecoderNetwork, teachers: list[Teacher], settings: PoseDecoderSettings, variance: float
    ) -> None:
        super().__init__()
        self.network, self._teacher, self._s, self._variance = network, teachers[0], settings, max(variance, 1e-12)
        self._several = len(teachers) > 1
        self.balance = PoseLoss(settings.s_x, settings.s_q)

    def forward(self, latent: Tensor, x: Tensor, q: Tensor, scene: Tensor) -> dict[str, Tensor]:
        """Loss, the share of the latents' variance that is left, and the errors of the pose."""
        decoded = self.network(x, q, scene if self._several else None)
        left = (decoded - latent).square().mean() / self._variance
        pose = self.balance(*self._teacher.regress_latents(decoded), x, q)
        loss = self._s.latents * left + self._s.pose * pose["loss"]
        return {"loss": loss, "latents": left, "position": pose["position"], "quaternion": pose["quaternion"]}


def _lessons(data: PhotoSet, teacher: Teacher, s: PoseDecoderSettings, scene: int, seed: int) -> tuple[Tensor, ...]:
    """Latents, positions, quaternions, place of `s.views` pictures of each photo, the first unchanged."""
    pictures = teacher.training_pictures(data, s.memory_gb)
    changes = Changes(s.turn_deg, s.roll_deg, s.colour)
    g = torch.Generator().manual_seed((seed * 1_000_003 + scene) % 2**63)
    latents, xs, qs = [], [], []
    for view in range(s.views):
        for k in range(0, len(data), _AT_ONCE):
            rows = range(k, min(k + _AT_ONCE, len(data)))
            seen, poses = pictures.changed(rows, changes if view else Changes(), g)
            x, q = teacher.frame.encode(poses)
            with torch.no_grad():
                latents.append(teacher.latents(seen).float().cpu())
            xs.append(x.cpu())
            qs.append(q.cpu())
    n = sum(map(len, xs))
    return torch.cat(latents), torch.cat(xs), torch.cat(qs), torch.full((n,), scene)


def directions(
    network: PoseDecoderNetwork, lessons: Lessons, channels: int, several: bool
) -> tuple[Float[Tensor, "c l"], Float[Tensor, "l"]]:
    """The directions in which decoded latents vary most against what they leave unexplained, each of unit residual.

    Generalised eigenvectors of the two covariances; that of the residuals is pulled a tenth towards a multiple of the
    identity.
    """
    with torch.no_grad():
        decoded = network(lessons.x, lessons.q, lessons.scene if several else None).double()
    middle, residual = decoded.mean(0), lessons.latent.double() - decoded
    noise, signal = residual.T @ residual / len(residual), (decoded - middle).T @ (decoded - middle) / len(decoded)
    eye = torch.eye(len(noise), dtype=noise.dtype)
    noise = 0.9 * noise + (0.1 * noise.trace() / len(noise) + 1e-12) * eye
    inverse = torch.linalg.inv(torch.linalg.cholesky(noise))
    values, vectors = torch.linalg.eigh(inverse @ signal @ inverse.T)
    best = vectors[:, values.argsort(descending=True)[:channels]]
    return (best.T @ inverse).float().contiguous(), middle.float()


def bounds_of(poses: list[SE3]) -> Float[Tensor, "2 3"]:
    """A box around cameras and the points as far before them as they are spread."""
    centers = torch.cat([p.center.double() for p in poses])
    axes = torch.cat([p.axis.double() for p in poses])
    reach = (centers - centers.mean(0)).norm(dim=-1).mean().clamp_min(1e-3)
    points = torch.cat([centers, centers + reach * axes])
    return torch.stack([points.amin(0) - 0.1 * reach, points.amax(0) + 0.1 * reach]).float()
