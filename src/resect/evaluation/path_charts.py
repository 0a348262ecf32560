"""Pictures of trajectories as hand-written SVG: from above, in space, over time, coloured by error."""

import math
from collections.abc import Mapping
from html import escape

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3

WIDTH, HEIGHT = 380, 320
_EDGE = 46
_MOST_POINTS = 1500
Path = Float[Tensor, "n 3"]


def view_axes(points: Float[Tensor, "n 3"]) -> Float[Tensor, "2 3"]:
    """The two world axes along which the points spread most, in alphabetical order: a view along the third."""
    spread = points.amax(0) - points.amin(0)
    keep = torch.ones(3, dtype=torch.bool)
    keep[int(spread.argmin())] = False
    return torch.eye(3, dtype=points.dtype)[keep]


def space_axes(points: Float[Tensor, "n 3"]) -> Float[Tensor, "2 3"]:
    """A view from obliquely above the plane in which the points spread most."""
    flat = view_axes(points)
    normal = torch.linalg.cross(flat[0], flat[1])
    turn = so3.exp(normal * math.radians(35.0))
    right = turn @ flat[0]
    forward = torch.linalg.cross(normal, right)
    tilt = math.radians(30.0)
    return torch.stack([right, math.sin(tilt) * forward + math.cos(tilt) * normal])


def path_chart(
    paths: Mapping[str, Path], axes: Float[Tensor, "2 3"], *, errors: Mapping[str, Tensor] | None = None
) -> str:
    """Paths seen along one direction, at one scale both ways, as an `<svg>` element.

    Args:
        paths: at most eight; colours are the page's `--s0`…`--s7`.
        axes: of the picture, to the right and up, in the world.
        errors: of the points of some paths, which then are coloured from good (green) to bad (red).
    """
    flat = {name: p @ axes.mT for name, p in paths.items()}
    everything = torch.cat(list(flat.values()))
    low, high = everything.amin(0), everything.amax(0)
    size = float((high - low).max().clamp_min(1e-9))
    scale = (min(WIDTH, HEIGHT) - 2 * _EDGE) / size
    middle = (low + high) / 2

    def place(p: Tensor) -> Tensor:
        offset = (p - middle) * scale
        return torch.stack([WIDTH / 2 + offset[:, 0], HEIGHT / 2 - offset[:, 1]], -1)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="paths">', *ruler(size, scale)]
    worst = max((float(e.max()) for e in (errors or {}).values() if len(e)), default=0.0)
    for k, (name, p) in enumerate(flat.items()):
        kept = _thin(len(p))
        error = None if errors is None or name not in errors else errors[name][kept]
        points = place(p[kept])
        parts.append(_polyline(name, points, k) if error is None else _coloured(name, points, error, worst))
    return "".join([*parts, directions(axes), "</svg>"])


def error_chart(seconds: Float[Tensor, "n"], series: Mapping[str, Float[Tensor, "n"]], label: str) -> str:
    """Errors over time, from 0 to the worst, as an `<svg>` element."""
    top = max((float(e.max()) for e in series.values()), default=0.0) or 1.0
    start, span = float(seconds[0]), max(float(seconds[-1] - seconds[0]), 1e-9)
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for k in range(5):
        y = HEIGHT - _EDGE - k / 4 * (HEIGHT - 2 * _EDGE)
        parts.append(f'<line class="grid" x1="{_EDGE}" x2="{WIDTH - 14}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{k / 4 * top:.3g}</text>')
        x = _EDGE + k / 4 * (WIDTH - 14 - _EDGE)
        place = f'x="{x:.1f}" y="{HEIGHT - _EDGE + 16}"'
        parts.append(f'<text class="tick" {place} text-anchor="middle">{k / 4 * span:.3g}</text>')
    kept = _thin(len(seconds))
    across = _EDGE + (seconds[kept] - start) / span * (WIDTH - 14 - _EDGE)
    for k, (name, error) in enumerate(series.items()):
        up = HEIGHT - _EDGE - error[kept] / top * (HEIGHT - 2 * _EDGE)
        parts.append(_polyline(name, torch.stack([across, up], -1), k))
    middle = f'<text class="label" x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
    return "".join([*parts, middle, "</svg>"])


def _thin(count: int) -> Tensor:
    """Rows to draw: all, or so many that the page stays small."""
    if count <= _MOST_POINTS:
        return torch.arange(count)
    return torch.linspace(0, count - 1, _MOST_POINTS).round().long()


def _polyline(name: str, points: Tensor, color: int) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist()) if len(points) else ""
    return f'<path class="line" style="stroke:var(--s{color % 8})" d="{path}"><title>{escape(name)}</title></path>'


def _coloured(name: str, points: Tensor, errors: Tensor, worst: float) -> str:
    """Dots, since neighbours in a list of paired poses need not be neighbours in time."""
    hues = (120 * (1 - errors / max(worst, 1e-12))).tolist()
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" style="fill:hsl({hue:.0f} 75% 42%)">'
        f"<title>{error:.4g}</title></circle>"
        for (x, y), hue, error in zip(points.tolist(), hues, errors.tolist(), strict=True)
    ]
    return f'<g aria-label="{escape(name)}">{"".join(dots)}</g>'


def ruler(size: float, scale: float) -> list[str]:
    """A bar of a round length, in the world's units."""
    length = 10.0 ** math.floor(math.log10(size))
    length *= next(f for f in (5, 2, 1) if f * length <= size)
    y, end = HEIGHT - 14, 14 + length * scale
    line = f'<line class="mark" x1="14" x2="{end:.1f}" y1="{y}" y2="{y}"/>'
    return [line, f'<text class="tick" x="{end + 5:.1f}" y="{y + 4}">{length:g}</text>']


def directions(axes: Tensor) -> str:
    """The world's axes as they lie in the picture."""
    x0, y0 = WIDTH - 34, HEIGHT - 30
    parts = []
    for k, name in enumerate("xyz"):
        dx, dy = (22 * axes[:, k]).tolist()
        if math.hypot(dx, dy) > 4:
            parts.append(f'<line class="mark" x1="{x0}" y1="{y0}" x2="{x0 + dx:.1f}" y2="{y0 - dy:.1f}"/>')
            parts.append(f'<text class="tick" x="{x0 + 1.3 * dx - 3:.1f}" y="{y0 - 1.3 * dy + 4:.1f}">{name}</text>')
    return "".join(parts)
