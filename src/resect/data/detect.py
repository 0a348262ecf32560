"""Which format a data folder is in, by what lies in it."""

from collections.abc import Callable
from pathlib import Path

from resect.data.cambridge import fits_cambridge, read_cambridge
from resect.data.colmap import find_model, read_colmap
from resect.data.instances import is_instances, read_instances
from resect.data.labelled import labelled
from resect.data.llff import FILE, read_llff
from resect.data.objects import fits_objects, flatten, read_objects
from resect.data.scene_csv import is_scene_csv, read_scene_csv, rows_of
from resect.data.seven_scenes import find_frames, read_seven_scenes
from resect.data.transforms import find_transforms, read_transforms
from resect.data.tum import fits_tum, read_tum
from resect.errors import ResectError
from resect.types import PhotoSet

Reader = Callable[[Path, Path | None], PhotoSet]

_FORMATS: dict[str, tuple[str, Callable[[Path], bool], Reader]] = {
    "transforms": (
        "transforms.json or transforms_train.json (nerfstudio, instant-ngp, Blender)",
        lambda p: bool(find_transforms(p)),
        lambda p, _: read_transforms(p),
    ),
    "llff": (
        "poses_bounds.npy with images, images_4 or images_8 (LLFF)",
        lambda p: (p / FILE).is_file(),
        lambda p, _: read_llff(p),
    ),
    "7scenes": (
        "frame-XXXXXX.color.png in the folder or in seq-XX (7-Scenes)",
        lambda p: bool(find_frames(p)),
        read_seven_scenes,
    ),
    "cambridge": (
        "dataset_train.txt or dataset_test.txt (Cambridge Landmarks)",
        fits_cambridge,
        read_cambridge,
    ),
    "tum": (
        "groundtruth.txt with rgb.txt, or one pose row for each photo in rgb or raw_imgs (TUM RGB-D)",
        fits_tum,
        read_tum,
    ),
    "srn": (
        "INSTANCE/intrinsics.txt with INSTANCE/rgb and INSTANCE/pose (SRN's ShapeNet renders)",
        is_instances,
        lambda p, _: read_instances(p).photos,
    ),
    "objects": (
        "SPLIT/000001/scene_gt.json (BOP) or data/000001-meta.mat (PoseCNN)",
        fits_objects,
        lambda p, _: flatten(read_objects(p)),
    ),
    "colmap": (
        "cameras and images files in sparse/0, sparse or the folder (COLMAP)",
        lambda p: find_model(p) is not None,
        lambda p, _: read_colmap(p),
    ),
}
_WITH_LIST = ("7scenes", "cambridge", "tum")


def read(path: Path | str, poses: Path | str | None = None) -> PhotoSet:
    """Posed photos from a folder, a transforms file or a label list (CSV); the format is detected and said.

    Args:
        path: the data folder, or the file; a list's images lie beside it.
        poses: a pose list to use instead of the poses in the folder (7-Scenes lists, TUM trajectories; for any
            format label lists of scenes as CSV).

    Raises:
        ResectError: no known format, nothing readable, or bad input, naming the file and the frame.
    """
    path = Path(path)
    listed = None if poses is None else Path(poses)
    if path.is_file() and path.suffix == ".json":
        return read_transforms(path)
    if is_scene_csv(path):
        return _only_scene(path)
    if not path.is_dir():
        raise ResectError(path, "a folder with posed photos", "a file" if path.exists() else "nothing there")
    if listed is not None and not listed.is_file():
        raise ResectError(listed, "a pose list", "no file")
    name = detected(path)
    if name is not None:
        if listed is not None and name not in _WITH_LIST and is_scene_csv(listed):
            rows, notes = read_scene_csv(listed)
            return labelled(_FORMATS[name][2](path, None), rows_of(rows, path.resolve().name, listed), listed, notes)
        if listed is not None and name not in _WITH_LIST:
            got = f"a folder in format {name}"
            fix = "Leave the list out: these photos have poses of their own."
            raise ResectError(listed, f"a folder in format {' or '.join(_WITH_LIST)} for a pose list", got, fix)
        return _FORMATS[name][2](path, listed)
    known = "; ".join(text for text, _, _ in _FORMATS.values())
    fix = "Photos without poses: run 'resect data pose' first."
    raise ResectError(path, f"a known format: {known}", _contents(path), fix)


def _only_scene(path: Path) -> PhotoSet:
    from resect.data.scenes import read_scenes

    found = read_scenes([path])
    if len(found) > 1:
        fix = f"Give the folder of one with --poses {path.name}, or the list to a method that takes several places."
        raise ResectError(path, "photos of one place", f"of {len(found)}: {', '.join(found)}", fix)
    return next(iter(found.values()))


def detected(path: Path) -> str | None:
    """Name of the format of a folder, if it is in one."""
    return next((name for name, (_, fits, _) in _FORMATS.items() if fits(path)), None)


def _contents(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir())
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "") if names else "an empty folder"
