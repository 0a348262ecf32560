"""A folder about one or several trajectories judged against one truth: a page with pictures, and the numbers."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from resect.artifact import write_atomic, write_json
from resect.data.trajectory import write_trajectory
from resect.errors import ResectError
from resect.evaluation.cards import scroll_table
from resect.evaluation.charts import Series, legend
from resect.evaluation.path_charts import error_chart, path_chart, space_axes, view_axes
from resect.evaluation.report import page
from resect.evaluation.trajectory_score import TrajectoryScore

if TYPE_CHECKING:
    from rich.table import Table

_PAGE = "report.html"
_MOST_PATHS = 7


def write_trajectory_report(folder: Path, scores: Mapping[str, TrajectoryScore], *, overwrite: bool = False) -> Path:
    """Writes `report.html`, `score.json` and, for each trajectory, its aligned poses and its errors as CSV.

    Args:
        folder: to write into.
        scores: by name, all against one truth.
        overwrite: whether an existing report may be replaced.
    """
    path = folder / _PAGE
    if path.exists() and not overwrite:
        raise ResectError(path, "a folder without a report", "an existing report", "Use another one, or --overwrite.")
    for k, (name, score) in enumerate(scores.items()):
        prefix = "" if len(scores) == 1 else f"{k}-{_safe(name)}-"
        write_trajectory(score.aligned, folder / f"{prefix}aligned.txt", overwrite=True)
        write_atomic(folder / f"{prefix}absolute.csv", absolute_csv(score).encode())
        write_atomic(folder / f"{prefix}relative.csv", relative_csv(score).encode())
    facts = {name: score.as_json() for name, score in scores.items()}
    write_json(folder / "score.json", next(iter(facts.values())) if len(facts) == 1 else facts)
    write_atomic(path, trajectory_html(scores).encode())
    return path


_UNIT_NAMES = {"f": "frames"}
_UNITS = '<p class="hint">Lengths are in the units of the true path, rotations in degrees.</p>'


def trajectory_html(scores: Mapping[str, TrajectoryScore], title: str = "The camera's path") -> str:
    """The page: numbers, paths from above and in space, errors over time."""
    drawn = dict(list(scores.items())[:_MOST_PATHS])
    truth = next(iter(drawn.values())).truth
    paths = {"truth": truth.positions, **{name: s.aligned.positions for name, s in drawn.items()}}
    everything = torch.cat(list(paths.values()))
    views = [path_chart(paths, axes(everything)) for axes in (view_axes, space_axes)]
    names = legend([Series(name, ()) for name in paths])
    notes = "".join(f'<div class="note">{escape(n)}</div>' for s in scores.values() for n in s.notes)
    body = f"<h1>{escape(title)}</h1>{notes}{_numbers(scores)}{_UNITS}"
    body += f"<h2>From above, and in space</h2>{names}{_charts(views)}"
    body += "<h2>Where the errors are</h2>"
    for name, score in drawn.items():
        body += f'<p class="hint">{escape(name)}: green is exact, red is {float(score.position.max()):.4g}.</p>'
        body += _charts([_coloured(score), *_over_time(score)])
    return page(title, body)


def absolute_csv(score: TrajectoryScore) -> str:
    """A row a paired pose: time, aligned position, true position, errors."""
    found, true = score.aligned.take(score.rows), score.truth.take(score.partners)
    columns = [found.seconds[:, None], found.positions, true.seconds[:, None], true.positions]
    values = torch.cat([*columns, score.position[:, None], score.rotation_deg[:, None]], 1)
    head = "seconds,x,y,z,true_seconds,true_x,true_y,true_z,error,rotation_deg"
    return _csv(head, values)


def relative_csv(score: TrajectoryScore) -> str:
    """A row a pair of poses: their times and the errors of the motion between them."""
    seconds = score.aligned.seconds[score.rows]
    first, second = (seconds[i] for i in score.pairs)
    return _csv(
        "seconds,to_seconds,error,rotation_deg", torch.stack([first, second, score.relative, score.relative_deg], 1)
    )


def _csv(head: str, values: Tensor) -> str:
    return "\n".join([head, *(",".join(repr(x) for x in row) for row in values.double().tolist())]) + "\n"


def _rows(scores: Mapping[str, TrajectoryScore]) -> list[list[str]]:
    """Heads, then a row a trajectory."""
    keys = ("ate_rmse", "rpe_rmse", "rpe_rotation_rmse_deg", "scale", "matched", "poses")
    rows = [["trajectory", *keys, "align"]]
    for name, score in scores.items():
        f = score.as_json()
        rows.append([name, *("–" if f[k] is None else f"{f[k]:.4g}" for k in keys), f["align"]])
    return rows


def trajectory_table(scores: Mapping[str, TrajectoryScore]) -> "Table":
    """The numbers as a table for the terminal."""
    from rich.table import Table

    heads, *rows = _rows(scores)
    table = Table()
    for k, head in enumerate(heads):
        table.add_column(head, justify="left" if k == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _numbers(scores: Mapping[str, TrajectoryScore]) -> str:
    heads, *rows = _rows(scores)
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    return scroll_table(head, "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows))


def _charts(charts: list[str]) -> str:
    return '<div class="charts">' + "".join(f'<div class="card">{c}</div>' for c in charts) + "</div>"


def _coloured(score: TrajectoryScore) -> str:
    found = score.aligned.take(score.rows).positions
    paths = {"truth": score.truth.positions, "estimate": found}
    return path_chart(paths, view_axes(torch.cat(list(paths.values()))), errors={"estimate": score.position})


def _over_time(score: TrajectoryScore) -> list[str]:
    seconds = score.aligned.seconds[score.rows]
    charts = [error_chart(seconds, {"position": score.position}, "position error over time (s)")]
    if len(score.relative) and not score.settings.all_pairs:
        unit = _UNIT_NAMES.get(score.settings.delta_unit, score.settings.delta_unit)
        label = f"error of motions of {score.settings.delta:g} {unit}, over time (s)"
        charts.append(error_chart(seconds[score.pairs[0]], {"motion": score.relative}, label))
    return charts


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:60]
