"""BOP result files: `scene_id,im_id,obj_id,score,R,t,time`, R row by row and t in millimetres, separated by blanks.

The BOP toolkit takes names apart as `METHOD_DATASET-SPLIT[-TYPE][_ID].csv`, so that METHOD has no underscore.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from resect.artifact import write_atomic
from resect.data.bop.scene import METERS_PER_UNIT, check_rotations
from resect.data.rigid import number
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.types import Estimate, Photo

HEADER = "scene_id,im_id,obj_id,score,R,t,time"
_NAME = re.compile(r"(?P<method>[^_.]+)_(?P<dataset>[^-_.]+)-(?P<split>[^-_.]+)(-[^-_.]+)?(_[^.]+)?\.csv")
_PHOTO = re.compile(r"(?:^|/)(?P<scene>[0-9]{1,9})/(?:rgb|gray)/(?P<image>[0-9]{1,9})\.[a-zA-Z]+$")
_MOST_BYTES = 1 << 30
_MOST_ROWS = 5_000_000
_TIME_SLACK = 1e-3


@dataclass(frozen=True, eq=False)
class BopResult:
    """Estimates of a file, in its order.

    Attributes:
        scene: number of the scene of each.
        image: number in the scene.
        object_id: number of the model.
        score: confidence.
        cam_from_obj: millimetres, float64, rotations rounded as in the file.
        seconds: for the whole image; −1 if unknown.
        notes: what the reader wants to be known.
    """

    scene: tuple[int, ...]
    image: tuple[int, ...]
    object_id: tuple[int, ...]
    score: tuple[float, ...]
    cam_from_obj: SE3
    seconds: tuple[float, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scene)


def is_results(path: Path) -> bool:
    """Whether a file begins like BOP results."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(200).removeprefix(b"\xef\xbb\xbf")
    return start.decode("ascii", "replace").replace(" ", "").startswith(HEADER)


def read_results(path: Path | str) -> BopResult:
    """Reads a file of estimates, ours or anyone's.

    Raises:
        ResectError: not such a file, or a line that is not seven fields with finite numbers and a rotation.
    """
    path = Path(path)
    if not path.is_file():
        raise ResectError(path, "a BOP results file", "no file")
    if path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 30} GiB", f"{path.stat().st_size >> 20} MiB")
    lines = path.read_text("utf-8-sig", "replace").splitlines()
    if not lines or lines[0].replace(" ", "") != HEADER:
        raise ResectError(f"{path}:1", HEADER, repr(lines[0][:80]) if lines else "an empty file")
    rows = [(f"{path}:{i}", line.split(",")) for i, line in enumerate(lines[1:], 2) if line.strip()]
    if len(rows) > _MOST_ROWS:
        raise ResectError(path, f"at most {_MOST_ROWS} estimates", str(len(rows)))
    return _result(path, rows)


def write_results(path: Path | str, result: BopResult, *, overwrite: bool = False) -> None:
    """Writes estimates under a name that the BOP toolkit understands.

    Raises:
        ResectError: another name, a pose that is not finite, times that differ within an image, or a file that exists.
    """
    path = Path(path)
    check_name(path)
    if path.exists() and not overwrite:
        raise ResectError(path, "a new file", "one that exists", "Give another name, or overwrite.")
    if problems := time_problems(result):
        raise ResectError(path, "one time for all estimates of an image", problems[0])
    poses = result.cam_from_obj.double()
    numbers = torch.cat([poses.R.flatten(1), poses.t], 1)
    if not bool(numbers.isfinite().all()):
        raise ResectError(path, "finite poses", "NaN or infinity", "A failure is a missing row.")
    lines = [HEADER]
    facts = zip(result.scene, result.image, result.object_id, result.score, result.seconds, strict=True)
    for (scene, image, object_id, score, seconds), row in zip(facts, numbers.tolist(), strict=True):
        R, t = (" ".join(repr(x) for x in part) for part in (row[:9], row[9:]))
        lines.append(f"{scene},{image},{object_id},{score!r},{R},{t},{seconds!r}")
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def check_name(path: Path) -> None:
    """An error for a name that the BOP toolkit does not understand."""
    if _NAME.fullmatch(path.name) is None:
        fix = "METHOD holds no underscore and no dot."
        raise ResectError(path, "a name METHOD_DATASET-SPLIT.csv, e.g. resect_lmo-test.csv", path.name, fix)


