"""`resect benchmark PROTOCOL DATA --scene DIR`: a published protocol, start to finish."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from resect.cli.estimate_inerf import with_inerf
from resect.cli.options import COMMON, CommonFlags, parse_with_settings, start
from resect.cli.output import result, say

_LINES = {
    "basin": "from how far away is the pose found? starts about the truth, rotation about the camera",
    "inerf": "iNeRF's starts: up to 40° and 0.2 (synthetic) or 0.1 (real) units",
    "parallel-inversion": "Parallel Inversion's starts: up to 15° an Euler angle, 64 hypotheses",
    "gsfeatloc": "GSFeatLoc's starts: every photo, normal distributions in the scene's size",
}


@dataclass(frozen=True)
class BenchmarkArguments:
    """What to run, on what."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos."""
    scene: Path
    """Folder that 'resect fit' made; its split.json says what is held out."""
    out: Path | None = None
    """Folder for poses, summary.json and table.txt; the same command resumes."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes folder."""
    refiners: tuple[Literal["default", "lm", "flow-pnp", "adam", "inerf"], ...] = ("default", "lm", "flow-pnp", "adam")
    """Refiners, all from the same starts; 'adam' is iNeRF's own way in the scene's length, 'inerf' the published one,
    whose steps are kept in --out: steps.html, and a CSV each for 'resect compare --curves'."""
    sigma: tuple[float, float] = (20.0, 0.1)
    """What 'default' is told of the starts: standard deviations in degrees and in parts of the scene's scale."""
    brightness: float = 0.0
    """Added to every photo before it is refined."""
    noise: float = 0.0
    """Standard deviation of noise added to every photo."""
    overwrite: bool = False
    """Start anew over what is in --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Runs one protocol; its starts are made from the truth, and every file says so."""
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:<20} {line}" for name, line in _LINES.items())
        print(f"usage: resect benchmark PROTOCOL DATA --scene DIR [--flags]\n\n{lines}\n")
        print("resect benchmark PROTOCOL --help lists its flags.")
        return 0
    from resect.evaluation.protocols.benchmark import protocol

    name = arguments[0]
    flags, settings = parse_with_settings(
        BenchmarkArguments,
        "protocol",
        protocol(name).settings,
        arguments[1:],
        prog=f"resect benchmark {name}",
        description=_LINES[name],
        example=f"resect benchmark {name} PHOTOS --scene runs/place --out runs/{name}",
    )
    return _run(name, flags, settings)


def _run(name: str, flags: BenchmarkArguments, settings: Any) -> int:
    start(flags.common)
    from resect.artifact import digest
    from resect.cli.progress import bar
    from resect.data import load_split, read
    from resect.evaluation.protocols.benchmark import run_benchmark
    from resect.evaluation.protocols.spoil import Spoil
    from resect.evaluation.protocols.trials import trial_table

    photos = read(flags.data, poses=flags.poses)
    split = load_split(flags.scene / "split.json", photos)
    spoil = Spoil(flags.brightness, flags.noise, seed=flags.common.seed) if flags.brightness or flags.noise else None
    with bar(name) as advance:
        found = run_benchmark(
            name,
            photos,
            split,
            _refiners(flags, photos),
            settings,
            spoil=spoil,
            configuration={"scene": digest(flags.scene), "sigma": list(flags.sigma), "seed": flags.common.seed},
            out=flags.out,
            overwrite=flags.overwrite,
            progress=lambda refiner, done: advance(done.count, done.total, f"{refiner} {done.photo}"),
        )
    if flags.out is not None:
        _write_steps(flags.out)
        say(f"files: {flags.out}")
    result(flags.common, {"trials": [t.as_json() for t in found]}, trial_table(found))
    return 0


def _refiners(flags: BenchmarkArguments, photos: Any) -> dict[str, Any]:
    """Name → photo and start → answer."""
    import math
    from dataclasses import replace

    import torch

    from resect.localizer import Localizer
    from resect.place import open_place, read_place
    from resect.refine.alone import Alone
    from resect.refine.first_order import FirstOrderSettings

    where, scale = open_place(flags.scene, prior=(), seed=flags.common.seed), read_place(flags.scene).scene_scale
    turn, shift = math.radians(flags.sigma[0]), flags.sigma[1] * scale
    information = torch.diag(torch.tensor([shift**-2] * 3 + [turn**-2] * 3, dtype=torch.float64))

    def default(photo: Any, given: Any) -> Any:
        return where.estimate(photo, replace(given, information=information.expand(len(given), 6, 6)))

    single = {
        method: Localizer(where.scene, refiner=Alone(method, length=scale, seed=flags.common.seed), camera=where.camera)
        for method in ("lm", "flow-pnp", "adam")
    }
    known = {"default": default, **{method: localizer.estimate for method, localizer in single.items()}}
    if "inerf" in flags.refiners:  # it wants a scene with colour
        inerf = with_inerf(where, FirstOrderSettings(), 1, flags.common.seed)
        known["inerf"] = _recorded(inerf.estimate, photos, flags.out)
    return {name: known[name] for name in flags.refiners}


def _recorded(estimate: Any, photos: Any, out: Path | None) -> Any:
    """The same, with a table of the steps of each trial written."""
    if out is None:
        return estimate
    from resect.evaluation.descent import descent_of, write_descent

    truth, index = photos.truth.cam_from_world, {name: i for i, name in enumerate(photos.names)}

    def recorded(photo: Any, given: Any) -> Any:
        found = estimate(photo, given)
        start = given.source[0].rpartition(":")[2] if given.source else "0"
        name = photo.name.replace("/", "_").rpartition(".")[0]
        write_descent(out / "steps" / f"{name}.{start}.steps.csv", descent_of(found, truth[index[photo.name]]))
        return found

    return recorded


def _write_steps(out: Path) -> None:
    """A page with the medians over all trials whose steps were kept, and each of the first seven."""
    from resect.evaluation.descent import median_curve, read_descent, write_curves

    files = sorted((out / "steps").glob("*.steps.csv"))
    runs = {path.name.removesuffix(".steps.csv"): read_descent(path) for path in files}
    if runs:
        write_curves(out / "steps.html", {"median": median_curve(list(runs.values())), **dict(list(runs.items())[:7])})
