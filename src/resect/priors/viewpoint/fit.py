"""Trains a viewpoint network on crops with viewpoints; every batch is fixed by the seed and the step."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.data.view_list import ViewList
from resect.errors import ResectError
from resect.priors.viewpoint.bins import soft_label_loss, soft_labels, to_bin
from resect.priors.viewpoint.network import crop, make_network
from resect.priors.viewpoint.prior import Viewpoint, ready
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.training.log import Progress
from resect.training.loop import Turn, finish, run_seed, train

Batch = tuple[Float[Tensor, "b 3 s s"], Int[Tensor, "b"], Float[Tensor, "b 3"]]
"""Crops, their categories and viewpoints."""


class Crops:
    """Crops of training images in memory, up to a bound; what does not fit is read again.

    Args:
        data: the images.
        settings: of the network.
    """

    def __init__(self, data: ViewList, settings: ViewpointSettings) -> None:
        self.data, self.settings = data, settings
        self.known = tuple(sorted(set(data.categories)))
        self._category = [self.known.index(name) for name in data.categories]
        self._kept: dict[int, Tensor] = {}
        self._left = settings.memory_gb * 2**30

    def crop(self, index: int) -> Float[Tensor, "3 s s"]:
        """As the network sees it."""
        if index in self._kept:
            return self._kept[index].float() / 255
        seen = (crop(self.data.photo(index), self.settings.side) * 255).round().byte()
        if seen.nbytes <= self._left:
            self._left -= seen.nbytes
            self._kept[index] = seen
        return seen.float() / 255

    def batch(self, turn: Turn) -> Batch:
        """This process's share of a turn's batch; any turn, in any order, always the same."""
        g = np.random.default_rng([turn.seed, 6, turn.step])
        drawn = g.integers(len(self.data), size=self.settings.batch)
        flips = (g.random(len(drawn)) < 0.5) & self.settings.mirror
        rows = turn.mine(drawn.tolist())
        flip = torch.tensor(turn.mine(flips.tolist()))
        seen = torch.stack([self.crop(i) for i in rows])
        seen = torch.where(flip[:, None, None, None], seen.flip(-1), seen)
        mirrored = torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)
        viewpoint = self.data.viewpoint[rows] * torch.where(flip[:, None], mirrored, 1.0)
        return seen, torch.tensor([self._category[i] for i in rows]), viewpoint


def fit(
    data: ViewList,
    settings: ViewpointSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Viewpoint:
    """Trains a network.

    Args:
        data: crops with viewpoints, see `read_views`.
        settings: how; the reduced ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: none are needed.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    if not isinstance(data, ViewList) or len(data) == 0:
        fix = "Make one with 'resect data views'; resect.data.view_list.read_views reads it."
        raise ResectError("viewpoint", "a list of crops with viewpoints", type(data).__name__, fix)
    s = settings or ViewpointSettings()
    seed = run_seed(s, generator)
    crops = Crops(data, s)
    network = make_network(s, len(crops.known), seed)
    train(
        network,
        crops.batch,
        loss_of(s),
        s,
        seed=seed,
        data=_digest(data),
        out=out,
        resume=resume,
        progress=progress,
    )
    made = Viewpoint(ready(network, s), s, crops.known, float(data.distance.mean()))
    finish(made, out)
    return made


def loss_of(settings: ViewpointSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a batch: the sum over the three angles."""

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        seen, category, viewpoint = (x.to(settings.device) for x in batch)
        return {"loss": angle_losses(network(seen), category, viewpoint, settings).sum()}

    return loss


def angle_losses(
    scores: Float[Tensor, "b 3 c k"], category: Int[Tensor, "b"], viewpoint: Float[Tensor, "b 3"], s: ViewpointSettings
) -> Float[Tensor, "3"]:
    """The loss of azimuth, elevation and tilt, of equal weight."""
    azimuth = soft_labels(s.bins, s.azimuth_sigma_deg, s.azimuth_band_deg, s.normalize)
    other = soft_labels(s.bins, s.other_sigma_deg, s.other_band_deg, s.normalize)
    true_bin = to_bin(viewpoint, s.bins)
    return torch.stack(
        [soft_label_loss(scores[:, i], category, true_bin[:, i], w) for i, w in enumerate((azimuth, other, other))]
    )


def _digest(data: ViewList) -> str:
    content = repr((data.models, data.names)).encode() + data.viewpoint.numpy().tobytes()
    return hashlib.sha256(content).hexdigest()
