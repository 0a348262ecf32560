"""`resect data instances`: posed views of many instances of a category, for `resect fit sigma-srn`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from resect.cli.data_views import Axis
from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from resect.synthesis.instance_settings import InstanceSettings
    from resect.synthesis.instances import Picture


@dataclass(frozen=True)
class InstancesArguments:
    """Posed views of many instances of a category: train, val (the same instances from elsewhere) and unseen."""

    models: tyro.conf.Positional[str]
    """Folder of meshes; or chair, table, car: procedural shapes."""
    out: Path
    """Folder to make; the same command goes on where it stopped."""
    up: Axis = "+y"
    """Axis of the meshes that points upwards."""
    front: Axis = "+x"
    """Axis of the meshes that the objects face."""
    workers: int = 1
    """Processes that draw; 0 takes all cores."""
    common: CommonFlags = COMMON


def instances(flags: InstancesArguments, settings: "InstanceSettings") -> int:
    """Pictures each instance."""
    from resect.cli.progress import bar
    from resect.synthesis.instances import make_instances

    names, load, unseen = _procedural(flags, settings) if _is_procedural(flags.models) else _meshes(flags, settings)
    with bar("instances") as progress:
        make_instances(
            names, load, unseen, settings, flags.out,
            seed=flags.common.seed, workers=flags.workers, progress=progress,
        )  # fmt: skip
    say(f"now: resect fit sigma-srn {flags.out / 'train'} --out runs/category")
    facts = {"out": str(flags.out), "train": len(names) - len(unseen), "unseen": len(unseen)}
    result(flags.common, facts, str(flags.out))
    return DONE


_Models = tuple[list[str], "Callable[[int], Picture]", frozenset[int]]


def _is_procedural(models: str) -> bool:
    from resect.data.procedural_shapes.families import FAMILIES

    return models in FAMILIES and not Path(models).exists()


def _procedural(flags: InstancesArguments, settings: "InstanceSettings") -> _Models:
    which = [("train", i) for i in range(settings.train)] + [("test", i) for i in range(settings.unseen)]
    names = [f"{'train' if split == 'train' else 'unseen'}_{i:06d}" for split, i in which]
    unseen = frozenset(range(settings.train, len(names)))
    return names, partial(_solid, flags.models, which, flags.common.seed), unseen


def _solid(category: str, which: list[tuple[str, int]], seed: int, k: int) -> "Picture":
    from resect.synthesis.instances import instance, picture_of_solid

    return picture_of_solid(instance(category, *which[k], seed))


def _meshes(flags: InstancesArguments, settings: "InstanceSettings") -> _Models:
    import numpy as np

    from resect.data.prepare_shapes import find_meshes, model_names
    from resect.data.procedural_shapes.families import FAMILIES

    if not Path(flags.models).exists():
        raise ResectError(flags.models, f"a folder of meshes, or one of {', '.join(FAMILIES)}", "neither")
    if flags.up[1] == flags.front[1]:
        raise ResectError("--front", "another axis than --up", f"{flags.up}, {flags.front}")
    files = find_meshes(flags.models)
    names = model_names(files)
    chosen = np.random.default_rng([flags.common.seed, 13]).permutation(len(files))[: settings.unseen]

    return names, partial(_mesh, files, names, flags.up, flags.front), frozenset(chosen.tolist())


def _mesh(files: list[Path], names: list[str], up: Axis, front: Axis, index: int) -> "Picture":
    from resect.data.mesh import read_mesh
    from resect.data.prepare_shapes import canonical
    from resect.synthesis.instances import facing_share, picture_of_mesh

    picture = picture_of_mesh(canonical(read_mesh(files[index]), up, front))
    if facing_share(picture) < 0.01:
        say(f"note: {names[index]} looks the same from opposite sides; its pose is known up to half a turn")
    return picture
