"""Photos of known objects as PoseCNN learns from them: a picture, and whose each of its pixels is.

All photos are resampled to one camera, so that sizes and directions mean the same everywhere.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.nn.picture import look
from resect.priors.posecnn.objects import KnownObject
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.views import Views, seen
from resect.types import Photo

_WIDEST = 4
_BORDER = 17  # points along each border of a photo by which it is told how much it shows
_LEFT_OUT_PX = 0.05


class Frames:
    """Photos of a dataset as `Views` of one picture, in memory up to a bound.

    Args:
        data: object id → its photos.
        objects: in the order of the classes.
        settings: sizes.
        camera: of the pictures; by default that of the first photo.
    """

    def __init__(
        self,
        data: Mapping[str, ObjectSet],
        objects: Sequence[KnownObject],
        settings: PoseCnnSettings,
        camera: Camera | None = None,
    ) -> None:
        self.settings, self.objects = settings, objects
        self._sets = [data.get(o.name) for o in objects]
        where: dict[str, list[tuple[int, int]]] = {}
        for kind, found in enumerate(self._sets):
            for i, name in enumerate(() if found is None else found.photos.names):
                where.setdefault(name, []).append((kind, i))
        self.names = sorted(where)
        self._where = where
        first = next((s for s in self._sets if s is not None), None)
        if first is None:
            raise ResectError("PoseCNN", f"photos of {', '.join(o.name for o in objects)}", "none of them")
        self.camera: Camera = camera or picture_camera(first.photos.cameras[0], settings)
        self._kept: dict[int, Views] = {}
        self._left = settings.memory_gb * 2**30

    def __len__(self) -> int:
        return len(self.names)

    def photo(self, index: int) -> Photo:
        """The photo, without a target."""
        kind, i = self._where[self.names[index]][0]
        found = self._sets[kind]
        assert found is not None
        return replace(found.photos[i], target=None)

    def __getitem__(self, index: int) -> Views:
        if index in self._kept:
            return self._kept[index]
        made = self._frame(self._where[self.names[index]])
        self._left -= made.picture.nbytes + made.owner.nbytes
        if self._left > 0:
            self._kept[index] = made
        return made

    def _frame(self, rows: Sequence[tuple[int, int]]) -> Views:
        s, camera = self.settings, self.camera
        owner = torch.zeros(camera.height, camera.width, dtype=torch.uint8)
        picture: Tensor | None = None
        kinds: list[int] = []
        asked: list[bool] = []
        rotations, middles = list[Tensor](), list[Tensor]()
        for kind, i in rows:
            found = self._sets[kind]
            assert found is not None
            photo, pose = found.photos[i], found.photos.truth.cam_from_world[i].double()
            mask = None if photo.target is None else photo.target.mask
            if picture is None:
                picture = (look(photo, camera) * 255).round().byte()
                at, _ = photo.known_camera().project(camera.rays(camera.pixels()))
                x, y = (at.unflatten(0, owner.shape)[..., k].long() for k in range(2))
            if mask is None or not bool(mask.any()):
                continue
            here = mask[y.clamp(0, mask.shape[0] - 1), x.clamp(0, mask.shape[1] - 1)]
            owner[here] = len(kinds) + 1
            share = 1.0 if found.visible is None else float(found.visible[i])
            kinds.append(kind)
            rotations.append(pose.R.float())
            middles.append(pose.apply(self.objects[kind].middle.double()[None])[0].float())
            asked.append(share >= s.asked)
        assert picture is not None
        n = len(kinds)
        whole = Views(
            picture=picture[None],
            owner=owner[None],
            image=torch.zeros(n, dtype=torch.long),
            kind=torch.tensor(kinds, dtype=torch.long),
            rotation=torch.stack(rotations) if n else torch.zeros(0, 3, 3),
            middle=torch.stack(middles) if n else torch.zeros(0, 3),
            box=torch.zeros(n, 4),
            asked=torch.tensor(asked, dtype=torch.bool),
        )
        return seen(whole, s)


def picture_camera(camera: Camera, settings: PoseCnnSettings) -> Camera:
    """The pinhole camera of the network's picture that shows what a camera shows, its aspect kept."""
    scale = max(settings.width / camera.width, settings.height / camera.height)
    cx = settings.width / 2 + (camera.cx - camera.width / 2) * scale
    cy = settings.height / 2 + (camera.cy - camera.height / 2) * scale
    return Camera(camera.fx * scale, camera.fy * scale, cx, cy, settings.width, settings.height)


def camera_beside(own: Camera, other: Camera) -> Camera:
    """The pinhole camera that shows all that `other` shows, and as large as `own` shows it.

    A network that learned from pictures of `own` knows things in this size. The picture is at least as large as that of
    `own`, at most `_WIDEST` times as wide and as high.
    """
    u, v = (torch.linspace(0, n, _BORDER) for n in (other.width, other.height))
    edge = [torch.stack([u, torch.full_like(u, y)], -1) for y in (0, other.height)]
    edge += [torch.stack([torch.full_like(v, x), v], -1) for x in (0, other.width)]
    ray = other.rays(torch.cat(edge))
    slopes = (ray[:, :2] / ray[:, 2:].clamp_min(1e-3)).double()
    sides = []
    for k, (focal, side) in enumerate(((own.fx, own.width), (own.fy, own.height))):
        low, high = (float(x) for x in (focal * slopes[:, k]).clamp(-_WIDEST * side / 2, _WIDEST * side / 2).aminmax())
        size = max(side, math.ceil(high - low - _LEFT_OUT_PX))
        sides.append((size, (size - low - high) / 2))
    (width, cx), (height, cy) = sides
    return Camera(own.fx, own.fy, cx, cy, width, height)
