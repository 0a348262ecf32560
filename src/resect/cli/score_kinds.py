"""What `resect score` can be given besides pose files: one row a kind, told apart by what is in the files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """One kind of answers.

    Attributes:
        name: for help.
        fits: whether these answers and this truth are of the kind.
        module: its `run(arguments)` scores them, and its flags are its own.
    """

    name: str
    fits: Callable[[Path, Path], bool]
    module: str


def trajectories(answers: Path, truth: Path) -> bool:
    """Whether both files are trajectories."""
    from resect.data.trajectory import trajectory_format

    return trajectory_format(answers) is not None and trajectory_format(truth) is not None


def bop_results(answers: Path, truth: Path) -> bool:
    """Whether the answers are BOP results."""
    from resect.data.bop.results import is_results

    return is_results(answers)


def boxes(answers: Path, truth: Path) -> bool:
    """Whether both files are lists of boxes."""
    from resect.data.box_list import is_box_list

    return is_box_list(answers) and is_box_list(truth)


def shapes(answers: Path, truth: Path) -> bool:
    """Whether the truth is a folder of shapes, and the answers are a folder."""
    return answers.is_dir() and truth.is_dir() and any(truth.glob("*/*.lst"))


def views(answers: Path, truth: Path) -> bool:
    """Whether the truth is a folder of crops with viewpoints."""
    return truth.is_dir() and (truth / "views.txt").is_file()


def spacecraft(answers: Path, truth: Path) -> bool:
    """Whether the answers are a file, and the truth photos of one object with its rotation and position."""
    from resect.data.rotations.spacecraft import fits_spacecraft
    from resect.data.rotations.table import ROTATIONS_FILE

    return answers.is_file() and (fits_spacecraft(truth) or (truth / ROTATIONS_FILE).is_file())


def rotations(answers: Path, truth: Path) -> bool:
    """Whether the answers are a network for distributions over rotations."""
    from resect.artifact import kind_in

    return kind_in(answers) in ("image2sphere", "ipdf")


def detectors(answers: Path, truth: Path) -> bool:
    """Whether the answers are a network that finds known objects."""
    from resect.artifact import kind_in

    return kind_in(answers) == "posecnn"


def categories(answers: Path, truth: Path) -> bool:
    """Whether the answers are a network of a category, and the truth its instances' views."""
    from resect.artifact import kind_in
    from resect.data.instances import is_instances

    return kind_in(answers) == "sigma-srn" and is_instances(truth)


KINDS = (
    Kind("two trajectories (TUM, KITTI, EuRoC)", trajectories, "resect.cli.score_trajectory"),
    Kind("BOP results and a BOP dataset", bop_results, "resect.cli.score_objects"),
    Kind("two lists of boxes", boxes, "resect.cli.score_boxes"),
    Kind("poses of a spacecraft and a SPEED+ folder", spacecraft, "resect.cli.score_spacecraft"),
    Kind("a network for rotations and images with rotations", rotations, "resect.cli.score_rotations"),
    Kind("a detector of objects and photos of them", detectors, "resect.cli.score_detector"),
    Kind("a network of a category and views of its instances", categories, "resect.cli.score_category"),
    Kind("a viewpoint network or a list of views and a folder of views", views, "resect.cli.score_views"),
    Kind("a shape network or meshes and a folder of shapes", shapes, "resect.cli.score_shapes"),
)


def kind_of(arguments: Sequence[str]) -> Kind | None:
    """The kind of the first two paths among the arguments; `None` for a pose file, or where there are not two.

    `--single` says that rows which could be a path are poses of single photos.
    """
    from resect.cli.rotation_data import is_solids

    paths = [Path(a) for a in arguments if not a.startswith("-") and (Path(a).exists() or is_solids(a))]
    if len(paths) < 2:
        return None
    kinds = [kind for kind in KINDS if kind.fits is not trajectories or "--single" not in arguments]
    return next((kind for kind in kinds if kind.fits(paths[0], paths[1])), None)
