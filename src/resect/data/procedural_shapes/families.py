"""Chairs, tables and cars drawn at random as solids, docs/decisions/shapes-of-a-category.md. Metres, y up, front +x."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from resect.data.procedural_shapes.solid import Solid, join
from resect.errors import unknown_name

VERSION = 1
SPLITS = ("train", "val", "test")
_LEAST_LEG = 0.02  # of the volume of all parts
_Triple = tuple[float, float, float]
_Color = tuple[float, float, float]


def draw(category: str, split: str, index: int, seed: int = 0) -> Solid:
    """Shape number `index` of a split, the box around it centred on the origin, its longest side 1."""
    if category not in FAMILIES:
        raise unknown_name("category of shapes", category, FAMILIES)
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    stream = [VERSION, seed, list(FAMILIES).index(category), SPLITS.index(split), index]
    solid = FAMILIES[category](np.random.default_rng(stream))
    low, high = solid.bounds()
    return solid.scaled((low + high) / 2, 1 / float((high - low).max()))


def box(center: _Triple, size: _Triple, color: _Color, turn: torch.Tensor | None = None) -> Solid:
    """A box from its middle and its three sizes."""
    return _part(center, size, color, False, turn)


def cylinder(center: _Triple, size: _Triple, color: _Color, turn: torch.Tensor | None = None) -> Solid:
    """An upright elliptic cylinder from its middle, its two widths and, in between, its height."""
    return _part(center, size, color, True, turn)


def _part(center: _Triple, size: _Triple, color: _Color, is_round: bool, turn: torch.Tensor | None) -> Solid:
    double = torch.float64
    rotation = torch.eye(3, dtype=double) if turn is None else turn
    return Solid(
        torch.tensor([center], dtype=double),
        rotation[None],
        torch.tensor([size], dtype=double) / 2,
        torch.tensor([is_round]),
        torch.tensor([color], dtype=torch.float32),
    )


def bar(start: Sequence[float], end: Sequence[float], width: float, color: _Color, is_round: bool) -> Solid:
    """A bar of square or round section between two points; its y axis runs along it."""
    a, b = (torch.tensor(list(p), dtype=torch.float64) for p in (start, end))
    length = float((b - a).norm())
    y = (b - a) / length
    helper = torch.tensor([0.0, 0.0, 1.0] if abs(float(y[2])) < 0.9 else [1.0, 0.0, 0.0], dtype=torch.float64)
    x = torch.nn.functional.normalize(torch.linalg.cross(y, helper), dim=0)
    turn = torch.stack([x, y, torch.linalg.cross(x, y)], -1)
    middle = ((a + b) / 2).tolist()
    return _part((middle[0], middle[1], middle[2]), (width, length, width), color, is_round, turn)


def _hue(g: np.random.Generator) -> _Color:
    """A colour between wood and paint."""
    wood = np.array([0.62, 0.42, 0.26]) * g.uniform(0.35, 1.25)
    paint = g.uniform(0.05, 0.9, 3)
    red, green, blue = np.clip(wood + g.uniform(0, 1) * (paint - wood), 0.03, 0.95)
    return float(red), float(green), float(blue)


def chair(g: np.random.Generator) -> Solid:
    """A chair: seat, four legs, a back that is solid, slatted or railed, perhaps arms and stretchers."""
    frame, panel = _hue(g), _hue(g)
    width, depth, height = g.uniform(0.38, 0.60), g.uniform(0.38, 0.56), g.uniform(0.38, 0.52)
    thick = g.uniform(0.03, 0.10)
    seat_of = cylinder if g.random() < 0.2 else box
    seat = seat_of((0.0, height - thick / 2, 0.0), (depth, thick, width), panel)
    upper = [seat, _back(g, width, depth, height, thick, frame, panel)]
    if g.random() < 0.5:
        upper.append(_arms(g, width, depth, height, frame))
    reach = 0.75 if seat_of is cylinder else 1.0  # legs stay under an elliptic seat
    legs = _legs(g, depth * reach, width * reach, height - thick, (0.03, 0.06), 10.0, 0.04, frame)
    kind = g.choice(["none", "box", "h"], p=[0.5, 0.25, 0.25])
    share = g.uniform(0.2, 0.6)
    return _stand(legs, upper, str(kind), share, height - thick)


def _back(
    g: np.random.Generator, width: float, depth: float, height: float, seat: float, frame: _Color, panel: _Color
) -> Solid:
    """The back, leaning against the seat's rear edge; it reaches down through the seat, so nothing floats."""
    rise, share, thick = g.uniform(0.30, 0.60), g.uniform(0.85, 1.0), g.uniform(0.025, 0.06)
    lean = math.radians(g.uniform(0, 18))
    style = g.choice(["solid", "slats", "rails"], p=[0.35, 0.30, 0.35])
    slats, rails, fill = int(g.integers(3, 7)), int(g.integers(2, 5)), g.uniform(0.35, 0.65)
    across, cos, sin = width * share, math.cos(lean), math.sin(lean)
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)

    def panel_at(along: float, size: float, z: float, wide: float, color: _Color) -> Solid:
        """A board `size` high whose middle is `along` the back from its foot."""
        middle = (-depth / 2 + thick / 2 - along * sin, height - seat / 2 + along * cos, z)
        return box(middle, (thick, size, wide), color, turn)

    total = rise + seat / 2
    if style == "solid":
        return panel_at(total / 2, total, 0.0, across, panel)
    post = max(thick, 0.03)
    sides = [panel_at(total / 2, total, s * (across - post) / 2, post, frame) for s in (-1, 1)]
    top = 0.16 * rise
    parts = [*sides, panel_at(total - top / 2, top, 0.0, across, frame)]
    inner, free = across - 2 * post, total - top
    if style == "slats":
        wide = fill * inner / slats
        parts += [panel_at(free / 2, free, (k + 0.5) * inner / slats - inner / 2, wide, panel) for k in range(slats)]
    else:
        low = seat / 2 + 0.15 * rise
        pitch = (free - low) / rails
        parts += [panel_at(low + (k + 0.5) * pitch, fill * pitch, 0.0, inner + post, panel) for k in range(rails)]
    return join(parts)


