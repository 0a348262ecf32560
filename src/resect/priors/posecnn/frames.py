"""Photos of known objects as PoseCNN learns from them: a picture, labels of its cells, and the objects in it.

All photos are resampled to one camera, so that sizes and directions mean the same everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.data.mask import box_of
from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.nn.picture import look
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.types import Photo

_MOST_SYMMETRIES = 24


@dataclass(frozen=True, eq=False)
class KnownObject:
    """What the network is told of one object.

    Attributes:
        name: id in its dataset.
        points: of its surface, its own frame and units.
        middle: of its box; the point whose projection is the "centre".
        diameter: largest distance between two of its points.
        symmetries: rotations that change nothing, about the middle; identity first.
    """

    name: str
    points: Float[Tensor, "m 3"]
    middle: Float[Tensor, "3"]
    diameter: float
    symmetries: Float[Tensor, "s 3 3"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        picture: (3, h, w) bytes.
        owner: of each pixel: 0 background, else 1 + row of the object; bytes.
        kind: class of each object, from 0.
        rotation: of each object.
        middle: of each object, camera frame, object units.
        box: of its visible part, pixels of the picture.
        asked: whether enough of it is visible to learn its rotation from.
    """

    picture: Tensor
    owner: Int[Tensor, "h w"]
    kind: Int[Tensor, "n"]
    rotation: Float[Tensor, "n 3 3"]
    middle: Float[Tensor, "n 3"]
    box: Float[Tensor, "n 4"]
    asked: Tensor


def known_objects(data: Mapping[str, ObjectSet], count: int, generator: torch.Generator) -> tuple[KnownObject, ...]:
    """What is known of the objects; their surfaces are needed."""
    found = []
    for name, objects in data.items():
        if objects.load_mesh is None:
            fix = "Put the models beside the photos, as BOP has them."
            raise ResectError(f"object {name}", "its mesh, to learn rotations by", "none", fix)
        vertices = objects.load_mesh().vertices.double()
        pick = torch.randint(len(vertices), (count,), generator=generator)
        size = vertices.amax(0) - vertices.amin(0)
        turns = objects.symmetries.sampled(max_shift=0.26).R.float()
        turns = turns[torch.linspace(0, len(turns) - 1, min(len(turns), _MOST_SYMMETRIES)).round().long()]
        diameter = float(size.norm()) if objects.diameter is None else objects.diameter
        middle = (vertices.amax(0) + vertices.amin(0)) / 2
        found.append(KnownObject(name, vertices[pick].float(), middle.float(), diameter, turns))
    return tuple(found)


class Frames:
    """Pictures of a dataset with what is in them, in memory up to a bound.

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
        self._kept: dict[int, Frame] = {}
        self._left = settings.memory_gb * 2**30

    def __len__(self) -> int:
        return len(self.names)

    def photo(self, index: int) -> Photo:
        """The photo, without a target."""
        kind, i = self._where[self.names[index]][0]
        found = self._sets[kind]
        assert found is not None
        return replace(found.photos[i], target=None)

    def __getitem__(self, index: int) -> Frame:
        if index in self._kept:
            return self._kept[index]
        made = self._frame(self._where[self.names[index]])
        self._left -= made.picture.nbytes + made.owner.nbytes
        if self._left > 0:
            self._kept[index] = made
        return made

    def _frame(self, rows: Sequence[tuple[int, int]]) -> Frame:
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
        return seen_frame(
            picture,
            owner,
            torch.tensor(kinds, dtype=torch.long),
            torch.stack(rotations) if kinds else torch.zeros(0, 3, 3),
            torch.stack(middles) if kinds else torch.zeros(0, 3),
            torch.tensor(asked, dtype=torch.bool),
            s,
        )


def seen_frame(
    picture: Tensor,
    owner: Int[Tensor, "h w"],
    kind: Int[Tensor, "n"],
    rotation: Float[Tensor, "n 3 3"],
    middle: Float[Tensor, "n 3"],
    asked: Tensor,
    settings: PoseCnnSettings,
) -> Frame:
    """A frame of those of n objects that some cell shows, with their boxes."""
    cells = owner_of_cells(owner, settings)
    rows = torch.bincount(cells.flatten().long(), minlength=len(kind) + 1)[1:].nonzero()[:, 0]
    new = torch.zeros(len(kind) + 1, dtype=owner.dtype)
    new[rows + 1] = torch.arange(1, len(rows) + 1, dtype=owner.dtype)
    boxes = [torch.tensor(box_of(cells == int(row) + 1)) * settings.cell for row in rows]
    box = torch.stack(boxes) if boxes else torch.zeros(0, 4)
    return Frame(picture, new[owner.long()], kind[rows], rotation[rows], middle[rows], box, asked[rows])


def owner_of_cells(owner: Int[Tensor, "h w"], settings: PoseCnnSettings) -> Int[Tensor, "i j"]:
    """Of the pixel in the middle of each cell."""
    c, (height, width) = settings.cell, owner.shape
    y, x = ((torch.arange(-(-n // c)) * c + c // 2).clamp(max=n - 1) for n in (height, width))
    return owner[y[:, None], x]


def picture_camera(camera: Camera, settings: PoseCnnSettings) -> Camera:
    """The pinhole camera of the network's picture that shows what a camera shows, its aspect kept."""
    scale = max(settings.width / camera.width, settings.height / camera.height)
    cx = settings.width / 2 + (camera.cx - camera.width / 2) * scale
    cy = settings.height / 2 + (camera.cy - camera.height / 2) * scale
    return Camera(camera.fx * scale, camera.fy * scale, cx, cy, settings.width, settings.height)


def cell_pixels(settings: PoseCnnSettings) -> Float[Tensor, "n 2"]:
    """Middles of the cells in row order, pixels of the picture."""
    s = settings
    y = (torch.arange(-(-s.height // s.cell)) + 0.5) * s.cell
    x = (torch.arange(-(-s.width // s.cell)) + 0.5) * s.cell
    return torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1).reshape(-1, 2)


def turn_to(middle: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """The shortest rotation from the optical axis to the ray through each point.

    A pose that is seen the same way at another place of the picture has the same rotation after it is taken off.
    """
    z = torch.nn.functional.normalize(middle, dim=-1)
    axis = torch.stack([-z[:, 1], z[:, 0], torch.zeros_like(z[:, 0])], -1)
    hat = torch.zeros(len(z), 3, 3, dtype=z.dtype, device=z.device)
    hat[:, 0, 2], hat[:, 1, 2] = axis[:, 1], -axis[:, 0]
    hat[:, 2, 0], hat[:, 2, 1] = -axis[:, 1], axis[:, 0]
    eye = torch.eye(3, dtype=z.dtype, device=z.device)
    return eye + hat + hat @ hat / (1 + z[:, 2]).clamp_min(1e-6)[:, None, None]
