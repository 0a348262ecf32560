"""Folders of object crops with a viewpoint each: `views.txt`, a line an image, as published, and the images beside it.

    <category>/<model> <image>.png <azimuth> <elevation> <tilt> <distance>

Angles are degrees. Published azimuths run **clockwise** seen from above; everywhere else in resect they run
counter-clockwise (`priors/upright`), so the sign is turned here and nowhere else. Elevation is above the ground plane
(350 in a file is −10), tilt turns the camera clockwise; both come out in [−180°, 180°). An object stands y up, faces
+x, and distances are in its own units. A seventh number, where there is one, is the confidence of an estimate.

References: Su, Qi, Li, Guibas, "Render for CNN", ICCV 2015, whose file this is; in files of other tools the sign of
tilt may differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.image import read_image
from resect.errors import ResectError
from resect.types import Photo, Target

VIEWS_FILE = "views.txt"
_MOST_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class ViewList:
    """Viewpoints of N images.

    Attributes:
        root: folder that holds the images; that of the file.
        models: of which model each image is: "category/model", or a model alone.
        names: of the images, relative to the root.
        viewpoint: azimuth in [0, 2π), counter-clockwise; elevation and tilt in [−π, π); radians.
        distance: of the camera, object units.
        confidence: of estimates; 1 where the file has none.
    """

    root: Path
    models: tuple[str, ...]
    names: tuple[str, ...]
    viewpoint: Float[Tensor, "n 3"]
    distance: Float[Tensor, "n"]
    confidence: Float[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def categories(self) -> tuple[str, ...]:
        """Of each image; "object" where the model's name has none."""
        return tuple(model.rpartition("/")[0] or "object" for model in self.models)

    def photo(self, index: int) -> Photo:
        """The crop, asked for the object that fills it."""
        image, alpha = read_image(self.root / self.names[index])
        height, width = image.shape[:2]
        category = self.categories[index]
        target = Target(self.models[index], category=category, box=(0.0, 0.0, float(width), float(height)))
        return Photo(self.names[index], image, target=target, alpha=alpha)


def wrapped(angle: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Radians in [−π, π)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def from_published(degrees: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Azimuth (clockwise), elevation, tilt in degrees → radians, azimuth counter-clockwise in [0, 2π)."""
    azimuth, elevation, tilt = degrees.double().deg2rad().unbind(-1)
    return torch.stack([-azimuth % (2 * math.pi), wrapped(elevation), wrapped(tilt)], -1)


def to_published(viewpoint: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """The inverse of `from_published`: azimuth in [0, 360), elevation and tilt in [−180, 180)."""
    azimuth, elevation, tilt = viewpoint.double().unbind(-1)
    return torch.stack([-azimuth % (2 * math.pi), wrapped(elevation), wrapped(tilt)], -1).rad2deg()


def read_views(path: Path | str) -> ViewList:
    """Reads a list of views, or the `views.txt` of a folder.

    Raises:
        ResectError: no file, a line of another form, an image twice or outside the folder, naming the line.
    """
    path = Path(path)
    path = path / VIEWS_FILE if path.is_dir() else path
    if not path.is_file():
        raise ResectError(path, f"a folder with {VIEWS_FILE}", "none", "Make one with 'resect data views'.")
    if path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ResectError(path, "text in UTF-8", str(error)) from None
    rows = [_row(path, i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not rows:
        raise ResectError(path, "a line an image", "an empty file")
    models, names, numbers = zip(*rows, strict=True)
    if len(set(names)) < len(names):
        raise ResectError(path, "each image once", next(n for n in names if names.count(n) > 1))
    table = torch.tensor(numbers, dtype=torch.float64)
    return ViewList(path.parent, models, names, from_published(table[:, :3]), table[:, 3], table[:, 4])


def write_views(
    path: Path, models: Sequence[str], names: Sequence[str], viewpoint: Float[Tensor, "n 3"], further: Tensor
) -> None:
    """Writes a list of views, whole or not at all.

    Args:
        path: the file.
        models: "category/model" of each image, without spaces.
        names: of the images, relative to the file's folder, without spaces.
        viewpoint: as in `ViewList`.
        further: (n, 1) distances, or (n, 2) distances and confidences.
    """
    angles = to_published(viewpoint)
    angles[:, 0] = angles[:, 0].mul(1e4).round().div(1e4) % 360  # 359.99999 is 0 at four digits
    lines = []
    for model, name, three, more in zip(models, names, angles.tolist(), further.tolist(), strict=True):
        if any(c.isspace() for c in model + name):
            raise ResectError(path, "names without spaces", repr(f"{model} {name}"), "Rename the model or the image.")
        lines.append(" ".join([model, name, *(f"{x:.4f}" for x in three), *(f"{x:.6g}" for x in more)]))
    write_atomic(path, "\n".join([*lines, ""]).encode())


def _row(path: Path, number: int, line: str) -> tuple[str, str, list[float]]:
    where, parts = f"{path}, line {number}", line.split()
    expected = "MODEL IMAGE azimuth elevation tilt distance, and perhaps a confidence"
    if len(parts) not in (6, 7):
        raise ResectError(where, expected, f"{len(parts)} words")
    try:
        numbers = [float(x) for x in parts[2:]]
    except ValueError:
        raise ResectError(where, expected, repr(line[:80])) from None
    if not all(map(math.isfinite, numbers)) or numbers[3] <= 0:
        raise ResectError(where, "finite numbers and a distance above 0", repr(line[:80]))
    if not (path.parent / parts[1]).resolve().is_relative_to(path.parent.resolve()):
        raise ResectError(where, "images in the file's folder", repr(parts[1]))
    return parts[0], parts[1], numbers if len(numbers) == 5 else [*numbers, 1.0]
