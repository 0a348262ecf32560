"""Several places at once: a label list of several scenes, a folder of scene folders, or folders that are named."""

from collections.abc import Sequence
from pathlib import Path

from resect.data.cambridge import with_rows
from resect.data.detect import detected, read
from resect.data.labelled import labelled
from resect.data.pose_list import ListedPose
from resect.data.scene_csv import SceneRow, read_scene_csv
from resect.data.seven_scenes import find_frames, with_poses
from resect.errors import ResectError
from resect.types import PhotoSet

_MOST = 1000


def read_scenes(sources: Sequence[Path | str]) -> dict[str, PhotoSet]:
    """Name → posed photos of each place, sorted by name.

    Args:
        sources: each a label list (CSV; its images lie beside it, `SCENE/…`), a folder of posed photos, a folder of
            such folders, or `NAME=FOLDER` to name a place otherwise than its folder.

    Raises:
        ResectError: nothing to read, or two places of one name.
    """
    found: dict[str, PhotoSet] = {}
    for source in sources:
        name, path = _named(str(source))
        for key, photos in _places(path).items():
            key = name or key
            if key in found:
                fix = "Name them apart: NAME=FOLDER."
                raise ResectError(str(source), "each place once", f"two of the name '{key}'", fix)
            found[key] = photos
    if not 0 < len(found) <= _MOST:
        raise ResectError("places", f"1 to {_MOST}", str(len(found)))
    return dict(sorted(found.items()))


def _named(source: str) -> tuple[str, Path]:
    name, equals, rest = source.partition("=")
    return (name, Path(rest)) if equals and name and "/" not in name else ("", Path(source))


def _places(path: Path) -> dict[str, PhotoSet]:
    if path.is_file() and path.suffix.lower() == ".csv":
        rows, notes = read_scene_csv(path)
        by_scene: dict[str, list[SceneRow]] = {}
        for row in rows:
            by_scene.setdefault(row.scene, []).append(row)
        return {scene: _listed(path, some, notes) for scene, some in by_scene.items()}
    if path.is_dir() and detected(path) is None:
        inside = {p.name: read(p) for p in sorted(path.iterdir()) if p.is_dir() and detected(p) is not None}
        if inside:
            return inside
    return {path.resolve().name: read(path)}


def _listed(path: Path, rows: list[SceneRow], notes: list[str]) -> PhotoSet:
    root = path.parent / rows[0].scene
    if not root.is_dir():
        fix = f"A list stands beside the folders of its places: move it to where '{rows[0].scene}' is."
        raise ResectError(root, f"the folder of the {len(rows)} photos of '{rows[0].scene}'", "nothing there", fix)
    if find_frames(root):
        return with_poses(root, [ListedPose(r.name, r.cam_from_world, None, r.part) for r in rows], path, notes)
    if detected(root) not in (None, "cambridge"):
        return labelled(read(root), rows, path, notes)
    return with_rows(root, rows, notes)