def _arms(g: np.random.Generator, width: float, depth: float, height: float, frame: _Color) -> Solid:
    rise, thick, share = g.uniform(0.18, 0.28), g.uniform(0.03, 0.05), g.uniform(0.6, 1.0)
    length = share * depth
    parts = []
    for side in (-1, 1):
        z = side * (width - thick) / 2
        parts.append(box((-depth / 2 + length / 2, height + rise - thick / 2, z), (length, thick, thick), frame))
        post_x = -depth / 2 + length - thick / 2
        parts.append(box((post_x, height + rise / 2 - 0.01, z), (thick, rise + 0.02 - thick, thick), frame))
    return join(parts)


_LegEnds = tuple[list[tuple[list[float], list[float]]], float, bool, _Color]


def _legs(
    g: np.random.Generator,
    depth: float,
    width: float,
    height: float,
    widths: tuple[float, float],
    most_splay_deg: float,
    most_inset: float,
    color: _Color,
) -> _LegEnds:
    """Ends of four legs (foot, head), their width, whether they are round."""
    wide, is_round = g.uniform(*widths), bool(g.random() < 0.4)
    spread = height * math.tan(math.radians(g.uniform(0, most_splay_deg)))
    inset = g.uniform(0, most_inset)
    ends = []
    for sx, sz in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
        x, z = sx * (depth / 2 - inset - wide / 2), sz * (width / 2 - inset - wide / 2)
        ends.append(([x + sx * spread, 0.0, z + sz * spread], [x, height + 0.01, z]))
    return ends, wide, is_round, color


def _stand(legs: _LegEnds, upper: list[Solid], stretchers: str, share: float, height: float) -> Solid:
    """Legs and stretchers under what they carry; thin legs are widened until each has its share of the volume."""
    ends, width, is_round, color = legs
    for _ in range(40):
        feet = [bar(foot, head, width, color, is_round) for foot, head in ends]
        rungs = _stretchers(ends, width, stretchers, share, height, color, is_round)
        solid = join([*feet, *rungs, *upper])
        if float(solid.volumes()[0] / solid.volumes().sum()) >= _LEAST_LEG:
            break
        width *= 1.05
    return solid


def _stretchers(
    ends: list[tuple[list[float], list[float]]],
    width: float,
    kind: str,
    share: float,
    height: float,
    color: _Color,
    is_round: bool,
) -> list[Solid]:
    at = [[f + share * (h - f) for f, h in zip(foot, head, strict=True)] for foot, head in ends]
    if kind == "box":
        pairs = [(at[k], at[(k + 1) % 4]) for k in range(4)]
    elif kind == "h":
        sides = [(at[0], at[3]), (at[1], at[2])]
        middles = [[(a + b) / 2 for a, b in zip(*pair, strict=True)] for pair in sides]
        pairs = [*sides, (middles[0], middles[1])]
    else:
        pairs = []
    return [bar(a, b, 0.7 * width, color, is_round) for a, b in pairs]


