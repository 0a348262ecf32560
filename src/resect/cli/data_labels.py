"""`resect data labels` and `resect data pairs`: lists that regressors are trained on elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, refuse_overwrite
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from torch import Tensor

    from resect.data.pairs import DepthOf
    from resect.geometry.camera import Camera
    from resect.geometry.se3 import SE3


@dataclass(frozen=True)
class LabelsArguments:
    """One label list (CSV) of one or several places, with their splits."""

    data: tyro.conf.Positional[tuple[str, ...]]
    """Folders of posed photos, NAME=FOLDER, or label lists."""
    out: Path
    """File to write."""
    fraction: float = 1.0
    """Part of each place's training photos to list, drawn without replacement."""
    test: str | None = None
    """Photos held out: every:8, blocks:20:4, file:NAMES, given or none."""
    overwrite: bool = False
    """Replace the file."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class PairsArguments:
    """Pairs of training photos that see much of the same, with their relative poses (CSV)."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos."""
    out: Path
    """File to write."""
    scene: Path | None = None
    """Folder of a scene that renders depth; without one the photos' own depth is used."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes or Cambridge folder."""
    test: str | None = None
    """Photos held out, which are in no pair."""
    neighbours: int = 20
    """Photos that each is compared with."""
    overwrite: bool = False
    """Replace the file."""
    common: CommonFlags = COMMON


def labels(flags: LabelsArguments) -> int:
    """Writes a label list."""
    from resect.data.scene_csv import write_scene_csv
    from resect.data.scenes import read_scenes
    from resect.data.split import make_split

    if not 0 < flags.fraction <= 1:
        raise ResectError("--fraction", "more than 0, up to 1", str(flags.fraction))
    refuse_overwrite(flags.out, flags.overwrite)
    places = {name: (photos, make_split(photos, flags.test)) for name, photos in read_scenes(flags.data).items()}
    count = write_scene_csv(places, flags.out, flags.fraction, flags.common.seed)
    result(flags.common, {"out": str(flags.out), "rows": count, "places": list(places)}, str(flags.out))
    return DONE


def pairs(flags: PairsArguments) -> int:
    """Writes pairs."""
    from resect.data import read
    from resect.data.image import resize_area
    from resect.data.pairs import find_pairs, write_pairs
    from resect.data.split import make_split

    refuse_overwrite(flags.out, flags.overwrite)
    photos = read(flags.data, poses=flags.poses)
    rows = list(make_split(photos, flags.test).train)
    if flags.scene is not None:
        depth_of = _rendered(flags.scene, photos.truth.cam_from_world)
    else:
        rows = [i for i in rows if photos[i].depth is not None]
        if len(rows) < 2:
            raise ResectError(flags.data, "photos with depth, or --scene", f"{len(rows)} with depth")

        def depth_of(i: int, camera: "Camera") -> "Tensor":
            depth = photos[i].depth
            assert depth is not None
            inverse = resize_area((depth > 0) / depth.clamp_min(1e-6), camera.width, camera.height)
            share = resize_area((depth > 0).float(), camera.width, camera.height)
            return (share > 0.9) * share / inverse.clamp_min(1e-9)

    found = find_pairs(photos, depth_of, flags.neighbours, rows)
    write_pairs(photos, found, photos.root.resolve().name, flags.out)
    say(f"{len(found.a)} pairs of {len(rows)} photos")
    result(flags.common, {"out": str(flags.out), "pairs": len(found.a), "photos": len(rows)}, str(flags.out))
    return DONE


def _rendered(folder: Path, poses: "SE3") -> "DepthOf":
    """Depth by a scene."""
    from resect import zoo
    from resect.geometry.se3 import SE3

    scene = zoo.load(folder, role="scene")

    def depth_of(i: int, camera: "Camera") -> "Tensor":
        pose = SE3(poses.R[i : i + 1].float(), poses.t[i : i + 1].float())
        depth: Tensor = scene.render(camera, pose, ("depth",)).depth
        return depth[0].view(camera.height, camera.width)

    return depth_of
