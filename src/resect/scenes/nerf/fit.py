"""Trains a NeRF on posed photos; every batch is fixed by the seed and the step."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from resect.data.digest import photos_digest
from resect.data.split import require
from resect.errors import ResectError
from resect.scenes.field.frame import find_frame
from resect.scenes.nerf.bounds import carved_box, seen_box
from resect.scenes.nerf.depth import load_distances
from resect.scenes.nerf.march import CoarseAndFine
from resect.scenes.nerf.scene import Nerf, ready
from resect.scenes.nerf.settings import NerfSettings
from resect.scenes.nerf.space import Space, ahead, place
from resect.scenes.pixels import PixelPool, load_pixels, opaque_rays, tile_order
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train
from resect.types import PhotoSet

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def fit(
    data: PhotoSet,
    settings: NerfSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Nerf:
    """Trains both networks.

    Args:
        data: the training photos; nothing else is looked at.
        settings: how; the small ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: not used; a NeRF has none.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    s = settings or NerfSettings()
    require(data, 2, "'nerf'")
    seed = run_seed(s, generator)
    pool = load_pixels(data, s.max_side, progress=progress)
    space = space_of(data, pool, s)
    level = 1.0 if s.background == "white" or (s.background == "auto" and pool.transparent) else 0.0
    networks = CoarseAndFine(s, seed)
    depth = load_distances(data, pool, s.max_side) if s.depth_weight else None
    batch = Rays(data, pool, s, space, level, depth).batch
    trained = train(
        networks, batch, _loss(space, s), s, seed=seed, data=photos_digest(data), out=out, resume=resume,
        progress=progress,
    )  # fmt: skip
    both = ready(cast(CoarseAndFine, trained), s)
    nothing = torch.zeros(2, 3)
    made = Nerf(both, space, (level, level, level), nothing, s)
    made.bounds = seen_box(made, data, 1 / float(space.local_from_world.s))
    finish(made, out)
    return made


def space_of(data: PhotoSet, pool: PixelPool, s: NerfSettings) -> Space:
    """Where the NeRF lies: by the rule of `field.frame`, warped where the cameras look ahead."""
    poses = data.truth.cam_from_world.double()
    silhouettes = None
    if pool.transparent:
        silhouettes = [r for i in range(pool.photos) if len((r := opaque_rays(pool, i, poses))[0])]
    frame = find_frame(poses, silhouettes, data.world.depth_range)
    if s.warped == "yes" or (s.warped == "auto" and frame.case == "ahead"):
        if data.world.depth_range is None:
            fix = "Take --nerf.warped no, or photos in LLFF's format."
            raise ResectError("NerfSettings.warped", "photos that say how near what they show is", "none", fix)
        return ahead(poses, data.cameras[0], data.world.depth_range[0] if s.near is None else s.near)
    scale = float(frame.local_from_world.s)
    near = frame.near if s.near is None else s.near * scale
    far = frame.far if s.far is None else s.far * scale
    if not 0 <= near < far:
        fix = "Give far too, or leave both out: they are found from the data."
        raise ResectError("NerfSettings.near", f"a number below far ({far / scale:g})", f"{near / scale:g}", fix)
    box = None
    if frame.case == "object":
        radius, center = 1 / scale, frame.local_from_world.inverse().t
        box = carved_box(data, pool, s.max_side, center, radius)
    local = None if box is None else box * scale + frame.local_from_world.t
    return Space(frame.local_from_world, near, far, box=local)


