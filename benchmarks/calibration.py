"""Are the stated covariances true? How often the truth lies in the ellipsoid that claims to hold it.

Specification, fixed before the first number was taken with it:

- Real: the held-out photos of `places.py`, all four sets pooled (60), one answer a photo: the best mode.
- Synthetic: nine captures of the procedural room, paths around, orbit and forward, seeds 101, 102 and 103 (no constant
  was chosen on them), 69 photos of 240×180, `every:3` held out: 207 photos, pooled.
- Answers with a success status count, those that are not solved (5° / 0.05) among them. The number of photos without an
  answer, or without a covariance, stands beside.
- Inside: δᵀ Σ⁻¹ δ below the χ² quantile of six degrees, truth = exp(δ) @ answer. The share at 90 % with its Wilson
  interval; the curve over claimed levels is drawn to `calibration-PIPELINE.svg` beside the JSON.
- Goal: 80–97 % real, 86–94 % synthetic. Places, pipelines and seeds are those of `places.py`.

    RESECT_TEST_DATA=DIR python benchmarks/calibration.py [--pipelines default,retrieval] [--sets fox,fern]
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch
import tyro
from places import measure
from record import CACHE, RESULTS, save, table, use_threads
from sets import REAL, open_set, place_of
from torch import Tensor

from resect.artifact import write_atomic
from resect.data import make_split
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.evaluation.charts import WIDTH, Axis, Series, share_chart
from resect.evaluation.score import Score
from resect.metrics.calibration import reliability, share_inside
from resect.types import PhotoSet, Split

COLUMNS = {
    "photos_of": "photos of", "pipeline": "pipeline", "photos": "photos", "failed": "failed",
    "accepted_wrong": "wrong", "without": "no covariance", "answers": "answers", "inside": "in 90 %", "low": "from",
    "high": "to", "median_d2": "median d² (5.35)", "curve_50": "in 50 %", "curve_99": "in 99 %",
}  # fmt: skip


STYLE = (
    "svg{--s0:#2f66d0;--s1:#d2691e;background:#fff;font-family:sans-serif}text{font-size:11px;fill:#555}"
    ".grid{stroke:#e2e5ea}.ideal{stroke:#888;stroke-dasharray:5 4}.line{fill:none;stroke-width:2.4}"
)


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    sets: str = ",".join(REAL)
    """Real sets, separated by commas; empty for none."""
    paths: str = "around,orbit,forward"
    """Paths of the synthetic captures; empty for none."""
    seeds: str = "101,102,103"
    """Seeds of the synthetic captures."""
    pipelines: str = "default"
    """See `places.py`."""
    seed: int = 0
    """Of fitting and estimating."""
    cache: Path = CACHE
    """Folder of fitted places, used again."""
    out: Path | None = RESULTS / "calibration.json"
    """JSON file to write."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Small captures and fields, to see whether the script runs."""


Named = tuple[str, str, PhotoSet, Split]


def all_sets(arguments: Arguments) -> Iterator[Named]:
    """(real or synthetic, name, photos, split)."""
    for name in filter(None, arguments.sets.split(",")):
        yield "real", name, *open_set(name, quick=arguments.quick)
    size = (
        {"photos": 24, "width": 160, "height": 120} if arguments.quick else {"photos": 69, "width": 240, "height": 180}
    )
    for path in filter(None, arguments.paths.split(",")):
        for seed in map(int, arguments.seeds.split(",")):
            photos = make_capture(SyntheticSettings(path=path, seed=seed, **size))  # type: ignore[arg-type]
            yield "synthetic", f"{path}-{seed}", photos, make_split(photos, "every:3")


def row_of(facts: dict[str, Any], scores: Sequence[Score]) -> tuple[dict[str, Any], Series]:
    """Counts, the share at 90 % and the curve of some answers together."""
    d2: Tensor = torch.cat([s.d2 for s in scores])
    share, curve = share_inside(d2, 0.9), [(level, s.value) for level, s in reliability(d2)]
    photos, failed = sum(len(s.photos) for s in scores), sum(s.failed for s in scores)
    row = {
        **facts, "photos": photos, "failed": failed, "accepted_wrong": sum(s.accepted_wrong for s in scores),
        "without": photos - failed - len(d2), "answers": len(d2), "inside": share.value, "low": share.low,
        "high": share.high, "median_d2": float(d2.median()) if len(d2) else None, "curve": curve,
        "curve_50": dict(curve)[0.5], "curve_99": dict(curve)[0.99],
    }  # fmt: skip
    return row, Series(f"{facts['photos_of']} ({len(d2)})", tuple(curve) if len(d2) else ())


def draw(series: Sequence[Series], out: Path) -> None:
    """The reliability curves as a picture that stands alone."""
    axis = Axis("share that the ellipsoid should hold", 0.0, 1.0)
    chart = share_chart(series, axis, diagonal=True, dots=True)
    names = "".join(
        f'<text x="58" y="{30 + 15 * k}" style="fill:var(--s{k});font-weight:600">{escape(line.label)}</text>'
        for k, line in enumerate(series)
    )
    chart = chart.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" ', 1)
    chart = chart.replace(">", f"><style>{STYLE}</style>", 1).replace("</svg>", f"{names}</svg>")
    write_atomic(out, chart.encode())


def run(pipeline: str, arguments: Arguments) -> Iterator[tuple[dict[str, Any], Series]]:
    """Rows of each set, then of all real and all synthetic photos together."""
    pooled: dict[str, list[Score]] = {}
    for kind, name, photos, split in all_sets(arguments):
        folder, _ = place_of(name, photos, split, arguments.cache, seed=arguments.seed, quick=arguments.quick)
        found, _ = measure(photos, split, folder, pipeline, arguments.seed)
        pooled.setdefault(kind, []).append(found)
        yield row_of({"photos_of": name, "pipeline": pipeline}, [found])
    for kind, scores in pooled.items():
        yield row_of({"photos_of": f"all {kind}", "pipeline": pipeline}, scores)


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    for pipeline in arguments.pipelines.split(","):
        curves = []
        for row, series in run(pipeline, arguments):
            rows.append(row)
            curves += [series] if series.label.startswith("all ") else []
            print(json.dumps(row, ensure_ascii=False), flush=True)
        if arguments.out is not None:
            draw(curves, arguments.out.with_name(f"calibration-{pipeline}.svg"))
    print(table(rows, COLUMNS))
    save(arguments.out, "calibration", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