def result_of(answers: Iterable[tuple[Photo, Estimate]], meters_per_unit: float = METERS_PER_UNIT) -> BopResult:
    """Answers to photos of a BOP dataset as its results: the best mode of each; a failure has no row.

    The score is that of the target times the mode's share of the mass. The time is that of all answers of an image
    together, failures included.

    Args:
        answers: photos whose names end in SCENE/rgb/IMAGE and whose targets are numbered objects, and estimates.
        meters_per_unit: of the estimates.
    """
    rows: list[tuple[int, int, int, float]] = []
    poses: list[SE3] = []
    seconds: dict[tuple[int, int], float] = {}
    for photo, estimate in answers:
        scene, image = image_number(photo.name)
        seconds[scene, image] = seconds.get((scene, image), 0.0) + estimate.cost.seconds
        pose, target = estimate.cam_from_world, photo.target
        if target is None or not (target.object_id.isascii() and target.object_id.isdigit()):
            raise ResectError(photo.name, "a target with a number as object_id", repr(target and target.object_id))
        if pose is None or estimate.modes is None:
            continue
        mass = float(estimate.modes.log_weight.double().softmax(0)[0])
        rows.append((scene, image, int(target.object_id), target.score * mass))
        poses.append(SE3(pose.R.double().cpu(), pose.t.double().cpu() * (meters_per_unit / METERS_PER_UNIT)))
    scenes, images, objects = (tuple(int(row[k]) for row in rows) for k in range(3))
    stacked = SE3.stack(poses) if poses else SE3.identity(0, dtype=torch.float64)
    times = tuple(seconds[row[0], row[1]] for row in rows)
    return BopResult(scenes, images, objects, tuple(row[3] for row in rows), stacked, times)


def image_number(name: str) -> tuple[int, int]:
    """Scene and image of a photo's name, e.g. (2, 3) of test/000002/rgb/000003.png."""
    found = _PHOTO.search(name)
    if found is None:
        raise ResectError(name, "a name that ends in SCENE/rgb/IMAGE.png", "another", "Use photos of read_objects.")
    return int(found["scene"]), int(found["image"])


def time_problems(result: BopResult) -> list[str]:
    """Images whose estimates state different times; the BOP server refuses such files."""
    first: dict[tuple[int, int], float] = {}
    found = []
    for scene, image, seconds in zip(result.scene, result.image, result.seconds, strict=True):
        known = first.setdefault((scene, image), seconds)
        if abs(known - seconds) > _TIME_SLACK:
            found.append(f"{known:g} and {seconds:g} s in scene {scene}, image {image}")
    return found


def seconds_per_image(result: BopResult) -> float | None:
    """Mean over the images, as the BOP toolkit does; `None` where any time is unknown."""
    times = {(s, i): t for s, i, t in zip(result.scene, result.image, result.seconds, strict=True)}
    known = bool(times) and all(t >= 0 for t in times.values())
    return sum(times.values()) / len(times) if known else None


def _result(path: Path, rows: Sequence[tuple[str, list[str]]]) -> BopResult:
    facts, ids, poses = [], [], []
    for where, cells in rows:
        if len(cells) != 7:
            raise ResectError(where, "7 fields", f"{len(cells)}")
        ids.append([_whole(where, c) for c in cells[:3]])
        facts.append((number(where, cells[3]), number(where, cells[6])))
        poses.append([*_numbers(f"{where}: R", cells[4], 9), *_numbers(f"{where}: t", cells[5], 3)])
    values = torch.tensor(poses, dtype=torch.float64).view(-1, 12)
    R = values[:, :9].view(-1, 3, 3)
    check_rotations(R, lambda i: f"{rows[i][0]}: R")
    scenes, images, objects = (tuple(row[k] for row in ids) for k in range(3))
    scores, seconds = (tuple(row[k] for row in facts) for k in range(2))
    found = BopResult(scenes, images, objects, scores, SE3(R, values[:, 9:]), seconds)
    return replace(found, notes=tuple(_notes(path, found)))


def _notes(path: Path, result: BopResult) -> Iterable[str]:
    if _NAME.fullmatch(path.name) is None:
        yield f"The BOP server takes names METHOD_DATASET-SPLIT.csv without underscores in METHOD, not '{path.name}'."
    if problems := time_problems(result):
        yield f"The BOP server refuses times that differ within an image: {problems[0]}."


def _whole(where: str, text: str) -> int:
    value = number(where, text)
    if value != math.floor(value):
        raise ResectError(where, "a whole number", text[:40])
    return int(value)


def _numbers(where: str, text: str, count: int) -> list[float]:
    words = text.split()
    if len(words) != count:
        raise ResectError(where, f"{count} numbers separated by blanks", str(len(words)))
    return [number(where, w) for w in words]
