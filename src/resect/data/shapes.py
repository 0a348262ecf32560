"""Folders of shapes with points, surfaces and views, in the layout that Occupancy Networks were released with.

    <category>/<model>/points.npz         points (n, 3) float16, occupancies packed to bits, loc (3), scale
    <category>/<model>/points_near.npz    the same near the surface (ours; may be missing)
    <category>/<model>/pointcloud.npz     points (m, 3), normals (m, 3), loc, scale
    <category>/<model>/img_choy2016/      000.png or .jpg …, cameras.npz: world_mat_i (3, 4) = cam_from_obj in the
                                          OpenCV frame, camera_mat_i (3, 3) = K in pixels from the image's corner
    <category>/{train,val,test}.lst       names of models, one a line

Points lie in the cube [−0.55, 0.55]³ of the object's own frame, y up.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.image import read_header, read_image
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo

CUBE_SIDE = 1.1  # of the cube that points are drawn from and surfaces are extracted in
VIEWS_FOLDER = "img_choy2016"
_IMAGES = (".png", ".jpg", ".jpeg")
_MOST_BYTES = 512 << 20  # of one array file, unpacked
_MOST_NAMES = 1_000_000


@dataclass(frozen=True, eq=False)
class ShapeSet:
    """Shapes of a split, read when asked for.

    Attributes:
        root: the data folder.
        names: "category/model" of each shape, in the order of the list files.
        split: "train", "val" or "test".
    """

    root: Path
    names: tuple[str, ...]
    split: str

    def __len__(self) -> int:
        return len(self.names)

    def take(self, count: int) -> "ShapeSet":
        """The first `count` shapes."""
        return ShapeSet(self.root, self.names[:count], self.split)

    def folder(self, index: int) -> Path:
        """Where a shape's files lie."""
        return self.root / self.names[index]

    def points(self, index: int, *, near: bool = False) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, "n"]]:
        """Points uniform in the cube (or near the surface, where the folder has them), and whether they are inside."""
        path = self.folder(index) / ("points_near.npz" if near else "points.npz")
        found = read_arrays(path, {"points": (None, 3), "occupancies": (None,)})
        points, packed = found["points"], found["occupancies"]
        bits = packed.dtype == np.uint8
        inside = np.unpackbits(packed.astype(np.uint8))[: len(points)] if bits else packed
        if len(inside) != len(points):
            raise ResectError(path, f"occupancies of {len(points)} points", str(len(inside)))
        return torch.from_numpy(points.astype(np.float32)), torch.from_numpy(inside.astype(bool))

    def has_near(self, index: int) -> bool:
        """Whether points near the surface are there."""
        return (self.folder(index) / "points_near.npz").is_file()

    def surface(self, index: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Points on the surface and unit normals."""
        path = self.folder(index) / "pointcloud.npz"
        found = read_arrays(path, {"points": (None, 3), "normals": (None, 3)})
        points, normals = (torch.from_numpy(found[k].astype(np.float32)) for k in ("points", "normals"))
        return points, torch.nn.functional.normalize(normals, dim=-1)

    def images(self, index: int) -> list[Path]:
        """The views' files, sorted."""
        folder = self.folder(index) / VIEWS_FOLDER
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in _IMAGES) if folder.is_dir() else []
        if not found:
            raise ResectError(folder, "views of the shape (.png, .jpg)", "none")
        return found

    def photo(self, index: int, view: int) -> Photo:
        """A view, with its camera where `cameras.npz` is there; never its pose."""
        path = self.images(index)[view]
        image, alpha = read_image(path)
        name = path.relative_to(self.root).as_posix()
        cameras = self.folder(index) / VIEWS_FOLDER / "cameras.npz"
        if not cameras.is_file():
            return Photo(name, image, alpha=alpha)
        k = read_arrays(cameras, {f"camera_mat_{view}": (3, 3)})[f"camera_mat_{view}"]
        header = read_header(path)
        fx, fy, cx, cy = (float(k[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
        camera = Camera(fx, fy, cx, cy, header.width, header.height)
        return Photo(name, image, camera, "cameras.npz", alpha=alpha)

    def cam_from_obj(self, index: int, view: int) -> SE3:
        """The true pose of a view, float64."""
        path = self.folder(index) / VIEWS_FOLDER / "cameras.npz"
        matrix = read_arrays(path, {f"world_mat_{view}": (3, 4)})[f"world_mat_{view}"]
        return SE3.from_matrix(torch.from_numpy(matrix.astype(np.float64)))


def read_shapes(root: Path | str, split: str = "train", categories: Sequence[str] = ()) -> ShapeSet:
    """The shapes that the list files of a split name.

    Args:
        root: folder of categories.
        split: "train", "val" or "test".
        categories: names of category folders; all when empty.
    """
    root = Path(root)
    lists = sorted(root.glob(f"*/{split}.lst"))
    if categories:
        lists = [root / category / f"{split}.lst" for category in categories]
    names = [f"{path.parent.name}/{model}" for path in lists for model in _models(path)]
    if not names:
        fix = "Make them: 'resect data shapes chair --out DIR', or 'resect data prepare MESHES --out DIR'."
        raise ResectError(root, f"CATEGORY/{split}.lst that names shapes", "none", fix)
    return ShapeSet(root, tuple(names), split)


def _models(path: Path) -> list[str]:
    if not path.is_file():
        raise ResectError(path, "a list of models", "no file")
    models = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if len(models) > _MOST_NAMES:
        raise ResectError(path, f"at most {_MOST_NAMES} models", str(len(models)))
    for model in models:
        if Path(model).name != model or model in (".", ".."):
            raise ResectError(path, "names of folders beside it", repr(model), "A name must not hold a path.")
    return models


def read_arrays(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, NDArray[np.generic]]:
    """Named arrays of an .npz file, each of a given shape (`None`: any length), numbers only and of bounded size."""
    if not path.is_file():
        raise ResectError(path, "an .npz file", "no file")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > _MOST_BYTES:
                raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB of arrays", f"{size >> 20} MiB")
            members = {name: archive.read(f"{name}.npy") for name in shapes if f"{name}.npy" in archive.namelist()}
        found = {name: np.lib.format.read_array(io.BytesIO(d), allow_pickle=False) for name, d in members.items()}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise ResectError(path, "a whole .npz file of numbers", str(error)) from None
    for name, shape in shapes.items():
        got = found[name].shape if name in found else None
        fits = (
            got is not None and len(got) == len(shape) and all(w in (None, g) for w, g in zip(shape, got, strict=True))
        )
        if not fits or (found[name].dtype.kind == "f" and not np.isfinite(found[name]).all()):
            raise ResectError(f"{path}: {name}", f"finite numbers of shape {shape}", str(got))
    return found


def write_points(path: Path, points: Float[Tensor, "n 3"], inside: Bool[Tensor, "n"]) -> None:
    """Writes points.npz or points_near.npz. Points are stored as float16: round them (`stored`) before asking."""
    bits = np.packbits(inside.cpu().numpy())
    _write(path, points=points.cpu().numpy().astype(np.float16), occupancies=bits)


def stored(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """The points as they will read back."""
    return points.half().to(points.dtype)


def write_surface(path: Path, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]) -> None:
    """Writes pointcloud.npz."""
    points_, normals_ = (x.cpu().numpy().astype(np.float16) for x in (points, normals))
    _write(path, points=points_, normals=normals_)


def write_views(folder: Path, images: Sequence[Float[Tensor, "h w 4"]], cameras: Sequence[Camera], poses: SE3) -> None:
    """Writes 000.png … and cameras.npz.

    Args:
        folder: `VIEWS_FOLDER` of a model.
        images: RGB laid on white, and opacity.
        cameras: pinhole cameras of the views.
        poses: cam_from_obj of the views.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    matrices: dict[str, NDArray[np.float64]] = {}
    for i, (image, camera) in enumerate(zip(images, cameras, strict=True)):
        alpha = image[..., 3:]
        straight = torch.where(alpha > 0, (image[..., :3] - (1 - alpha)) / alpha.clamp_min(1 / 255), 1.0)
        pixels = torch.cat([straight.clamp(0, 1), alpha], -1).mul(255).round().byte().cpu().numpy()
        buffer = io.BytesIO()
        Image.fromarray(pixels, "RGBA").save(buffer, "PNG", compress_level=4)
        (folder / f"{i:03d}.png").write_bytes(buffer.getvalue())
        matrices[f"world_mat_{i}"] = poses[i].matrix()[:3].double().cpu().numpy()
        matrices[f"camera_mat_{i}"] = camera.matrix.numpy()
    _write(folder / "cameras.npz", with_frame=False, **matrices)


def _write(path: Path, *, with_frame: bool = True, **arrays: NDArray[np.generic]) -> None:
    if with_frame:  # where the shape came from: its own frame already
        arrays |= {"loc": np.zeros(3, np.float32), "scale": np.array(1.0, np.float32)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
