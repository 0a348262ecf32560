"""A page with true boxes and those that were found, drawn in space, the worst first."""

from html import escape
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic, write_json
from resect.data.box_list import BoxList
from resect.errors import ResectError
from resect.evaluation.box_score import BoxScore
from resect.evaluation.cards import scroll_table
from resect.evaluation.charts import Series, legend
from resect.evaluation.path_charts import path_chart, space_axes, view_axes
from resect.evaluation.report import page

_MOST_DRAWN = 24
_ROUND = (0, 1, 3, 2, 0, 4, 5, 1, 5, 7, 3, 7, 6, 2, 6, 4)
"""A walk over all twelve edges; bit a of a corner's number says which end of axis a it is at."""


def write_box_report(
    folder: Path, answers: BoxList, truth: BoxList, score: BoxScore, *, overwrite: bool = False
) -> Path:
    """Writes `report.html` and `score.json`; returns the path of the page."""
    path = folder / "report.html"
    if path.exists() and not overwrite:
        raise ResectError(path, "a folder without a report", "an existing report", "Use another one, or --overwrite.")
    folder.mkdir(parents=True, exist_ok=True)
    each = dict(zip(score.names, score.iou.tolist(), strict=True))
    write_json(folder / "score.json", {**score.as_json(), "iou": each})
    write_atomic(path, box_html(answers, truth, score).encode())
    return path


def box_html(answers: BoxList, truth: BoxList, score: BoxScore) -> str:
    """The page: figures, drawings of the worst boxes in space and from above, all boxes as a table."""
    row = {name: i for i, name in enumerate(answers.names)}
    order = score.iou.argsort(stable=True).tolist()
    names = legend([Series("truth", ()), Series("found", ())])
    body = f"<h1>Boxes in space</h1><p>{escape(score.text())}</p><h2>The worst first</h2>{names}"
    for i in order[:_MOST_DRAWN]:
        name = score.names[i]
        paths = {"truth": edges(truth.corners[i])}
        if name in row:
            paths["found"] = edges(answers.corners[row[name]])
        points = torch.cat(list(paths.values()))
        charts = "".join(path_chart(paths, axes(points)) for axes in (space_axes, view_axes))
        said = f"IoU {float(score.iou[i]):.3f}" if name in row else "no answer"
        body += f'<h3>{escape(name)}: {said}</h3><div class="charts">{charts}</div>'
    cells = "".join(f"<tr><td>{escape(score.names[i])}</td><td>{float(score.iou[i]):.3f}</td></tr>" for i in order)
    return page("Boxes in space", body + "<h2>All</h2>" + scroll_table("<th>box</th><th>IoU</th>", cells))


def edges(corners: Float[Tensor, "2 3"]) -> Float[Tensor, "16 3"]:
    """A line along all edges of a box."""
    bits = (torch.tensor(_ROUND)[:, None] >> torch.arange(3)) & 1
    return corners.double().gather(0, bits)
