"""Trains a σSRN on views of many instances; every batch is fixed by the seed and the step."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.data.digest import photos_digest
from resect.data.image import resize_area
from resect.data.instances import InstanceSet
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned, Orbit
from resect.scenes.sigma_srn.scene import SigmaSrn, ready
from resect.scenes.sigma_srn.settings import SigmaSrnSettings
from resect.scenes.sigma_srn.watch import judge_of, picture, pictures_of
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
_BYTES_A_GB = 1 << 30
_WHITE = 0.96  # in [−1, 1]; darker is of the object


def fit(
    data: InstanceSet,
    settings: SigmaSrnSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
    held_out: InstanceSet | None = None,
    frozen: SigmaSrn | None = None,
) -> SigmaSrn:
    """Trains the networks and a code for each instance.

    Args:
        data: the training views.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: not used; it has none.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).
        held_out: other views of the same instances; the network that shows them best is kept.
        frozen: a category whose networks are kept as they are: codes alone are learned, of instances that it may never
            have seen (few views each are enough). Sizes are its own.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    s = settings or SigmaSrnSettings()
    s = s if frozen is None else built_as(s, frozen.settings)
    if s.code == 0 and len(data.names) > 1:
        fix = "Name one with --instances, or give them codes."
        raise ResectError("SigmaSrnSettings.code", "more than 0 for several instances", f"0 for {len(data.names)}", fix)
    seed = run_seed(s, generator)
    learned = learned_from(data)
    s = s if s.start else replace(s, start=learned.orbit.radius / 2)
    views = Views(data, s, progress)
    network = SigmaSrnNetwork(s, len(data.names), seed)
    if frozen is None:
        network.ray_marcher.aim((learned.orbit.radius - s.start) / s.marches)
    else:
        _take_over(network, frozen)
    trained = train(
        Training(network), views.batch, _loss(s), s, seed=seed, data=photos_digest(data.photos), out=out, resume=resume,
        progress=progress, judge=None if held_out is None else judge_of(held_out, learned, s),
        peek=pictures_of(data, learned, s, out / "tensorboard") if out is not None and s.tensorboard else None,
    )  # fmt: skip
    made = SigmaSrn(ready(cast(Training, trained).network, s), s, learned)
    made = with_residual(made, data, seed)
    finish(made, out)
    return made


def built_as(settings: SigmaSrnSettings, other: SigmaSrnSettings) -> SigmaSrnSettings:
    """Settings of a training with the sizes of another network."""
    names = ("code", "width", "state", "marches", "weighted", "start")
    return replace(settings, **{name: getattr(other, name) for name in names})


def _take_over(network: SigmaSrnNetwork, frozen: SigmaSrn) -> None:
    """The networks of a category, held; all codes begin at the mean of those that it learned."""
    if not frozen.settings.code:
        raise ResectError(
            "frozen",
            "a network of several instances",
            "one of a single instance",
            "Fit one with --sigma-srn.code above 0.",
        )
    theirs = {k: v for k, v in frozen.network.state_dict().items() if not k.startswith("latent_codes.")}
    network.load_state_dict(theirs, strict=False)
    network.requires_grad_(False)
    network.latent_codes.weight.requires_grad_(True)
    network.latent_codes.weight.data[:] = frozen.codes.mean(0)


