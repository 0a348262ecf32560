"""A page with what a detector found: the figures of each object, the photos with most missed first."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from PIL import Image

from resect.artifact import write_atomic, write_json
from resect.evaluation.cards import scroll_table
from resect.evaluation.detector_score import LEAST_OVERLAP, DetectorScore, ObjectCase
from resect.evaluation.pictures import jpeg_uri
from resect.evaluation.report import page

_MOST_DRAWN, _SIDE = 40, 640
_HEADS = {"asked": "asked", "detected": "detected", "iou": "IoU", "5deg_5cm": "5°5cm", "refined_5deg_5cm": "refined"}


def write_detector_report(folder: Path, score: DetectorScore, pictures: Mapping[str, Path]) -> Path:
    """Writes `report.html` and `score.json`; returns the path of the page.

    Args:
        folder: where.
        score: what came of all objects.
        pictures: photo → its picture, as `drawn_detections` makes it.
    """
    by_photo: dict[str, list[ObjectCase]] = {name: [] for name in pictures}
    for case in score.cases:
        by_photo.setdefault(case.photo, []).append(case)
    order = sorted(by_photo, key=lambda name: (-sum(c.iou < LEAST_OVERLAP for c in by_photo[name]), name))
    body = f"<h1>What was detected</h1><p>{len(pictures)} photos, {len(score.cases)} objects asked for, {score.extra} "
    body += f"detections of what is not there.</p>{_table(score)}<h2>Most missed first</h2>"
    body += "".join(_card(name, by_photo[name], pictures[name]) for name in order[:_MOST_DRAWN] if name in pictures)
    if len(order) > _MOST_DRAWN:
        body += f'<p class="note">{len(order) - _MOST_DRAWN} more are pictures beside this page.</p>'
    write_json(folder / "score.json", score.as_json())
    write_atomic(folder / "report.html", page("What was detected", body).encode())
    return folder / "report.html"


def _table(score: DetectorScore) -> str:
    facts = score.as_json()
    heads = {key: word for key, word in _HEADS.items() if key in facts}
    rows = ""
    for name, row in (("all", facts), *facts["objects"].items()):
        cells = "".join(f"<td>{_cell(key, row.get(key))}</td>" for key in heads)
        rows += f"<tr><td>{escape(name)}</td>{cells}</tr>"
    return scroll_table("<th>object</th>" + "".join(f"<th>{word}</th>" for word in heads.values()), rows)


def _cell(key: str, value: float | None) -> str:
    return (
        "–" if value is None else f"{value:g}" if key == "asked" else f"{value:.2f}" if key == "iou" else f"{value:.1%}"
    )


def _card(name: str, cases: list[ObjectCase], picture: Path) -> str:
    missed = [escape(c.target) for c in cases if c.iou < LEAST_OVERLAP]
    words = f"missed: {', '.join(missed)}" if missed else "all found" if cases else "nothing asked for"
    with Image.open(picture) as image:
        image.thumbnail((_SIDE, _SIDE))
        uri = jpeg_uri(image.convert("RGB"))
    head = f"<header><b>{escape(name)}</b><span class=soft>{words}</span></header>"
    return f'<article class="card case">{head}<figure><img src="{uri}" alt="what was detected"></figure></article>'
