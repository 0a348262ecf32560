"""A Pose file of known objects as BOP results."""

from collections.abc import Sequence

import torch

from resect.data.bop.results import BopResult, image_number
from resect.errors import ResectError
from resect.evaluation.pose_file import PoseRow
from resect.geometry.se3 import SE3


def results_of(rows: Sequence[PoseRow]) -> BopResult:
    """The best mode of each object; a failure has no row. The score is the mode's share of the mass.

    The time is that of all objects of an image together, failures included.

    Args:
        rows: in millimetres, photos named …/SCENE/rgb/IMAGE.png, targets ID or ID#INSTANCE.
    """
    best = [row for row in rows if row.mode == 0]
    mass: dict[tuple[str, str], float] = {}
    seconds: dict[str, float] = {}
    for row in rows:
        weight = 0.0 if row.log_weight is None else row.log_weight
        mass[row.photo, row.target] = mass.get((row.photo, row.target), 0.0) + float(torch.tensor(weight).exp())
    for row in best:
        seconds[row.photo] = seconds.get(row.photo, 0.0) + (row.seconds or 0.0)
    found = [row for row in best if row.cam_from_world is not None]
    numbers = [image_number(row.photo) for row in found]
    poses = [row.cam_from_world for row in found if row.cam_from_world is not None]
    weights = [float(torch.tensor(row.log_weight or 0.0).exp()) / mass[row.photo, row.target] for row in found]
    return BopResult(
        tuple(scene for scene, _ in numbers),
        tuple(image for _, image in numbers),
        tuple(_number(row) for row in found),
        tuple(weights),
        SE3.stack(poses).double() if poses else SE3.identity(0, dtype=torch.float64),
        tuple(seconds[row.photo] for row in found),
    )


def _number(row: PoseRow) -> int:
    text = row.target.partition("#")[0]
    if not (text.isascii() and text.isdigit()):
        raise ResectError(row.photo, "a target that is the number of an object", repr(row.target))
    return int(text)
