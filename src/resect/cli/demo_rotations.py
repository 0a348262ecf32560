"""`resect demo rotations`: drawn solids → a density over rotations learned from single pictures → score → report."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.options import generator, governed
from resect.cli.output import say

if TYPE_CHECKING:
    from resect.cli.demo import DemoArguments

MADE = ("network", "report")


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        shapes: solids to tell the rotation of.
        steps: of training.
        images: of each solid to be judged by.
    """

    shapes: tuple[str, ...] = ("cube", "cone", "tet")
    steps: int = 900
    images: int = 20


QUICK = Sizes(shapes=("cube", "cone"), steps=160, images=5)


def run_rotations(flags: "DemoArguments") -> tuple[dict[str, Any], str, Path]:
    """Facts, what to print, and the report."""
    from resect.cli.progress import bar
    from resect.evaluation.rotation_film import RotationFilm
    from resect.evaluation.rotation_report import write_rotation_report
    from resect.evaluation.rotation_score import score_rotations
    from resect.priors.image2sphere.fit import fit
    from resect.priors.image2sphere.prior import load_image2sphere
    from resect.priors.image2sphere.settings import Image2SphereSettings
    from resect.synthesis.symsol.make import SEEDS, SolidSettings, make_solids

    sizes, network = QUICK if flags.quick else Sizes(), flags.out / "network"
    small = Image2SphereSettings(side=48, steps=sizes.steps, equivalents="random", tensorboard=False)
    settings = governed(Image2SphereSettings, small, flags.common)
    drawn = SolidSettings(sizes.shapes, images=100_000, side=settings.side, seed=SEEDS["train"])
    if not (network / "artifact.json").is_file():
        say(f"learning the rotations of {', '.join(sizes.shapes)} from pictures that are drawn as they are needed …")
        film = RotationFilm(make_solids(replace(drawn, images=1, seed=SEEDS["val"])))
        with bar("training") as progress:
            data = make_solids(drawn, settings.device)
            random = generator(flags.common)
            fit(data, settings, out=network, resume=True, generator=random, progress=progress, peek=film)
        if film.write(network / "film.gif"):
            say(f"{network / 'film.gif'}: how the densities of {len(sizes.shapes)} pictures took shape")
    test = make_solids(replace(drawn, images=sizes.images, seed=SEEDS["test"]), settings.device)
    say(f"asking about {len(test)} new pictures …")
    prior = load_image2sphere(network, settings.device)
    with bar("pictures") as progress:
        score = score_rotations(prior, test, progress=progress)
    title = "Every rotation that a picture allows"
    report = write_rotation_report(flags.out / "report", prior, test, score, title=title, overwrite=True)
    return {**score.as_json(), "failed": 0}, score.text(), report