class Views:
    """All images in memory, at the greatest size that is asked for.

    Args:
        data: the views.
        settings: sizes.
        progress: called with how many are read.
    """

    def __init__(self, data: InstanceSet, settings: SigmaSrnSettings, progress: Progress | None) -> None:
        self.data, self.settings = data, settings
        side, count = max(settings.sides), len(data.photos)
        size = count * side * side * 3
        if size > settings.memory_gb * _BYTES_A_GB:
            need = f"{size / _BYTES_A_GB:.1f} GiB for {count} views of {side} pixels"
            fix = "Take fewer views, smaller sides, or more memory_gb."
            raise ResectError("images", f"at most {settings.memory_gb:g} GiB in memory", need, fix)
        self.images = torch.empty(count, side, side, 3, dtype=torch.uint8)
        for k in range(count):
            self.images[k] = (255 * resize_area(data.photos[k].image, side, side)).round().byte()
            if progress is not None:
                progress(k + 1, count, "reading photos")
        number: dict[Camera, int] = {}
        self.camera = torch.tensor([number.setdefault(camera, len(number)) for camera in data.photos.cameras])
        self.cameras = tuple(number)

    def batch(self, turn: Turn) -> Batch:
        """Origins, directions, starts, colours in [−1, 1] and instances of a turn: rows are images."""
        s, g = self.settings, torch.Generator().manual_seed((turn.seed * 1_000_003 + turn.step) % 2**63)
        batch, side = s.batch_at(turn.step), s.side_at(turn.step)
        drawn = torch.randint(len(self.images), (batch,), generator=g)
        drawn_start = s.start + s.start_spread * torch.randn(batch, min(s.pixels, side * side), generator=g)
        g.manual_seed(int(torch.randint(2**62, (turn.ranks,), generator=g)[turn.rank]))
        rows, start = drawn[turn.rank :: turn.ranks], drawn_start[turn.rank :: turn.ranks]
        seen = self.small(rows, side)
        pick = self.pick(seen, side, g)[..., None].expand(-1, -1, 3)
        colour = seen.gather(1, pick)
        rays = self.rays(side)[self.camera[rows]].gather(1, pick)
        pose = self.data.photos.truth.cam_from_world[rows].float()
        direction = rays @ pose.R
        origin = pose.center[:, None].expand_as(direction)
        return origin, direction, start / rays[..., 2], colour, self.data.instance[rows]

    def pick(self, seen: Float[Tensor, "b p 3"], side: int, g: torch.Generator) -> Int[Tensor, "b n"]:
        """Distinct pixels of each image, those of the object and beside it more often."""
        b, p, share = *seen.shape[:2], self.settings.near_object
        if self.settings.pixels >= p:
            return torch.arange(p).expand(b, p)
        dark = (seen.amin(-1) < _WHITE).float().view(b, 1, side, side)
        near = torch.nn.functional.max_pool2d(dark, 5, 1, 2).flatten(1)
        weight = (1 - share) / p + share * near / near.sum(1, keepdim=True).clamp_min(1)
        return torch.multinomial(weight + 1e-9, self.settings.pixels, generator=g)

    def rays(self, side: int) -> Float[Tensor, "c p 3"]:
        """Of each camera that there is, of all pixels."""
        small = [camera.rescale(side, side) for camera in self.cameras]
        return torch.stack([camera.rays(camera.pixels()) for camera in small])

    def small(self, rows: Int[Tensor, "b"], side: int) -> Float[Tensor, "b p 3"]:
        """Images of a size, in [−1, 1]."""
        last: Float[Tensor, "s s b 3"] = self.images[rows].permute(1, 2, 0, 3).float()
        return 2 / 255 * resize_area(last, side, side).permute(2, 0, 1, 3).flatten(1, 2) - 1


class Training(nn.Module):
    """The network together with its codes, as it is trained.

    Args:
        network: what is trained.
    """

    def __init__(self, network: SigmaSrnNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, origin: Tensor, direction: Tensor, start: Tensor, instance: Int[Tensor, "h"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Colours, distances and codes of a batch."""
        if not self.network.settings.code:
            seen = self.network(origin, direction, start)
            return seen.rgb, seen.distance, seen.rgb.new_zeros(1)
        code = self.network.latent_codes(instance)
        seen = self.network(origin, direction, start, code)
        return seen.rgb, seen.distance, code


def _loss(s: SigmaSrnSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """Squared error of colours, size of the codes, depths behind the camera."""

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        origin, direction, start, colour, instance = (x.to(s.device) for x in batch)
        rgb, distance, code = network(origin, direction, start, instance)
        error = (rgb - colour).square().mean()
        behind = distance.clamp_max(0).square().mean()
        terms = {"colour": s.colour_weight * error, "code": s.code_weight * code.square().mean()}
        terms["depth"] = s.depth_weight * behind
        return {"loss": sum(terms.values()), "psnr": -10 * (error.detach() / 4).clamp_min(1e-12).log10(), **terms}

    return loss


def learned_from(data: InstanceSet) -> Learned:
    """What views say. The box is about the point that cameras look at, as large as they are far from it by half."""
    orbit = Orbit.of(data.photos.truth.cam_from_world)
    (x, y, z), reach = orbit.center, 0.5 * orbit.radius
    bounds = (x - reach, y - reach, z - reach), (x + reach, y + reach, z + reach)
    return Learned(data.names, bounds, orbit, data.photos.cameras[0], 1.0)


def with_residual(made: SigmaSrn, data: InstanceSet, seed: int, most: int = 64) -> SigmaSrn:
    """The scene with its residual measured on some of the training views."""
    some = torch.randperm(len(data.photos), generator=torch.Generator().manual_seed(seed))[:most].tolist()
    squares = []
    for k in some:
        shown, seen = picture(made, data, k)
        squares.append(float((shown - seen).square().mean()))
    residual = max(1e-6, (sum(squares) / len(squares)) ** 0.5)
    return SigmaSrn(made.network, made.settings, replace(made.learned, residual=residual))
