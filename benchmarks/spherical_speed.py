"""The spherical head beside the same head built from e3nn, and what finding the best rotation costs.

Specification, fixed before the first number was taken with it. Batch 16, lmax 6, 512 features on the sphere, 8
functions on the rotations, grid of 40 × 20 × 40, float32, contiguous tensors; random weights, the same in both heads.

- "head": forward and backward from a feature map of ResNet-18 (512 × 7 × 7) to the mean square of the series. The
  reference is written as published: the 1 × 1 convolution, a fresh choice of 20 of 104 points, their weighted sums of
  49 cells, `e3nn.o3.Linear` with given weights for both convolutions, `e3nn.nn.SO3Activation`. "ours, 20 points" does
  the same work; "ours, all points" is what we train with. Before anything is timed, both must give the same numbers.
- "classes": from the series to the cross-entropy of the 36 864 rotations of level 3, forward and backward: a product
  with the table of all rotations' harmonics as published, along fibres here.
- "step": ResNet-18 of 224² pixels, head and classes together.
- "best": of one series on level 4 and on level 5: the table (level 4 whole; level 5, which takes 4.3 GB, by the
  seconds of an eighth of its rows times eight), all cells along fibres, and from coarse cells to fine ones. How often
  the last finds the cell of the first: over 200 series, random in every degree. Bytes are those of the tables that
  are held.
- Seconds are the least of `--repeats`, of processor time on one thread, so that other work on the machine counts
  less.

e3nn is no dependency of resect; give it a folder of its own:

    pip install --target /tmp/e3nn e3nn
    PYTHONPATH=/tmp/e3nn python benchmarks/spherical_speed.py
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from record import RESULTS, save, table, use_threads
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resect.geometry import so3_grid
from resect.geometry.harmonics import from_angles, spherical_harmonics
from resect.geometry.so3_series import basis, series_size
from resect.geometry.so3_waves import evaluate_on_fibres, trigonometric
from resect.nn.backbone.resnet import ResNet
from resect.nn.spherical.head import SphericalHead
from resect.nn.spherical.lift import half_sphere, orthographic_weights
from resect.nn.spherical.rectify import GAIN
from resect.priors.image2sphere.network import cell_positions, fibres, greatest_of
from resect.priors.image2sphere.published import RECTIFIER, _merged

BATCH, L, FEATURES, HIDDEN, CHANNELS, SIZE = 16, 6, 512, 8, 512, 7
COLUMNS = {"what": "what", "how": "how", "forward_ms": "forward", "both_ms": "+ backward", "ratio": "times", "note": ""}


@dataclass(frozen=True)
class Arguments:
    """How often."""

    repeats: int = 5
    """Of each timing; the least counts."""
    threads: int = 1
    """Of PyTorch."""
    parts: tuple[Literal["head", "classes", "step", "best"], ...] = ("head", "classes", "step", "best")
    """What to time; only "head" and "step" need e3nn, and "step" takes the longest."""
    out: Path | None = RESULTS / "spherical_speed.json"
    """JSON to write."""


class ReferenceHead(nn.Module):
    """As published, from e3nn's parts."""

    def __init__(self) -> None:
        from e3nn import nn as enn
        from e3nn import o3

        super().__init__()
        sphere = o3.Irreps([(1, (d, 1)) for d in range(L + 1)])
        rotations = o3.Irreps([(2 * d + 1, (d, 1)) for d in range(L + 1)])
        self.conv1x1 = nn.Conv2d(CHANNELS, FEATURES, 1)
        self.weight = nn.Parameter(orthographic_weights(SIZE).view(1, 1, SIZE, SIZE, -1))
        self.register_buffer("y", spherical_harmonics(half_sphere(), L).float())
        self.feature_sphere = nn.Parameter(torch.randn(FEATURES, HIDDEN, (L + 1) ** 2) * math.sqrt(6 / 392))
        self.first = o3.Linear(sphere, rotations, f_in=FEATURES, f_out=HIDDEN, internal_weights=False)
        self.act = enn.SO3Activation(L, L, torch.relu, 10)
        self.w = nn.Parameter(torch.randn(HIDDEN, 1, 168))
        self.register_buffer("d", basis(_ring(), L).float())
        self.second = o3.Linear(rotations, rotations, f_in=HIDDEN, f_out=1, internal_weights=False)

    def forward(self, features: Tensor, chosen: Tensor | None = None) -> Tensor:
        if chosen is None:
            chosen = torch.randperm(self.y.shape[0])[:20]
        x = self.conv1x1(features)
        x = (x.unsqueeze(-1) * self.weight[..., chosen]).sum((2, 3)).relu()
        x = torch.einsum("ni,xyn->xyi", self.y[chosen], x) / math.sqrt(len(chosen))
        x = self.act(self.first(x, weight=self.feature_sphere))
        psi = torch.einsum("ni,xyn->xyi", self.d, self.w) / math.sqrt(168)
        return self.second(x, weight=psi)[:, 0]


