"""Charts as hand-written SVG: they need no script, follow the page's colours, and stay sharp."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 380, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 22, 14, 44


@dataclass(frozen=True)
class Series:
    """A line in a chart.

    Attributes:
        label: name in the legend.
        points: (x, y), x rising.
    """

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Axis:
    """A horizontal axis.

    Attributes:
        label: what it measures, with the unit.
        low: left end.
        high: right end.
        log: logarithmic, ticks at powers of ten.
        marks: values with a dotted line, and their names.
    """

    label: str
    low: float
    high: float
    log: bool = False
    marks: tuple[tuple[float, str], ...] = ()

    def place(self, x: float) -> float:
        """Where a value lies, in the chart's units; ends are clamped."""
        f = math.log if self.log else float
        low, high, x = f(self.low), f(self.high), f(min(max(x, self.low), self.high))
        return _LEFT + (x - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        """Where numbers stand."""
        if not self.log:
            return [self.low + k * (self.high - self.low) / 5 for k in range(6)]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return [10.0**k for k in range(first, last + 1)]


def cumulative(label: str, errors: Sequence[float], low: float) -> Series:
    """The share of all photos with an error of at most x; failures (infinite) never come in."""
    finite = sorted(max(e, low) for e in errors if math.isfinite(e))
    points = [(low, 0.0)]
    for k, error in enumerate(finite):
        points += [(error, k / len(errors)), (error, (k + 1) / len(errors))]
    return Series(label, tuple(points))


def error_axis(label: str, errors: Sequence[float], marks: Sequence[tuple[float, str]]) -> Axis:
    """A logarithmic axis of whole decades that holds all finite errors and all marks."""
    finite = [e for e in errors if math.isfinite(e) and e > 0] + [m for m, _ in marks]
    low = 10.0 ** math.floor(math.log10(max(min(finite, default=0.1), 1e-6)))
    high = 10.0 ** math.ceil(math.log10(max(max(finite, default=1.0), 10 * low)) + 1e-9)
    return Axis(label, max(low, high / 1e6), high, log=True, marks=tuple(marks))


def share_chart(series: Sequence[Series], axis: Axis, *, diagonal: bool = False, dots: bool = False) -> str:
    """A chart of shares (0 to 100 %) over an axis, as an `<svg>` element.

    Args:
        series: at most eight lines; colours are the page's `--s0`…`--s7`.
        axis: the horizontal one.
        diagonal: draws y = x, what a perfect calibration would be.
        dots: marks the points.
    """
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(axis.label)}">']
    parts += _grid(axis)
    if diagonal:
        a, b = (axis.place(axis.low), _height(axis.low)), (axis.place(axis.high), _height(axis.high))
        parts.append(f'<line class="ideal" x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"/>')
    for k, line in enumerate(series):
        parts.append(_line(line, axis, k % 8, dots))
    return "".join([*parts, "</svg>"])


def _height(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _grid(axis: Axis) -> list[str]:
    parts = []
    for k in range(5):
        y = _height(k / 4)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{25 * k} %</text>')
    for tick in axis.ticks():
        x = axis.place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        text = f"{tick:g}" if axis.log else f"{100 * tick:.0f} %"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>')
    for value, name in axis.marks:
        x = axis.place(value)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text class="marked" x="{x + 4:.1f}" y="{HEIGHT - _BOTTOM - 6}">{escape(name)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    label = f'<text class="label" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(axis.label)}</text>'
    return [*parts, label]


def _line(series: Series, axis: Axis, color: int, dots: bool) -> str:
    places = [(axis.place(x), _height(y)) for x, y in series.points]
    if not dots and series.points:
        places.append((axis.place(axis.high), places[-1][1]))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) if places else ""
    title = f"<title>{escape(series.label)}</title>"
    drawn = f'<path class="line" style="stroke:var(--s{color})" d="{path}">{title}</path>'
    if dots:
        for (px, py), (x, y) in zip(places, series.points, strict=True):
            said = f"<title>{100 * x:.0f} % claimed, {100 * y:.1f} % found</title>"
            drawn += f'<circle style="fill:var(--s{color})" cx="{px:.1f}" cy="{py:.1f}" r="4">{said}</circle>'
    return drawn


def legend(series: Sequence[Series]) -> str:
    """Names beside their colours, as HTML."""
    items = "".join(
        f'<li><span class="key" style="background:var(--s{k % 8})"></span>{escape(s.label)}</li>'
        for k, s in enumerate(series)
    )
    return f'<ul class="legend">{items}</ul>'
