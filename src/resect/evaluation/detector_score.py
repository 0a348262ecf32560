"""How well a detector finds known objects: masks, poses, before and after refinement.

Every true object that is visible enough is asked for. It is matched to the detection of its class in its image whose
mask overlaps most, each detection once, best pairs first; an object without one is missed: no overlap, infinite error.
Where the data has no mask of an object, visible boxes are compared in place of masks.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from resect.data.mask import Box
from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.geometry.mesh import diameter
from resect.geometry.se3 import SE3
from resect.metrics.box import aligned_iou
from resect.metrics.object import add_s, object_errors
from resect.metrics.pose import median
from resect.protocols import Detector
from resect.types import Estimate, Hypotheses, Photo, Target

Refine = Callable[[Photo, Hypotheses], Estimate]
LEAST_OVERLAP = 0.25
"""IoU of masks from which an object counts as detected."""
_MOST = 1000


@dataclass(frozen=True)
class ObjectCase:
    """One object that was asked for.

    Attributes:
        photo: its name.
        target: object id.
        iou: of the masks, or of the boxes; 0 where it was missed.
        rotation_deg: error of the detector's pose, to the nearest equivalent one.
        translation: the same, object units.
        add: ADD(-S) over the diameter.
        refined: the three errors after refinement; `None` where nothing was refined.
        accepted: whether the refined pose was given out.
    """

    photo: str
    target: str
    iou: float = 0.0
    rotation_deg: float = math.inf
    translation: float = math.inf
    add: float = math.inf
    refined: tuple[float, float, float] | None = None
    accepted: bool = False


@dataclass(frozen=True)
class DetectorScore:
    """What came of all objects.

    Attributes:
        cases: one each.
        extra: detections that belong to no object that is there, visible enough or not.
        meters_per_unit: of the objects, if known.
        by_boxes: of how many objects visible boxes were compared, as the data has no masks of them.
    """

    cases: tuple[ObjectCase, ...]
    extra: int
    meters_per_unit: float | None
    by_boxes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Shares over all objects that were asked for, then the same of each kind."""
        kinds = sorted({c.target for c in self.cases})
        each = {kind: self._shares([c for c in self.cases if c.target == kind]) for kind in kinds}
        return {**self._shares(self.cases), "extra": self.extra, "by_boxes": self.by_boxes, "objects": each}

    def text(self) -> str:
        """A table."""
        facts = self.as_json()
        rows = [("all", facts), *facts["objects"].items()]
        names = [k for k in facts if k not in ("extra", "by_boxes", "objects")]
        lines = ["  ".join(["object".ljust(12), *(n.rjust(max(8, len(n))) for n in names)])]
        for name, row in rows:
            cells = ("–" if row[n] is None else f"{row[n]:g}" if n == "asked" else f"{row[n]:.3f}" for n in names)
            lines.append(
                "  ".join([name.ljust(12), *(c.rjust(max(8, len(n))) for c, n in zip(cells, names, strict=True))])
            )
        boxes = f"boxes are compared, not masks, of {self.by_boxes} objects: the data has no masks of them"
        return "\n".join([*lines, f"{self.extra} detections of what is not there", *([boxes] if self.by_boxes else [])])

    def _shares(self, cases: Sequence[ObjectCase]) -> dict[str, Any]:
        n = max(1, len(cases))
        facts: dict[str, Any] = {
            "asked": len(cases),
            "detected": sum(c.iou >= LEAST_OVERLAP for c in cases) / n,
            "iou": sum(c.iou for c in cases) / n,
        }
        facts |= self._poses([(c.rotation_deg, c.translation, c.add) for c in cases], "")
        turns = [c.rotation_deg for c in cases if c.iou >= LEAST_OVERLAP]
        facts["detected_median_deg"] = median(torch.tensor(turns)) if turns else None
        if any(c.refined is not None for c in cases):
            facts |= self._poses([c.refined or (math.inf,) * 3 for c in cases], "refined_")
            facts["refined_accepted_wrong"] = sum(c.accepted and not self._near(c.refined) for c in cases)
        return facts

    def _poses(self, errors: Sequence[tuple[float, float, float]], prefix: str) -> dict[str, Any]:
        n = max(1, len(errors))
        turn = median(torch.tensor([e[0] for e in errors]))
        near = None if self.meters_per_unit is None else sum(self._near(e) for e in errors) / n
        return {
            f"{prefix}median_deg": None if math.isinf(turn) else turn,
            f"{prefix}5deg_5cm": near,
            f"{prefix}add_s_0.1d": sum(e[2] < 0.1 for e in errors) / n,
        }

    def _near(self, error: tuple[float, float, float] | None) -> bool:
        """Within 5° and 5 cm; of objects of unknown size, by ADD(-S) within a tenth of the diameter."""
        if error is None:
            return False
        meters = self.meters_per_unit
        return error[2] < 0.1 if meters is None else error[0] < 5 and error[1] * meters < 0.05