class Rays:
    """Draws batches of rays: all pixels of all photos alike whose rays meet what there is, at first those in the middle
    of the photos alone.

    Args:
        data: the photos.
        pool: their pixels.
        settings: sizes.
        space: of the NeRF.
        level: grey of what is behind everything.
        distance: along the ray of each pixel, world units, 0 where unknown; `None` where it is not looked at.
    """

    def __init__(
        self,
        data: PhotoSet,
        pool: PixelPool,
        settings: NerfSettings,
        space: Space,
        level: float,
        distance: np.ndarray | None = None,
    ) -> None:
        pose = data.truth.cam_from_world.double()
        self.pool, self.settings, self.level, self.distance = pool, settings, level, distance
        self.rotation, self.center = pose.R.mT.float(), pose.center.float()
        self.all = np.arange(len(pool.colour)) if pool.usable is None else pool.usable
        if space.box is not None:
            self.all = self.all[self._meet(space)[self.all]]
        middle = _middle(data, pool, settings)
        self.middle = np.intersect1d(self.all, middle) if settings.centre_steps else self.all

    def batch(self, turn: Turn) -> Batch:
        """Origins, unit directions, colours, background and known distances of a turn's rays, world frame."""
        among = self.middle if turn.step < self.settings.centre_steps and len(self.middle) else self.all
        draw = np.random.default_rng([turn.seed, turn.step]).integers(len(among), size=self.settings.batch)
        pixel = np.sort(among[draw[turn.mine(range(len(draw)))]])
        origin, direction = self._along(pixel)
        colour = torch.from_numpy(self.pool.colour[pixel].astype(np.float32))
        behind = torch.full((3,), self.level)
        target = colour[:, :3] + (1 - colour[:, 3:]) * behind if self.pool.transparent else colour
        distance = np.zeros(len(pixel), np.float32) if self.distance is None else self.distance[pixel]
        return origin, direction, target, behind, torch.from_numpy(distance)

    def _along(self, pixel: np.ndarray) -> tuple[Tensor, Tensor]:
        """World rays through pixels of the pool."""
        photo = np.searchsorted(self.pool.first_pixel, pixel, side="right") - 1
        ray = torch.from_numpy(self.pool.ray[self.pool.first_ray[photo] + pixel - self.pool.first_pixel[photo]])
        index: Int[Tensor, n] = torch.from_numpy(photo)
        return self.center[index], (self.rotation[index] @ ray[..., None])[..., 0]

    def _meet(self, space: Space) -> np.ndarray:
        """Of each pixel whether its ray meets what there is; one photo at a time."""
        met = []
        for first, last in zip(self.pool.first_pixel[:-1], self.pool.first_pixel[1:], strict=True):
            near, far = space.span(*space.local(*self._along(np.arange(first, last))))
            met.append((near < far).numpy())
        return np.concatenate(met)


def _middle(data: PhotoSet, pool: PixelPool, s: NerfSettings) -> np.ndarray:
    """Pixels in the middle of the photos."""
    found = []
    for i in range(len(data)):
        camera = data.cameras[i].fit_within(s.max_side)
        y, x = np.divmod(tile_order(camera.width, camera.height), camera.width)
        off = np.maximum(np.abs((x + 0.5) / camera.width - 0.5), np.abs((y + 0.5) / camera.height - 0.5))
        found.append(pool.first_pixel[i] + np.flatnonzero(off < 0.5 * s.centre_share))
    return np.concatenate(found)


def _loss(space: Space, s: NerfSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """Mean squared error of both networks' colours, and, where asked for, the error of their depths."""

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        origin, direction, target, behind, distance = (x.to(s.device) for x in batch)
        o, d = space.local(origin, direction)
        seen = network(space, o, d, behind)
        errors = [(rgb - target).square().mean() for rgb, _ in seen]
        terms = {"psnr": -10 * errors[-1].detach().clamp_min(1e-12).log10()}
        total = torch.stack(errors).sum()
        if s.depth_weight:
            known, true = distance > 0, place(space, distance, o, d)
            off = [(t - true)[known].abs().sum() / known.sum().clamp_min(1) / (space.far - space.near) for _, t in seen]
            total = total + s.depth_weight * torch.stack(off).sum()
            terms["depth"] = off[-1].detach()
        return {"loss": total, **terms}

    return loss
