"""Where answers are off: true and answered camera centres from above, joined by lines, coloured by the distance."""

import colorsys
import math
from html import escape

import torch
from jaxtyping import Float
from torch import Tensor

from resect.evaluation.path_charts import HEIGHT, WIDTH, directions, ruler, view_axes
from resect.evaluation.score import Score

_EDGE, _BAR = 40, 12
_BEYOND = 0.25  # of the cameras' extent, that the picture goes on around them; answers further off run out of it
_DECADES = 4
_JUMP = 5.0  # steps, in usual ones, between photos that are not joined to a path


def score_map(score: Score) -> str:
    """A score's photos, as HTML."""
    nowhere = torch.full((3,), torch.nan, dtype=torch.float64)
    truth = torch.stack([p.truth.center.double() for p in score.photos])
    found = torch.stack(
        [nowhere if p.cam_from_world is None else p.cam_from_world.center.double() for p in score.photos]
    )
    unit = "m" if score.meters_per_unit == 1 else "units"
    words = (
        "Rings are true camera centres from above, dots the answers, crosses photos without one; answers far off run "
    )
    words += "out of the picture."
    drawn = error_map(truth, found, score.translation, f"error, {unit}")
    return f'<h3>Where</h3>{drawn}<p class="hint">{words}</p>'


def error_map(
    truth: Float[Tensor, "n 3"], found: Float[Tensor, "n 3"], errors: Float[Tensor, "n"], label: str = "error"
) -> str:
    """An `<svg>` element: a ring at each true centre, a dot at the answer, crosses where there is none.

    Args:
        truth: true centres, in the order of the photos.
        found: answered centres; not finite for failures.
        errors: their distances, world units.
        label: of the colours.
    """
    axes = view_axes(truth)
    at, to = (p @ axes.mT for p in (truth, found))
    low, high = at.amin(0), at.amax(0)
    size = (1 + 2 * _BEYOND) * float((high - low).max().clamp_min(1e-9))
    width = WIDTH - 70  # the rest is the bar's
    scale = (min(width, HEIGHT) - 2 * _EDGE) / (size / (1 + _BEYOND))
    offset = torch.tensor([width / 2, HEIGHT / 2], dtype=at.dtype)
    flip = torch.tensor([scale, -scale], dtype=at.dtype)
    at, to = (((p - (low + high) / 2) * flip + offset) for p in (at, to))
    known = found.isfinite().all(1)
    least, most = _range(errors[known])
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    parts += [f'<clipPath id="in"><rect width="{width}" height="{HEIGHT - 26}"/></clipPath><g clip-path="url(#in)">']
    parts.append(f'<path class="grid" fill="none" d="{_path(at)}"/>')
    worst_last = errors.nan_to_num(posinf=-1.0).argsort().tolist()
    for k in worst_last:
        (x, y), (u, v) = at[k].tolist(), to[k].tolist()
        if not bool(known[k]):
            cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
            parts.append(f'<path d="{cross}" stroke="#888" stroke-width="1.6"><title>no answer</title></path>')
            continue
        colour = _colour(float(errors[k]), least, most)
        line = f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}" stroke="{colour}" stroke-width="1.6"/>'
        ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="none" stroke="{colour}" stroke-width="1.2"/>'
        said = f"<title>{float(errors[k]):.3g}</title>"
        parts.append(f'{line}{ring}<circle cx="{u:.1f}" cy="{v:.1f}" r="2.2" fill="{colour}">{said}</circle>')
    return "".join([*parts, "</g>", *_bar(least, most, label), *ruler(size, scale), directions(axes), "</svg>"])


def _range(errors: Tensor) -> tuple[float, float]:
    """Ends of the colours: at most four powers of ten, the greatest error at the bad end."""
    known = errors[errors.isfinite() & (errors > 0)]
    most = float(known.max()) if len(known) else 1.0
    least = max(float(known.min()), most * 10.0**-_DECADES) if len(known) else 0.1
    return min(least, 0.5 * most), most


def _colour(error: float, least: float, most: float) -> str:
    """From green to red by the error's logarithm."""
    share = math.log(min(max(error, least), most) / least) / math.log(most / least)
    red, green, blue = (round(255 * c) for c in colorsys.hls_to_rgb((1 - share) / 3, 0.42, 0.75))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _path(at: Float[Tensor, "n 2"]) -> str:
    """Lines between photos that follow each other, without jumps."""
    step = at.diff(dim=0).norm(dim=1)
    usual = float(step.median()) if len(step) else 0.0
    joined = [False, *(step <= _JUMP * usual).tolist()]
    return "".join(f"{'L' if j else 'M'}{x:.1f} {y:.1f}" for j, (x, y) in zip(joined, at.tolist(), strict=True))


def _bar(least: float, most: float, label: str) -> list[str]:
    """The colours and what they mean, upwards."""
    left, top, tall, steps = WIDTH - 62, 34, HEIGHT - 110, 24
    parts = [f'<text class="tick" x="{WIDTH - 8}" y="{top - 14}" text-anchor="end">{escape(label)}</text>']
    for k in range(steps):
        colour = _colour(least * (most / least) ** ((k + 0.5) / steps), least, most)
        y = top + tall * (1 - (k + 1) / steps)
        parts.append(f'<rect x="{left}" y="{y:.1f}" width="{_BAR}" height="{tall / steps + 0.5:.1f}" fill="{colour}"/>')
    for k in range(4):
        value = least * (most / least) ** (k / 3)
        y = top + tall * (1 - k / 3) + 4
        parts.append(f'<text class="tick" x="{left + _BAR + 5}" y="{y:.1f}">{value:.2g}</text>')
    return parts