def score_detector(
    detector: Detector,
    data: Mapping[str, ObjectSet],
    *,
    visible: float = 0.5,
    most: int | None = None,
    refine: Refine | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    shown: Callable[[Photo, Sequence[tuple[Photo, Hypotheses]]], None] | None = None,
) -> DetectorScore:
    """Looks at every image once, or at some.

    Args:
        detector: what is judged.
        data: object id → its photos with masks and poses.
        visible: least visible share of what is asked for.
        most: images to look at, evenly spread; all when not given.
        refine: from a detected object and the detector's pose to a better one.
        progress: called with (done, total, remark).
        shown: called with each photo and what was detected in it, for pictures.
    """
    by_image: dict[str, list[tuple[str, int]]] = {}
    for name, objects in data.items():
        for i, photo_name in enumerate(objects.photos.names):
            by_image.setdefault(photo_name, []).append((name, i))
    judge = _Judge(data, visible, refine)
    images = sorted(by_image.items())
    images = images[:: 1 if most is None else max(1, math.ceil(len(images) / most))]
    for done, (image, rows) in enumerate(images, 1):
        photo = data[rows[0][0]].photos[rows[0][1]]
        bare = replace(photo, target=None)
        found = detector.detect(bare, _MOST)
        judge.image(rows, found)
        if shown is not None:
            shown(bare, found)
        if progress is not None:
            progress(done, len(images), image)
    if by_image and not judge.told:
        raise ResectError("true objects", "masks or boxes of what is visible of them", "neither")
    first = next(iter(data.values()))
    return DetectorScore(tuple(judge.cases), judge.extra, first.photos.world.meters_per_unit, judge.by_boxes)


class _Judge:
    """Collects cases; meshes are read once."""

    def __init__(self, data: Mapping[str, ObjectSet], visible: float, refine: Refine | None) -> None:
        self.data, self.visible, self.refine = data, visible, refine
        self.cases: list[ObjectCase] = []
        self.extra = self.by_boxes = 0
        self.told = False
        self._points: dict[str, tuple[Tensor, float]] = {}

    def image(self, rows: Sequence[tuple[str, int]], found: Sequence[tuple[Photo, Hypotheses]]) -> None:
        true = [(name, i, self.data[name].photos[i].target) for name, i in rows]
        known = [t for _, _, t in true if t is not None and (t.mask is not None or t.box is not None)]
        self.told |= bool(known)
        self.by_boxes += sum(t.mask is None for t in known)
        pairs = sorted(
            ((_overlap(target, p.target), k, m) for k, (name, _, target) in enumerate(true)
             for m, (p, _) in enumerate(found) if p.target is not None and p.target.object_id == name),
            reverse=True,
        )  # fmt: skip
        match: dict[int, tuple[float, int]] = {}
        for iou, k, m in pairs:
            if iou > 0 and k not in match and m not in {used for _, used in match.values()}:
                match[k] = (iou, m)
        self.extra += len(found) - len(match)
        for k, (name, i, _) in enumerate(true):
            objects = self.data[name]
            share = 1.0 if objects.visible is None else float(objects.visible[i])
            if share >= self.visible:
                self.cases.append(self._case(objects, i, match.get(k), found))

    def _case(
        self, objects: ObjectSet, i: int, match: tuple[float, int] | None, found: Sequence[tuple[Photo, Hypotheses]]
    ) -> ObjectCase:
        name, photo_name = objects.object_id, objects.photos.names[i]
        if match is None:
            return ObjectCase(photo_name, name)
        photo, guess = found[match[1]]
        truth = objects.photos.truth.cam_from_world[i : i + 1]
        errors = self._errors(objects, guess.cam_from_world[:1], truth)
        case = ObjectCase(photo_name, name, match[0], *errors)
        if self.refine is None:
            return case
        answer = self.refine(photo, guess)
        pose = answer.cam_from_world
        if pose is None:
            return replace(case, refined=(math.inf,) * 3)
        after = self._errors(objects, SE3(pose.R[None], pose.t[None]), truth)
        return replace(case, refined=after, accepted=True)

    def _errors(self, objects: ObjectSet, found: SE3, truth: SE3) -> tuple[float, float, float]:
        name = objects.object_id
        if name not in self._points:
            if objects.load_mesh is None:
                raise ResectError(f"object {name}", "its model, to measure errors by", "none")
            points = objects.load_mesh().vertices.double()
            self._points[name] = points, objects.diameter or diameter(points)
        points, size = self._points[name]
        turn, shift = object_errors(found, truth, objects.symmetries)
        return (
            float(turn),
            float(shift),
            float(add_s(found.double(), truth.double(), points, objects.symmetries)) / size,
        )


def _overlap(true: Target | None, found: Target) -> float:
    """IoU of masks, of boxes where there is no true mask; 0 where neither is known."""
    if true is None:
        return 0.0
    if true.mask is not None and found.mask is not None and true.mask.shape == found.mask.shape:
        return float((true.mask & found.mask).sum()) / max(1, int((true.mask | found.mask).sum()))
    return 0.0 if true.mask is not None or true.box is None or found.box is None else _box_iou(true.box, found.box)


def _box_iou(a: Box, b: Box) -> float:
    """Of rectangles: of slabs of one thickness."""
    slabs = [torch.tensor([[left, top, 0.0], [right, bottom, 1.0]]) for left, top, right, bottom in (a, b)]
    return float(aligned_iou(*slabs))
