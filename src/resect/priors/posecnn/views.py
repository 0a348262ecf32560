"""Pictures of known objects and what is in them, many at a time, on one device."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.nn.picture import sampled, source_pixels
from resect.priors.posecnn.settings import PoseCnnSettings


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures, and the n objects that some cell of them shows.

    Attributes:
        picture: bytes.
        owner: of each pixel: 0 background, else 1 + row of the object.
        image: which picture each object is in.
        kind: its class, from 0.
        rotation: of it.
        middle: of it, camera frame, object units.
        box: of its visible part, pixels of the picture.
        asked: whether enough of it is visible to learn its rotation from.
    """

    picture: Int[Tensor, "b 3 h w"]
    owner: Int[Tensor, "b h w"]
    image: Int[Tensor, "n"]
    kind: Int[Tensor, "n"]
    rotation: Float[Tensor, "n 3 3"]
    middle: Float[Tensor, "n 3"]
    box: Float[Tensor, "n 4"]
    asked: Bool[Tensor, "n"]

    def to(self, device: str) -> "Views":
        """The same on a device."""
        return Views(**{name: value.to(device) for name, value in vars(self).items()})


def joined(views: Sequence[Views]) -> Views:
    """All pictures as one batch."""
    counts = torch.tensor([0, *(len(v.kind) for v in views)]).cumsum(0).tolist()
    before = torch.tensor([0, *(len(v.picture) for v in views)]).cumsum(0).tolist()
    owners = [torch.where(v.owner > 0, v.owner.int() + n, 0) for v, n in zip(views, counts[:-1], strict=True)]
    images = [v.image + b for v, b in zip(views, before[:-1], strict=True)]
    rest = {k: torch.cat([getattr(v, k) for v in views]) for k in ("picture", *_OF_OBJECTS)}
    return Views(owner=torch.cat(owners), image=torch.cat(images), **rest)


_OF_OBJECTS = ("kind", "rotation", "middle", "box", "asked")


def seen(views: Views, s: PoseCnnSettings) -> Views:
    """Only those of the objects that some cell shows, with their boxes."""
    box, area = boxes_of(owner_of_cells(views.owner, s), len(views.kind))
    rows = area.nonzero()[:, 0]
    new = views.owner.new_zeros(len(views.kind) + 1)
    new[rows + 1] = torch.arange(1, len(rows) + 1, dtype=new.dtype, device=new.device)
    rest = {k: getattr(views, k)[rows] for k in ("image", "kind", "rotation", "middle", "asked")}
    return Views(views.picture, new[views.owner.long()], box=box[rows] * s.cell, **rest)


def boxes_of(owner: Int[Tensor, "b i j"], count: int) -> tuple[Float[Tensor, "n 4"], Int[Tensor, "n"]]:
    """Edges (left, top, right, bottom) around the cells of each object, and how many it has."""
    rows, columns = (torch.arange(n, device=owner.device).float() for n in owner.shape[1:])
    at = torch.stack([columns.expand(owner.shape), rows[:, None].expand(owner.shape)], -1).view(-1, 2)
    index = owner.flatten().long()
    empty, each = torch.zeros(count + 1, 2, device=owner.device), index[:, None].expand(-1, 2)
    low = empty.scatter_reduce(0, each, at, "amin", include_self=False)
    high = empty.scatter_reduce(0, each, at + 1, "amax", include_self=False)
    return torch.cat([low, high], 1)[1:], torch.bincount(index, minlength=count + 1)[1:]


def turned(views: Views, camera: Camera, turns: Float[Tensor, "b 3 3"], s: PoseCnnSettings) -> Views:
    """What the camera sees after R' = turn · R, a turn for each picture: training pictures of a camera that was turned
    about its centre.

    Objects of which nothing is left in the picture are gone; those of which too little is left teach no rotation.

    Args:
        views: before.
        camera: of the pictures.
        turns: rotations.
        s: sizes; and how much must be left.
    """
    pixels = source_pixels(camera, camera, turns.to(views.middle))
    picture = sampled(views.picture.float(), pixels, camera, camera).round().byte()
    owner = _nearest(views.owner, pixels)
    before, left = (torch.bincount(o.flatten(), minlength=len(views.kind) + 1)[1:] for o in (views.owner, owner))
    mine = turns.to(views.rotation)[views.image]
    after = replace(
        views,
        picture=picture,
        owner=owner,
        rotation=mine @ views.rotation,
        middle=(mine @ views.middle[..., None])[..., 0],
        asked=views.asked & (left >= s.asked * before),
    )
    return seen(after, s)


def _nearest(owners: Int[Tensor, "b h w"], pixels: Float[Tensor, "b n 2"]) -> Int[Tensor, "b h w"]:
    """Whose the pixels are that are seen now; nobody's beyond the picture."""
    height, width = owners.shape[1:]
    column, row = pixels.floor().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    where = row.clamp_(0, height - 1).mul_(width).add_(column.clamp_(0, width - 1))
    return torch.where(inside, owners.flatten(1).gather(1, where), 0).view(owners.shape)


def owner_of_cells(owner: Int[Tensor, "b h w"], settings: PoseCnnSettings) -> Int[Tensor, "b i j"]:
    """Of the pixel in the middle of each cell."""
    c, (height, width) = settings.cell, owner.shape[1:]
    y, x = ((torch.arange(-(-n // c), device=owner.device) * c + c // 2).clamp(max=n - 1) for n in (height, width))
    return owner[:, y[:, None], x]


def cell_pixels(camera: Camera, cell: int) -> Float[Tensor, "n 2"]:
    """Middles of the cells of a camera's picture in row order, pixels of the picture."""
    y = (torch.arange(-(-camera.height // cell)) + 0.5) * cell
    x = (torch.arange(-(-camera.width // cell)) + 0.5) * cell
    return torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1).reshape(-1, 2)
