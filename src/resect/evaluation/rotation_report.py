"""A page about densities over rotations: figures of each class, calibration, and photos beside their densities."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from pathlib import Path

from resect.artifact import write_atomic, write_json
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.evaluation.cards import figure, scroll_table
from resect.evaluation.charts import Axis, Series, cumulative, error_axis, share_chart
from resect.evaluation.pictures import jpeg_uri
from resect.evaluation.report import page
from resect.evaluation.rotation_pictures import beside
from resect.evaluation.rotation_score import RotationScore, best_and_worst
from resect.metrics.rotation import RotationSummary
from resect.priors.rotations.prior import RotationPrior

_PAGE = "report.html"
_LEAST_DEG = 0.1


def write_rotation_report(
    folder: Path,
    prior: RotationPrior,
    data: RotationSet,
    score: RotationScore,
    *,
    pictures: int = 8,
    title: str = "Rotations as densities",
    overwrite: bool = False,
) -> Path:
    """Writes `report.html`, `score.json` and `images.csv`; returns the path of the page.

    Args:
        folder: to write into.
        prior: the network that was scored, asked again for what is drawn.
        data: what it was scored on.
        score: of all of `data`, in its order.
        pictures: how many images are shown, from the best log-likelihood to the worst.
        title: heading.
        overwrite: whether an existing report may be replaced.
    """
    path = folder / _PAGE
    if path.exists() and not overwrite:
        raise ResectError(path, "a folder without a report", "an existing report", "Use another one, or --overwrite.")
    body = f"<h1>{escape(title)}</h1><p>{_sentence(score)}</p>{_numbers(score)}{_charts(score)}"
    body += "<h2>From the best explained image to the worst</h2>"
    body += '<p class="hint">A disc is a likely rotation: where an axis of the object looks, and in its colour how far'
    body += " the object is turned about that axis. Rings are the rotations that look the same as the true one.</p>"
    shown = (_shown(i, prior, data, score) for i in best_and_worst(score, pictures))
    body += f'<div class="views">{"".join(shown)}</div>'
    write_json(folder / "score.json", score.as_json())
    score.write(folder / "images.csv")
    write_atomic(path, page(title, body).encode())
    return path


def _sentence(score: RotationScore) -> str:
    s = score.report.over_classes
    text = f"{len(score.judged)} images. The mean log-likelihood of a true rotation is {s.log_likelihood:.2f}, where"
    text += f" {s.ceiling:.2f} is the most that the grid of level {s.level} allows and −2.29 is to know nothing."
    if score.symmetric:
        text += (
            f" The best rotation is off by {s.reduced_median_deg:.1f}° from the nearest that looks the same (median)."
        )
    return escape(text)


def _numbers(score: RotationScore) -> str:
    heads = {
        "count": "images",
        "log_likelihood": "log-likelihood",
        "ceiling": "ceiling",
        "median_deg": "median°",
        "reduced_median_deg": "median° to equivalents",
        "acc15": "within 15°",
        "acc30": "within 30°",
        "spread_deg": "spread°",
    }
    assert set(heads) <= {f.name for f in fields(RotationSummary)}
    rows: dict[str, RotationSummary] = {**dict(score.report.classes), "mean": score.report.over_classes}
    head = "<th></th>" + "".join(f"<th>{escape(h)}</th>" for h in heads.values())
    return scroll_table(head, "".join(_row(name, s, heads) for name, s in rows.items()))


def _row(name: str, s: RotationSummary, heads: Mapping[str, str]) -> str:
    values = [getattr(s, key) for key in heads]
    cells = (str(v) if isinstance(v, int) else f"{v:.2f}" for v in values)
    return f"<tr><td>{escape(name)}</td>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"


def _charts(score: RotationScore) -> str:
    errors = [one.reduced_deg for one in score.judged]
    axis = error_axis("error to the nearest equivalent", errors, ((15.0, "15°"), (30.0, "30°")))
    curve = share_chart([cumulative("images", errors, axis.low)], axis)
    claims: Sequence[tuple[float, float]] = [(c, s.inside / max(1, s.count)) for c, s in score.report.calibration]
    diagonal = Axis("claimed probability of a region", 0.0, 1.0, log=False)
    held = share_chart([Series("labels in it", tuple(claims))], diagonal, diagonal=True, dots=True)
    cards = (("How far off", curve), ("Are its claims true?", held))
    inside = "".join(f'<div class="card"><h3>{escape(name)}</h3>{chart}</div>' for name, chart in cards)
    return f'<div class="charts">{inside}</div>'


def _shown(index: int, prior: RotationPrior, data: RotationSet, score: RotationScore) -> str:
    photo, one = data.photo(index), score.judged[index]
    codes, views = prior.codes([photo])
    truths = data.rotation[index][None] if data.equivalents is None else data.equivalents(index)
    density = prior.density_of(codes[0], one.level)
    seen = views[0].picture.permute(1, 2, 0)
    picture = beside(seen, density, views[0].turn @ truths.double().cpu())
    words = (
        f"{one.category}: log-likelihood {one.log_likelihood:.2f} of {one.ceiling:.2f}, off by {one.reduced_deg:.1f}°"
    )
    return figure(jpeg_uri(picture), escape(words))
