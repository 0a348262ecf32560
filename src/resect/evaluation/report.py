"""`report.html`: one file that explains a set of answers, readable without network, script or knowledge of resect."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from resect.artifact import write_atomic, write_json
from resect.errors import ResectError
from resect.evaluation import wording
from resect.evaluation.cards import CardSettings, card, scroll_table, statuses, table
from resect.evaluation.cases import Case
from resect.evaluation.charts import Axis, Series, cumulative, error_axis, share_chart
from resect.evaluation.error_map import score_map
from resect.evaluation.pictures import Painter
from resect.evaluation.run_folder import Run, cost_by_stage
from resect.evaluation.score import Score
from resect.metrics.calibration import reliability
from resect.metrics.pose import SOLVED, median


@dataclass(frozen=True)
class ReportSettings:
    """What a report shows.

    Attributes:
        title: heading.
        pictures: photos shown with pictures; wrong and failed ones come first, then the worst, then the best.
        moving: of these, how many with a moving picture.
        rows: photos in the table.
        max_bytes: no more pictures are added to a page of this size.
        cards: sizes of pictures.
    """

    title: str = "Where the photos were taken from"
    pictures: int = 12
    moving: int = 4
    rows: int = 2000
    max_bytes: int = 16 << 20
    cards: CardSettings = field(default_factory=CardSettings)


def write_report(
    folder: Path,
    cases: Sequence[Case],
    *,
    score: Score | None = None,
    run: Run | None = None,
    paint: Painter | None = None,
    settings: ReportSettings | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes `report.html`, and `score.json` where there is a score; returns the path of the page.

    Args:
        folder: to write into.
        cases: the photos, from `cases_of_score` or `cases_of_answers`.
        score: errors, where the truth is known.
        run: settings, versions and cost to print.
        paint: draws the scene, for overlays.
        settings: what to show.
        overwrite: whether an existing report may be replaced.
    """
    path = folder / "report.html"
    if path.exists() and not overwrite:
        raise ResectError(path, "a folder without a report", "an existing report", "Use another one, or --overwrite.")
    page = report_html(cases, score=score, run=run, paint=paint, settings=settings or ReportSettings())
    if score is not None:
        write_json(folder / "score.json", score.as_json())
    write_atomic(path, page.encode())
    return path


def report_html(
    cases: Sequence[Case],
    *,
    score: Score | None = None,
    run: Run | None = None,
    paint: Painter | None = None,
    settings: ReportSettings,
) -> str:
    """The page as text; see `write_report`."""
    meters = score.meters_per_unit if score is not None else None
    ordered = worst_first(cases)
    parts = [f"<h1>{escape(settings.title)}</h1><p>{escape(summary(cases, score))}</p>", _tiles(cases, score)]
    if score is not None:
        parts += [f'<div class="note">{escape(note)}</div>' for note in score.notes]
        parts.append(_curves({"": score}))
    parts += [_pictures(ordered, paint, meters, settings)]
    parts += ["<h2>All photos</h2>", table(ordered, meters, settings.rows)]
    parts += ["<h2>What a status means</h2>", statuses([c.status for c in cases])]
    if run is not None:
        parts.append(_run(run))
    return page(settings.title, "".join(parts))


def page(title: str, body: str) -> str:
    """A whole document around a body."""
    style = files("resect.evaluation").joinpath("report.css").read_text("utf-8")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(title)}</title>"
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    head += f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    foot = "<footer>Made by resect. This page holds everything it shows and loads nothing.</footer>"
    top = f'<!doctype html><html lang="en"><head>{head}<style>{style}</style></head>'
    return f"{top}<body><main>{body}{foot}</main></body></html>"


def worst_first(cases: Sequence[Case]) -> list[Case]:
    """Wrong answers, then failures, then by error; without a truth, failures first."""

    def rank(case: Case) -> tuple[int, float]:
        wrong = case.answered and case.solved is False
        error = case.rotation_deg if case.rotation_deg is not None and math.isfinite(case.rotation_deg) else 0.0
        return (0 if wrong else 1 if not case.answered else 2, -error)

    return sorted(cases, key=rank)


def summary(cases: Sequence[Case], score: Score | None) -> str:
    """What happened, in a sentence or two."""
    count, answered = len(cases), sum(c.answered for c in cases)
    text = f"{answered} of {count} photos were given a pose."
    if score is not None:
        solved = int(score.solved.sum())
        rotation, translation = median(score.rotation_deg), median(score.translation)
        text += f" {solved} are within 5° and 5 % of the scene's scale of the truth."
        if math.isfinite(rotation):
            distance = wording.length(translation, score.meters_per_unit)
            text += f" The median photo is off by {wording.angle(rotation)} and {distance}."
        if score.accepted_wrong:
            text += f" Called a success, but wrong: {score.accepted_wrong}."
    if any(c.oracle for c in cases):
        text += " The starts were made from the truth (oracle), so this measures the refinement alone."
    return text


