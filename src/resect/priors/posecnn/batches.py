"""What PoseCNN learns from in a step; every batch is fixed by the seed and the step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from resect.nn.picture import Changes
from resect.priors.posecnn.cuts import cuts_of, owned, pictures_of, shown_surface
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.network import Pictures
from resect.priors.posecnn.objects import KnownObject
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.spoil import spoiled
from resect.priors.posecnn.views import Views, cell_pixels, joined, owner_of_cells, turned
from resect.training.loop import Turn


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures with the labels, directions and depths of their cells, and n cuts of the objects in them.

    Attributes:
        picture: turned, recoloured, blurred, noisy; or what the backbone makes of them.
        label: of each cell: 0 background, else 1 + class.
        centre: direction to the centre and depth of each cell; 0 on the background.
        cut: pictures of single objects, changed in the same way; or what the backbone makes of them.
        kind: class of each.
        rotation: of each in its cut's frame.
        place: of its surface that a part of a cut shows, about the middle, diameters.
        shown: whether a part shows it.
    """

    picture: Pictures
    label: Int[Tensor, "b i j"]
    centre: Float[Tensor, "b 3 i j"]
    cut: Pictures
    kind: Int[Tensor, "n"]
    rotation: Float[Tensor, "n 3 3"]
    place: Float[Tensor, "n u v 3"]
    shown: Bool[Tensor, "n u v"]


class Batches:
    """Draws batches on the settings' device.

    Args:
        frames: of the training photos.
        settings: how.
        depth: that depths count in.
        objects: that are in them.
    """

    def __init__(
        self, frames: Frames, settings: PoseCnnSettings, depth: float, objects: tuple[KnownObject, ...]
    ) -> None:
        self.frames, self.settings, self.depth = frames, settings, depth
        s = settings
        self.changes = Changes(turn_deg=s.turn_deg, roll_deg=s.roll_deg, colour=s.colour, blur_px=s.blur_px)
        self._cells = cell_pixels(frames.camera, s.cell)
        self._points = torch.stack([o.seen_from_middle(o.points) for o in objects])
        self._diameter = torch.tensor([o.diameter for o in objects])

    def batch(self, turn: Turn) -> Batch:
        """This process's share of a turn's batch; any turn, in any order, always the same.

        What is random is drawn on the CPU, so that a batch is the same on any device.
        """
        drawn = np.random.default_rng([turn.seed, 11, turn.step]).integers(len(self.frames), size=self.settings.batch)
        seed = (turn.seed * 1_000_003 + turn.step) * 64 + turn.rank
        return self.of(turn.mine(drawn.tolist()), torch.Generator().manual_seed(seed))

    def of(self, rows: Sequence[int], g: torch.Generator) -> Batch:
        """These photos, changed as the generator draws."""
        s = self.settings
        views = joined([self.frames[i] for i in rows]).to(s.device)
        whole = views
        if s.turn_deg > 0 or s.roll_deg > 0:
            whole = turned(views, self.frames.camera, self.changes.turns(len(rows), g).to(s.device), s)
        picture = spoiled(whole.picture.float() / 255, self.changes, s, g)
        return Batch(picture, *self.targets(whole), *self.cuts(views, g))

    def targets(self, views: Views) -> tuple[Int[Tensor, "b i j"], Float[Tensor, "b 3 i j"]]:
        """Label, and direction to the centre with depth, of all cells; 0 on the background."""
        owner = owner_of_cells(views.owner, self.settings).long()
        shape, inside = owner.shape, (owner > 0).flatten(1)
        label = functional.pad(views.kind + 1, (1, 0))[owner]
        centre, _ = self.frames.camera.project(views.middle)
        goal = functional.pad(torch.cat([torch.nan_to_num(centre), views.middle[:, 2:] / self.depth], 1), (0, 0, 1, 0))
        goal = goal[owner.flatten(1)]
        direction = functional.normalize(goal[..., :2] - self._cells.to(goal), dim=-1)
        each = torch.cat([direction, goal[..., 2:]], -1) * inside[..., None]
        return label, each.mT.reshape(-1, 3, *shape[1:])

    def cuts(self, views: Views, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Cuts of the objects that teach rotations, as the last five of a `Batch`."""
        s, camera = self.settings, self.frames.camera
        row = views.asked.nonzero()[:, 0].repeat_interleave(s.cuts)
        box, image, kind = views.box[row], views.image[row], views.kind[row]
        moved = (2 * torch.rand(box.shape, generator=g) - 1).to(box) * s.box_jitter
        box = box + moved * (box[:, 2:] - box[:, :2]).repeat(1, 2)
        roll = (2 * torch.rand(len(row), generator=g) - 1).to(box) * math.radians(s.roll_deg)
        cuts = cuts_of(box, camera, roll)
        picture = pictures_of(cuts, views.picture.float() / 255, image, camera, s.cut)
        rotation = cuts.turn.mT @ views.rotation[row]
        middle = (cuts.turn.mT @ views.middle[row, :, None])[..., 0] / self._diameter.to(box)[kind, None]
        parts = s.cut // s.strides[0]
        place, hit = shown_surface(cuts, self._points.to(box)[kind], rotation, middle, parts)
        shown = hit & owned(cuts, views.owner, image, row, camera, parts)
        return spoiled(picture, self.changes, s, g), kind, rotation, place, shown
