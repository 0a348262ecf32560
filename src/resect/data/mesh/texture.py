"""Pictures that a mesh file names. They come from the mesh's folder or not at all."""

import ntpath
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from resect.data.image import read_image, resize_area
from resect.errors import ResectError

MAX_SIDE = 4096
_MAX_TEXELS = 2**27


@dataclass
class Textures:
    """Reads each picture once, and collects what the user should know.

    Attributes:
        folder: of the mesh file.
        notes: one for each picture that is missing, unreadable, shrunk or found elsewhere.
    """

    folder: Path
    notes: list[str] = field(default_factory=list)
    _seen: dict[str, Float[Tensor, "h w 3"] | None] = field(default_factory=dict)

    def read(self, name: str) -> Float[Tensor, "h w 3"] | None:
        """The picture, at most `MAX_SIDE` wide and high; `None` with a note where there is none to be had."""
        if name not in self._seen:
            self._seen[name] = self._read(name)
            texels = sum(t.shape[0] * t.shape[1] for t in self._seen.values() if t is not None)
            if texels > _MAX_TEXELS:
                fix = "Make the pictures smaller."
                raise ResectError(self.folder, f"at most {_MAX_TEXELS // 10**6} million texels", f"{texels}", fix)
        return self._seen[name]

    def _read(self, name: str) -> Float[Tensor, "h w 3"] | None:
        path = inside(self.folder, name)
        if path is None:
            self.notes.append(f"texture '{name}' is not in the mesh's folder: its faces are grey")
            return None
        try:
            image = read_image(path, upright=False)[0]
        except ResectError as error:
            self.notes.append(f"texture '{name}' cannot be read ({error.got}): its faces are grey")
            return None
        height, width = image.shape[:2]
        if max(height, width) <= MAX_SIDE:
            return image
        scale = MAX_SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self.notes.append(f"texture '{name}' is shrunk from {width}x{height} to {size[0]}x{size[1]}")
        return resize_area(image, *size)


def inside(folder: Path, name: str) -> Path | None:
    """The file that a mesh file means by `name`, if it is in the mesh's folder or below; links out of it do not count.

    Absolute paths are those of the author's machine; the file's bare name is then looked for beside the mesh. So is
    one that differs in upper and lower case only.
    """
    name = name.strip().strip('"').replace("\\", "/")
    if not name or "\0" in name:
        return None
    home = folder.resolve()
    for candidate in (name, ntpath.basename(name)):
        path = folder / candidate
        try:
            if path.resolve().is_relative_to(home) and path.is_file():
                return path
        except (OSError, RuntimeError):  # a name too long, a loop of links
            continue
    wanted = ntpath.basename(name).lower()
    beside = sorted(folder.iterdir()) if folder.is_dir() else []
    matches = [p for p in beside if p.name.lower() == wanted and p.is_file()]
    return next((p for p in matches if p.resolve().is_relative_to(home)), None)