def _tiles(cases: Sequence[Case], score: Score | None) -> str:
    failed = sum(not c.answered for c in cases)
    tiles = [(str(len(cases)), "photos"), (str(failed), "failed")]
    if score is not None:
        tiles += [
            (str(score.accepted_wrong), "accepted, but wrong"),
            (wording.angle(median(score.rotation_deg)), "median rotation error"),
            (wording.length(median(score.translation), score.meters_per_unit), "median translation error"),
        ]
        tiles += [(wording.percent(v), f"within {wording.recall_name(k)}") for k, v in list(score.recalls.items())[:4]]
    known = sorted(c.seconds for c in cases if c.seconds is not None)
    if known:
        tiles.append((wording.duration(known[len(known) // 2]), "a photo (median)"))
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{a}</b><span>{b}</span></div>' for a, b in tiles)
        + "</div>"
    )


def _curves(scores: Mapping[str, Score]) -> str:
    """Charts of one score; the names are empty."""
    charts = error_charts(scores)
    (only,) = scores.values()
    words = (
        "A curve says what share of all photos is off by at most so much; higher and further left is better. "
        "Failed photos never come in, so a curve that stays below 100 % shows how many failed."
    )
    if len(only.d2):
        charts.append(_calibration_chart(only))
    if any(p.ok for p in only.photos):
        charts.append(score_map(only))
    body = "".join(f'<div class="card">{c}</div>' for c in charts)
    return f'<h2>How exact</h2><p class="hint">{words}</p><div class="charts">{body}</div>'


def error_charts(scores: Mapping[str, Score]) -> list[str]:
    """Cumulative errors of rotation and of translation, one line a score, as HTML."""
    rotations = {name: s.rotation_deg.tolist() for name, s in scores.items()}
    distances = {name: (s.translation / (s.scene_scale or 1.0)).tolist() for name, s in scores.items()}
    charts = []
    for title, label, errors, marks in (
        ("Rotation", "rotation error, degrees", rotations, [(1.0, "1°"), (SOLVED.rotation_deg, "5°")]),
        ("Translation", "distance of centres, parts of the scene's scale", distances, [(0.01, "1 %"), (0.05, "5 %")]),
    ):
        axis = error_axis(label, [e for values in errors.values() for e in values], marks)
        lines = [cumulative(name, values, axis.low) for name, values in errors.items()]
        charts.append(f"<h3>{title}</h3>{share_chart(lines, axis)}")
    return charts


def _calibration_chart(score: Score) -> str:
    points = tuple((level, share.value) for level, share in reliability(score.d2))
    axis = Axis("claimed: share of truths inside the ellipsoid", 0.0, 1.0)
    chart = share_chart([Series("found", points)], axis, diagonal=True, dots=True)
    inside = score.inside
    assert inside is not None
    words = f"The 90 % ellipsoid holds {wording.percent(inside.value)} of {inside.count} truths."
    words += " Points below the dashes: too sure of itself; above: too modest."
    return f'<h3>Is the stated uncertainty true?</h3>{chart}<p class="hint">{words}</p>'


def choose(ordered: Sequence[Case], count: int) -> list[Case]:
    """Which photos get pictures: the first (worst) ones, and the two best, so that a success can be seen too."""
    with_photo = [c for c in ordered if c.load is not None]
    if len(with_photo) <= count:
        return with_photo
    best = min(2, count // 2)
    return with_photo[: count - best] + with_photo[len(with_photo) - best :]


def _pictures(ordered: Sequence[Case], paint: Painter | None, meters: float | None, settings: ReportSettings) -> str:
    chosen, cards, size, moving = choose(ordered, settings.pictures), [], 0, 0
    for case in chosen:
        if size > settings.max_bytes:
            break
        moves = moving < settings.moving and case.answered and len(case.path) > 1
        cards.append(card(case, case.paint or paint, meters, settings.cards, moving=moves))
        moving += moves
        size += len(cards[-1])
    if not cards:
        return ""
    left_out = len([c for c in ordered if c.load is not None]) - len(cards)
    words = (
        "The worst come first. " if left_out <= 0 else f"The worst come first, the best last; {left_out} are left out. "
    )
    if paint is not None or any(case.paint is not None for case in chosen):
        words += "Where photo and render agree, the cut between them cannot be seen and the difference is black."
    return f'<h2>Photos and renders</h2><p class="hint">{words}</p><div class="cases">{"".join(cards)}</div>'


def _run(run: Run) -> str:
    stages: dict[str, Any] = cost_by_stage(run.log)["stages"]
    most = max((s["median_ms"] for s in stages.values()), default=0.0) or 1.0
    rows = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{wording.duration(s['median_ms'] / 1000)}</td>"
        f'<td class="words"><span class="bar" style="width:{220 * s["median_ms"] / most:.0f}px"></span></td></tr>'
        for name, s in stages.items()
    )
    head = "<th>stage</th><th>median</th><th></th>"
    cost = f"<h2>Where the time goes</h2>{scroll_table(head, rows)}" if rows else ""
    facts = json.dumps({"settings": run.settings, "versions": run.versions}, indent=1, ensure_ascii=False)
    return f"{cost}<details><summary>Settings and versions</summary><pre>{escape(facts)}</pre></details>"