def _ring() -> Tensor:
    a = torch.arange(7, dtype=torch.float64) * (2 * math.pi / 7)
    b = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) * (math.pi / 24)
    g = torch.linspace(-2 * math.pi, 2 * math.pi, 8, dtype=torch.float64)
    alpha, beta, gamma = torch.meshgrid(a, b, g, indexing="ij")
    return from_angles(alpha, beta, gamma - alpha).flatten(0, 2)


def same_weights(reference: ReferenceHead, ours: SphericalHead) -> None:
    """Gives ours the reference's weights, and compares what both say."""
    with torch.no_grad():
        ours.lift.mix.load_state_dict(reference.conv1x1.state_dict())  # type: ignore[union-attr]
        ours.lift.resample.copy_(reference.weight.flatten(0, 3))  # type: ignore[union-attr]
        ours.first.filter.copy_(reference.feature_sphere)
        ours.second.filter.copy_(_merged(reference.w, "reference") * (RECTIFIER / GAIN))
        features, chosen = torch.randn(2, CHANNELS, SIZE, SIZE), torch.arange(20)
        one = reference(features, chosen)
        other = ours.turn(ours.lift(features, None, chosen))
    error = float((one - other).abs().max() / one.abs().max())
    assert error < 1e-4, f"the heads differ by {error:.1e}"
    print(f"both heads say the same within {error:.1e}")


