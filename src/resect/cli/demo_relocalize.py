"""`resect demo relocalize`: where in this room am I? A photo's nearest kin, a regressor, its latents, then the field.

Nothing is downloaded: the regressor looks through the first layers of a network of random weights, which is enough for
one small room.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.options import generator, governed
from resect.cli.output import say

if TYPE_CHECKING:
    from resect.cli.demo import DemoArguments
    from resect.evaluation.score import Score
    from resect.types import PhotoSet, Split

MADE = ("capture", "place", "regressor", "decoder", "answers", "report")


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        photos: of the room.
        width: of the photos, pixels; their height is three quarters of it.
        field_steps: of the field, at each of its resolutions.
        rendered: views for the regressor to learn from, besides the photos.
        side: of the picture that it sees, pixels.
        steps: of the regressor.
        decoder_steps: of the pose decoder.
    """

    photos: int = 48
    width: int = 320
    field_steps: tuple[int, int] = (200, 500)
    rendered: int = 500
    side: int = 96
    steps: int = 500
    decoder_steps: int = 1000


QUICK = Sizes(photos=24, width=200, field_steps=(150, 300), rendered=150, steps=200, decoder_steps=400)


def run_relocalize(flags: "DemoArguments") -> tuple[dict[str, Any], str, Path]:
    """Facts, what to print, and the report."""
    from resect.data import make_split
    from resect.evaluation.compare import write_comparison
    from resect.evaluation.score import score

    sizes = QUICK if flags.quick else Sizes()
    photos = _photos(sizes, flags)
    split = make_split(photos, "every:8")
    _learn(photos, split, sizes, flags)
    say(f"finding {len(split.test)} held-out photos in four ways …")
    files = _answers(photos, split, flags)
    scores = {name: score(path, photos) for name, path in files.items()}
    page = write_comparison(flags.out / "report", scores, overwrite=True)
    say(f"{_pictures(photos, scores['field'], flags)}: photos and renders")
    facts = {"rows": {name: found.as_json() for name, found in scores.items()}, "failed": scores["field"].failed}
    return facts, _table(scores), page


def _photos(sizes: Sizes, flags: "DemoArguments") -> "PhotoSet":
    """The capture of an earlier start, else a new one."""
    from resect.cli.demo import remove
    from resect.data import read
    from resect.data.synthetic import SyntheticSettings, make_capture

    capture = flags.out / "capture"
    if not (capture / "transforms.json").is_file():
        say("photographing the room …")
        remove(capture)
        shot = SyntheticSettings(sizes.photos, sizes.width, 3 * sizes.width // 4, "forward", seed=flags.common.seed)
        make_capture(shot, capture)
    return read(capture)


def _learn(photos: "PhotoSet", split: "Split", sizes: Sizes, flags: "DemoArguments") -> None:
    """The field of the place, its photos' looks, the regressor, the decoder of its latents."""
    from resect.place import note_place
    from resect.priors.posenet.settings import PoseNetSettings
    from resect.priors.retrieval_settings import RetrievalSettings
    from resect.scenes.field.settings import FieldSettings
    from resect.scenes.pose_decoder.settings import PoseDecoderSettings
    from resect.synthesis.scene_views import SceneViewSettings, joined, scene_views

    common, place, regressor = flags.common, flags.out / "place", flags.out / "regressor"
    train = photos.subset(split.train)
    field = governed(FieldSettings, FieldSettings(resolutions=(64, 128), steps=sizes.field_steps), common)
    own: Any = {"backbone": "resnet18", "pretrained": "", "stride": 8, "side": sizes.side, "steps": sizes.steps}
    posenet = governed(PoseNetSettings, PoseNetSettings(**own, views=4, tensorboard=False), common)
    decoder = governed(PoseDecoderSettings, PoseDecoderSettings(steps=sizes.decoder_steps, tensorboard=False), common)

    say(f"learning the place from {len(train)} photos …")
    note_place(photos, split, "field", field, place, seed=common.seed)
    scene = _fitted("field", train, field, place, flags)
    _fitted("retrieval", train, RetrievalSettings(), place / "priors" / "retrieval", flags)
    say(f"learning to tell poses from those photos and {sizes.rendered} views of the place …")
    note_place(photos, split, "posenet", posenet, regressor, seed=common.seed)
    views = SceneViewSettings(count=sizes.rendered, side=sizes.side, seed=common.seed)
    teacher = _fitted("posenet", joined(train, scene_views(scene, train, views)), posenet, regressor, flags)
    note_place(photos, split, "pose-decoder", decoder, flags.out / "decoder", seed=common.seed)
    _fitted("pose-decoder", train, decoder, flags.out / "decoder", flags, teacher)


def _fitted(name: str, train: "PhotoSet", settings: Any, out: Path, flags: "DemoArguments", *parents: Any) -> Any:
    """What an earlier start made, else a new one."""
    from resect import zoo
    from resect.cli.progress import bar

    if not (out / "artifact.json").is_file():
        fit = zoo.resolve(zoo.entry(name, fitted=True).fit)
        with bar(name) as progress:
            fit(
                train, settings, out=out, parents=parents, resume=True,
                generator=generator(flags.common), progress=progress,
            )  # fmt: skip
    return zoo.load(out)


def _answers(photos: "PhotoSet", split: "Split", flags: "DemoArguments") -> dict[str, Path]:
    """Row → pose file."""
    from resect import zoo
    from resect.cli.progress import bar
    from resect.evaluation.predict import predict
    from resect.localizer import Localizer
    from resect.place import open_place, read_place

    place, regressor, seed = flags.out / "place", flags.out / "regressor", flags.common.seed
    alike = zoo.load(place / "priors" / "retrieval")
    rows: dict[str, Localizer] = {
        "retrieval": Localizer(prior=alike, camera=read_place(place).camera, seed=seed),
        "regressor": open_place(regressor, seed=seed),
        "latents": open_place(flags.out / "decoder", seed=seed),
        "field": open_place(place, prior=(str(regressor),), seed=seed),
    }
    files = {}
    with bar("photos") as progress:
        for k, (name, where) in enumerate(rows.items()):
            files[name] = flags.out / "answers" / f"{name}.csv"
            predict(where, photos, split, files[name], settings={"row": name, "seed": seed})
            progress(k + 1, len(rows), name)
    return files


def _pictures(photos: "PhotoSet", score: "Score", flags: "DemoArguments") -> Path:
    """The report on the last row, whose renders lie on the photos."""
    from resect.cli.reporting import report_score

    return report_score(flags.out / "answers" / "field.csv", score, photos, flags.out / "place", flags.out / "report")


def _table(scores: "Mapping[str, Score]") -> str:
    """A line a row."""
    from resect.evaluation.compare import compare

    shown = ("run", "median rotation", "median translation", "failed", "accepted wrong", "time a photo")
    lines = [shown, *(tuple(row[key] for key in shown) for row in compare(scores))]
    widths = [max(len(line[k]) for line in lines) for k in range(len(shown))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
