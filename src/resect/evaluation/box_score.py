"""Boxes in space against true ones: intersection over union; a box that is missing counts as 0."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.box_list import BoxList, read_box_list
from resect.errors import ResectError
from resect.metrics.box import aligned_iou


@dataclass(frozen=True, eq=False)
class BoxScore:
    """What a list of boxes is worth.

    Attributes:
        names: of the true boxes.
        iou: of each; 0 where there is no answer.
        missing: how many have none.
        unknown: answers without a true box; they count nowhere.
    """

    names: tuple[str, ...]
    iou: Float[Tensor, "n"]
    missing: int
    unknown: int

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints."""
        return {
            "iou_mean": float(self.iou.mean()),
            "iou_median": float(self.iou.quantile(0.5)),
            "iou_above_0.5": float((self.iou > 0.5).double().mean()),
            "boxes": len(self.names),
            "missing": self.missing,
            "unknown": self.unknown,
        }

    def text(self) -> str:
        """The score in two lines."""
        facts = self.as_json()
        figures = ", ".join(f"{key} {facts[key]:.3f}" for key in ("iou_mean", "iou_median", "iou_above_0.5"))
        return f"{figures}\n{facts['boxes']} boxes, {self.missing} without an answer, {self.unknown} answers of others"


def score_boxes(answers: BoxList | Path | str, truth: BoxList | Path | str) -> BoxScore:
    """Judges axis-aligned boxes, matched by their names."""
    given = answers if isinstance(answers, BoxList) else read_box_list(answers)
    true = truth if isinstance(truth, BoxList) else read_box_list(truth)
    row = {name: i for i, name in enumerate(given.names)}
    known = [i for i, name in enumerate(true.names) if name in row]
    if not known:
        raise ResectError("boxes", f"names as in the truth, e.g. '{true.names[0]}'", f"'{given.names[0]}'")
    iou = torch.zeros(len(true.names), dtype=torch.float64)
    iou[known] = aligned_iou(given.corners[[row[true.names[i]] for i in known]], true.corners[known])
    return BoxScore(true.names, iou, len(true.names) - len(known), len(given.names) - len(known))