def least(run: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of processor time."""
    run()
    found = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return 1e3 * min(found)


def timed(what: str, how: str, forward: Callable[[], Tensor], repeats: int) -> dict[str, Any]:
    def both() -> None:
        forward().backward()

    return {"what": what, "how": how, "forward_ms": least(forward, repeats), "both_ms": least(both, repeats)}


def heads(reference: ReferenceHead, ours: SphericalHead, whole: SphericalHead, repeats: int) -> list[dict[str, Any]]:
    features = torch.randn(BATCH, CHANNELS, SIZE, SIZE, requires_grad=True)
    return [
        timed("head", how, lambda m=module: m(features).square().mean(), repeats)  # type: ignore[misc]
        for how, module in (("e3nn", reference), ("ours, 20 points", ours), ("ours, all points", whole))
    ]


def as_classes(series: Tensor, target: Tensor) -> Tensor:
    table = fibres(L, 3, series.dtype, series.device)
    return cross_entropy(evaluate_on_fibres(trigonometric(series, L), table).flatten(1), target)


def classes(wigners: Tensor, repeats: int) -> list[dict[str, Any]]:
    series = torch.randn(BATCH, series_size(L), requires_grad=True)
    target = torch.arange(BATCH) * 1000
    return [
        timed("classes", "table", lambda: cross_entropy(series @ wigners, target), repeats),
        timed("classes", "ours, fibres", lambda: as_classes(series, cell_positions(3, series.device)[target]), repeats),
    ]


def steps(reference: ReferenceHead, whole: SphericalHead, wigners: Tensor, repeats: int) -> list[dict[str, Any]]:
    body, images, target = ResNet("resnet18"), torch.rand(BATCH, 3, 224, 224), torch.arange(BATCH) * 1000
    return [
        timed("step", "encoder alone", lambda: body.feature_map(images).square().mean(), repeats),
        timed("step", "e3nn", lambda: cross_entropy(reference(body.feature_map(images)) @ wigners, target), repeats),
        timed("step", "ours, all points", lambda: as_classes(whole(body.feature_map(images)), target), repeats),
    ]


def table_of(level: int, rows: slice | None = None) -> Tensor:
    """Harmonics of all cells of a level, or of some."""
    cells = torch.arange(so3_grid.cell_count(level))[rows or slice(None)]
    return torch.cat([basis(so3_grid.cell_center(part, level), L).float() for part in cells.split(8192)])


def on_fibres(series: Tensor, level: int) -> Tensor:
    found = evaluate_on_fibres(trigonometric(series, L), fibres(L, level, series.dtype, series.device))
    return found.flatten(1)[:, cell_positions(level, series.device)]


def best(level: int, repeats: int) -> list[dict[str, Any]]:
    """One series' best rotation, and how often coarse to fine finds it."""
    g = torch.Generator().manual_seed(0)
    many = torch.randn(200, series_size(L), generator=g)
    series, part = many[:1], slice(0, so3_grid.cell_count(level) // (8 if level == 5 else 1))
    held = table_of(level, part)
    scale = so3_grid.cell_count(level) / len(held)

    def search(code: Tensor) -> int:
        return int(greatest_of(code[0], L, level))

    rows = [
        {
            "how": "table",
            "forward_ms": scale * least(lambda: (held @ series[0]).argmax(), repeats),
            "bytes": scale * held.nbytes,
        },
        {"how": "ours, all cells", "forward_ms": least(lambda: on_fibres(series, level).argmax(), repeats)},
        {"how": "ours, coarse to fine", "forward_ms": least(lambda: search(series), repeats)},
    ]
    for row, levels in ((rows[1], [level]), (rows[2], range(3, level + 1))):
        row["bytes"] = sum(t.nbytes for k in levels for t in fibres(L, k, series.dtype, series.device))
    hits = sum(search(code[None]) == int(on_fibres(code[None], level)[0].argmax()) for code in many)
    rows[2]["same_argmax"] = hits / len(many)
    found = []
    for row in rows:
        note = f"{row['bytes'] / 1e6:.0f} MB" + (f", same {row['same_argmax']:.1%}" if "same_argmax" in row else "")
        found.append({"what": f"best, level {level}", **row, "note": note})
    return found


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    a = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(a.threads)
    torch.manual_seed(0)
    n, rows = a.repeats, list[dict[str, Any]]()
    wigners = table_of(3).mT.contiguous() if {"classes", "step"} & set(a.parts) else torch.zeros(0)
    if {"head", "step"} & set(a.parts):
        reference = ReferenceHead()
        ours, whole = SphericalHead(CHANNELS, SIZE, points=20), SphericalHead(CHANNELS, SIZE)
        same_weights(reference, ours)
        rows += heads(reference, ours, whole, n) if "head" in a.parts else []
        rows += steps(reference, whole, wigners, max(1, n // 2)) if "step" in a.parts else []
    rows += classes(wigners, n) if "classes" in a.parts else []
    del wigners
    rows += best(4, n) + best(5, n) if "best" in a.parts else []
    for row in rows:
        first = next(r for r in rows if r["what"] == row["what"] and r["how"] in ("e3nn", "table"))
        key = "both_ms" if "both_ms" in row else "forward_ms"
        row["ratio"] = first[key] / row[key]
    print(table(rows, COLUMNS))
    save(a.out, "spherical head", a, rows)
    return rows


if __name__ == "__main__":
    main()