def table(g: np.random.Generator) -> Solid:
    """A table: a top on four legs or on a pedestal."""
    frame, panel = _hue(g), _hue(g)
    width, depth, height = g.uniform(0.6, 1.6), g.uniform(0.5, 0.9), g.uniform(0.40, 0.78)
    thick = g.uniform(0.02, 0.06)
    top_of = cylinder if g.random() < 0.25 else box
    top = top_of((0.0, height - thick / 2, 0.0), (depth, thick, width), panel)
    if g.random() < 0.25:
        trunk, foot = g.uniform(0.06, 0.14), g.uniform(0.45, 0.8)
        pillar = cylinder((0.0, (height - thick) / 2, 0.0), (trunk, height - thick, trunk), frame)
        return join([top, pillar, cylinder((0.0, 0.02, 0.0), (foot * depth, 0.04, foot * depth), frame)])
    reach = 0.72 if top_of is cylinder else 1.0
    legs = _legs(g, depth * reach, width * reach, height - thick, (0.03, 0.08), 8.0, 0.10, frame)
    kind = "box" if g.random() < 0.3 else "none"
    return _stand(legs, [top], kind, g.uniform(0.15, 0.5), height - thick)


def car(g: np.random.Generator) -> Solid:
    """A car: body, cabin with slanted glass, bonnet, four wheels; some have a pickup's bed."""
    paint, glass, tyre = _hue(g), (0.12, 0.14, 0.17), (0.06, 0.06, 0.06)
    length, width, ground = g.uniform(3.4, 5.0), g.uniform(1.6, 1.95), g.uniform(0.15, 0.30)
    body, cabin, share = g.uniform(0.45, 0.75), g.uniform(0.40, 0.65), g.uniform(0.40, 0.65)
    slants = [math.radians(g.uniform(15, 55)) for _ in range(2)]
    drop, radius, tread = g.uniform(0, 0.15), g.uniform(0.28, 0.40), g.uniform(0.18, 0.26)
    base, pickup, place = g.uniform(0.52, 0.64) * length, g.random() < 0.2, g.uniform(0.3, 0.7)
    share = share * 0.6 if pickup else share
    back = -length / 2 + (0.5 * length * (1 - share) if pickup else place * 0.5 * length * (1 - share))
    front = back + share * length
    rise = body - drop
    parts = [box(((front - length / 2) / 2, ground + body / 2, 0.0), (front + length / 2, body, width), paint)]
    parts.append(box(((front + length / 2) / 2, ground + rise / 2, 0.0), (length / 2 - front, rise, width), paint))
    roof = 0.86 * width
    parts.append(box(((front + back) / 2, ground + body + cabin / 2, 0.0), (share * length * 0.6, cabin, roof), glass))
    for x, sign, slant in ((front, 1, slants[0]), (back, -1, slants[1])):
        foot = [x - sign * 0.02 * length, ground + body - 0.03, 0.0]
        lean = min(math.tan(slant) * cabin, 0.2 * share * length + 0.02 * length)
        head = [foot[0] - sign * (0.02 * length + lean), ground + body + cabin - 0.03, 0.0]
        pane = bar(foot, head, 0.06, glass, False)
        parts.append(replace(pane, half=torch.tensor([[0.03, float(pane.half[0, 1]), roof / 2]], dtype=torch.float64)))
    if pickup:
        rear = back + length / 2
        for z in (-1, 1):
            parts.append(
                box((-length / 2 + rear / 2, ground + body + 0.1, z * (width / 2 - 0.04)), (rear, 0.2, 0.08), paint)
            )
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)  # the axle runs along z
    for x in (-base / 2, base / 2):
        for z in (-1, 1):
            at = (x, radius, z * (width / 2 - tread / 2 + 0.01))
            parts.append(cylinder(at, (2 * radius, tread, 2 * radius), tyre, turn))
    return join(parts)


FAMILIES: dict[str, Callable[[np.random.Generator], Solid]] = {"chair": chair, "table": table, "car": car}
"""Category → what draws one of it. New ones go at the end: the position is part of the seed."""
