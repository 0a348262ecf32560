"""Several runs side by side: a table for the terminal, a CSV for a spreadsheet, a page with the curves laid over."""

import csv
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from resect.artifact import write_atomic
from resect.errors import ResectError
from resect.evaluation import wording
from resect.evaluation.cards import scroll_table
from resect.evaluation.charts import Series, legend
from resect.evaluation.report import error_charts, page
from resect.evaluation.score import Score
from resect.metrics.pose import median

if TYPE_CHECKING:
    from rich.table import Table

_PLAIN = (
    *("photos", "failed", "accepted_wrong", "not_improved", "oracle", "median_rotation_deg", "median_translation"),
    *("median_translation_scale", "translation_unit", "scene_scale", "seconds_per_photo", "load_seconds"),
)
_MOST_RUNS = 64
_RUNS_A_TABLE = 4
_MOST_CURVES = 8
_MOST_DIFFERENCES = 200


def compare(scores: Mapping[str, Score]) -> list[dict[str, str]]:
    """One row a run, as people read it.

    Args:
        scores: name → score; names are shown as they are.
    """
    if not 1 <= len(scores) <= _MOST_RUNS:
        raise ResectError("compare", f"between 1 and {_MOST_RUNS} runs", str(len(scores)))
    keys = list(dict.fromkeys(key for s in scores.values() for key in s.recalls))
    return [_row(name, score, keys) for name, score in scores.items()]


def _row(name: str, score: Score, recalls: list[str]) -> dict[str, str]:
    found, translation = score.recalls, median(score.translation)
    start = " (oracle starts)" if any(p.oracle for p in score.photos) else ""
    row = {
        "run": name + start,
        "photos": str(len(score.photos)),
        "failed": str(score.failed),
        "accepted wrong": str(score.accepted_wrong),
        "median rotation": wording.angle(median(score.rotation_deg)),
        "median translation": wording.length(translation, score.meters_per_unit),
    }
    row |= {wording.recall_name(k): wording.percent(found[k]) if k in found else "–" for k in recalls}
    inside = score.inside
    row["in 90 % ellipsoid"] = "–" if inside is None else wording.percent(inside.value)
    row["time a photo"] = wording.duration(score.seconds_per_photo)
    return row


def remarks(scores: Mapping[str, Score]) -> list[str]:
    """What makes the runs hard to compare, if anything."""
    first, *others = scores.items()
    notes = []
    for name, score in others:
        mine, theirs = ({p.photo for p in s.photos} for s in (first[1], score))
        if mine != theirs:
            shared = f"'{first[0]}' on {len(mine)}; {len(mine & theirs)} are shared."
            notes.append(f"'{name}' was judged on {len(theirs)} photos, {shared}")
        if score.meters_per_unit != first[1].meters_per_unit:
            notes.append(f"'{name}' and '{first[0]}' have lengths in different units.")
    return notes


def comparison_tables(scores: Mapping[str, Score]) -> "list[Table]":
    """For the terminal: a line a measure and a column a run, in tables that fit into 100 columns."""
    from rich.markup import escape as escape_markup
    from rich.table import Table

    rows, tables = compare(scores), []
    for first in range(0, len(rows), _RUNS_A_TABLE):
        some, table = rows[first : first + _RUNS_A_TABLE], Table()
        table.add_column("run")
        for row in some:
            table.add_column(escape_markup(row["run"]), justify="right", overflow="fold", max_width=16)
        for name in list(rows[0])[1:]:
            table.add_row(name, *(row[name] for row in some))
        tables.append(table)
    return tables


def comparison_csv(scores: Mapping[str, Score]) -> str:
    """Full numbers, one row a run; infinite medians are empty."""
    facts = {name: score.as_json() for name, score in scores.items()}
    recalls = list(dict.fromkeys(key for f in facts.values() for key in f["recall"]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["run", *_PLAIN, *(f"recall_{key}" for key in recalls), "share_in_90"])
    for name, f in facts.items():
        cells = [f[key] for key in _PLAIN] + [f["recall"].get(key) for key in recalls]
        cells.append((f["calibration"] or {}).get("share_in_90"))
        writer.writerow([name, *("" if c is None else c for c in cells)])
    return buffer.getvalue()


def write_comparison(folder: Path, scores: Mapping[str, Score], *, overwrite: bool = False) -> Path:
    """Writes `compare.csv` and `compare.html`; returns the path of the page."""
    path = folder / "compare.html"
    for made in (path, folder / "compare.csv"):
        if made.exists() and not overwrite:
            raise ResectError(made, "a file that does not exist yet", "an existing one", "Use --overwrite.")
    write_atomic(folder / "compare.csv", comparison_csv(scores).encode())
    write_atomic(path, comparison_html(scores).encode())
    return path


def comparison_html(scores: Mapping[str, Score], title: str = "Runs side by side") -> str:
    """The page: table, curves laid over each other, photos on which the runs disagree."""
    rows = compare(scores)
    head = "".join(f"<th>{escape(h)}</th>" for h in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row.values()) + "</tr>" for row in rows)
    notes = "".join(f'<div class="note">{escape(note)}</div>' for note in remarks(scores))
    drawn = dict(list(scores.items())[:_MOST_CURVES])
    charts = "".join(f'<div class="card">{c}</div>' for c in error_charts(drawn))
    names = legend([Series(name, ()) for name in drawn])
    hint = "The share of all photos that are off by at most so much; higher and further left is better."
    curves = f'<h2>How exact</h2><p class="hint">{hint}</p>{names}<div class="charts">{charts}</div>'
    return page(title, f"<h1>{escape(title)}</h1>{notes}{scroll_table(head, body)}{curves}{_differences(scores)}")


def _differences(scores: Mapping[str, Score]) -> str:
    """Photos that some runs solved and others did not."""
    solved: dict[str, dict[str, bool]] = {}
    errors: dict[tuple[str, str], str] = {}
    for name, score in scores.items():
        for photo, right in zip(score.photos, score.solved.tolist(), strict=True):
            label = f"{photo.photo} {photo.target}".strip()
            solved.setdefault(label, {})[name] = right
            errors[label, name] = wording.angle(photo.rotation_deg) if photo.ok else photo.status
    split = [label for label, by in solved.items() if len(set(by.values())) > 1]
    if not split:
        return ""
    head = "<th>photo</th>" + "".join(f"<th>{escape(name)}</th>" for name in scores)
    rows = ""
    for label in split[:_MOST_DIFFERENCES]:
        cells = "".join(f"<td>{_cell(solved[label].get(name), errors.get((label, name), ''))}</td>" for name in scores)
        rows += f'<tr><td class="name">{escape(label)}</td>{cells}</tr>'
    more = len(split) - _MOST_DIFFERENCES
    left_out = f'<p class="hint">{more} more are left out.</p>' if more > 0 else ""
    hint = '<p class="hint">Photos that some runs found within 5° and 5 % of the scene\'s scale, and others not.</p>'
    return f"<h2>Where they differ</h2>{hint}{scroll_table(head, rows)}{left_out}"


def _cell(right: bool | None, text: str) -> str:
    if right is None:
        return "–"
    return f'<span class="chip {"good" if right else "bad"}">{escape(text)}</span>'
