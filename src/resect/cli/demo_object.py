"""`resect demo object`: meshes → photos of them in clutter → poses from boxes → score → a camera's path → reports."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.demo_track import Walk, run_track
from resect.cli.options import generator
from resect.cli.output import say

if TYPE_CHECKING:
    from resect.cli.demo import DemoArguments
    from resect.data.object_set import ObjectSet
    from resect.evaluation.trajectory_score import TrajectoryScore
    from resect.geometry.camera import Camera
    from resect.geometry.mesh import Mesh
    from resect.known_objects import KnownObjects
    from resect.types import Photo

MADE = ("objects", "resect_demo-test.poses.run", "report", "track")
_MOST_TRIES = 100
FILES = ("resect_demo-test.csv", "resect_demo-test.poses.csv")


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        chairs: how many objects.
        photos: how many photos.
        in_photo: least and most objects in one.
        side: width of the photos, pixels.
        rotations: laid into each box.
        walk: around the first object, for its path.
    """

    chairs: int = 3
    photos: int = 4
    in_photo: tuple[int, int] = (2, 3)
    side: int = 480
    rotations: int = 4000
    walk: Walk = field(default_factory=Walk)


QUICK = Sizes(chairs=1, photos=2, in_photo=(1, 1), side=240, rotations=1200, walk=Walk(6, 15.0, 240))


def run_object(flags: "DemoArguments") -> tuple[dict[str, Any], str, Path]:
    """Facts, what to print, and the report."""
    from resect.data.model_files import model_files
    from resect.known_objects import KnownObjects

    sizes, data = QUICK if flags.quick else Sizes(), flags.out / "objects"
    if not (data / "models").is_dir():
        say("photographing chairs in clutter …")
        _photograph(sizes, data, flags)
    objects = KnownObjects(model_files([str(data / "models")]), count=sizes.rotations, seed=flags.common.seed)
    score, report = _posed(objects, data, flags)
    path, path_report = run_track(objects, sizes.walk, flags.out / "track", flags.common.seed)
    seen = 0 if path is None else int(path.as_json()["matched"])
    facts = {
        **score.as_json(), "objects": score.visible.objects, "failed": score.visible.missing + (seen == 0),
        "track": {"frames": sizes.walk.frames, "poses": seen, **({} if path is None else path.as_json())},
    }  # fmt: skip
    return facts, f"{score.text()}\n\n{_path_text(path, sizes.walk, path_report)}", report


def _path_text(path: "TrajectoryScore | None", walk: Walk, report: Path) -> str:
    if path is None:
        return "the camera's path: the chair was not found in the first frame"
    error, turn = path.as_json()["ate_rmse"], path.as_json()["ate_rotation_deg"]["rmse"]
    count = f"{path.as_json()['matched']} of {walk.frames} frames"
    return f"the camera's path around a chair: {count}, ATE {error:.1f} mm, {turn:.2f}°; {report}"


def _posed(objects: "KnownObjects", data: Path, flags: "DemoArguments") -> tuple[Any, Path]:
    """From each visible box alone; goes on where it stopped."""
    from resect.cli.predict_objects import predict_objects
    from resect.data.objects import flatten, read_objects
    from resect.evaluation.bop import score_bop
    from resect.evaluation.object_report import answers_of, write_object_report

    out = flags.out / FILES[0]
    photos = flatten(read_objects(data))
    say(f"finding {len(photos)} objects from their boxes …")
    found = predict_objects(objects, photos, out)
    report = write_object_report(answers_of(found.rows, photos), objects.scene, flags.out / "report")
    return score_bop(out, data), report


def _photograph(sizes: Sizes, out: Path, flags: "DemoArguments") -> None:
    """Writes a BOP dataset: chairs that no one has seen before, in photos with clutter, light and noise."""
    import math

    from resect.data.bop import write_bop
    from resect.data.procedural_shapes.families import draw
    from resect.geometry.camera import Camera
    from resect.scenes.mesh.scene import MeshScene
    from resect.synthesis.clutter import ClutterSettings, draw_photo
    from resect.types import Photo

    camera = Camera.from_fov(math.radians(50), sizes.side, round(0.75 * sizes.side))
    meshes = [_in_millimetres(draw("chair", "test", i).mesh()) for i in range(sizes.chairs)]
    scenes = [MeshScene(mesh, antialias=False) for mesh in meshes]
    settings = ClutterSettings(objects=sizes.in_photo, distance=(2600.0, 3600.0), spread=0.4, visible=0.6)
    random, seen = generator(flags.common), list[tuple[Any, Photo]]()
    names = (f"{k:06d}.png" for k in range(_MOST_TRIES))
    while len({photo.name for _, photo in seen}) < sizes.photos:
        name, drawn = next(names), draw_photo(scenes, camera, settings, random)
        asked = [o for o, wanted in zip(drawn.objects, drawn.asked, strict=True) if wanted]
        seen += [(o, _photo(name, drawn.image, camera, str(o.scene + 1), o.mask)) for o in asked]
    write_bop({str(i + 1): _set_of(i, mesh, seen, out) for i, mesh in enumerate(meshes)}, out)


def _in_millimetres(mesh: "Mesh") -> "Mesh":
    import torch

    return replace(mesh.to(torch.float32), vertices=1000 * mesh.vertices.float(), meters_per_unit=0.001)


def _photo(name: str, image: Any, camera: "Camera", object_id: str, mask: Any) -> "Photo":
    from resect.data.mask import box_of
    from resect.types import Photo, Target

    return Photo(name, image, camera, "made", Target(object_id, box=box_of(mask), mask=mask))


def _set_of(index: int, mesh: "Mesh", seen: Sequence[tuple[Any, "Photo"]], root: Path) -> "ObjectSet":
    """One chair's photos with their true poses."""
    import torch

    from resect.data.object_set import ObjectSet
    from resect.geometry.se3 import SE3
    from resect.types import PhotoSet, Truth, World

    mine = [(placed, photo) for placed, photo in seen if placed.scene == index]
    poses = [placed.cam_from_world[0].double() for placed, _ in mine]
    photos = PhotoSet(
        root,
        "made",
        tuple(photo.name for _, photo in mine),
        tuple(photo.known_camera() for _, photo in mine),
        Truth(SE3.stack(poses) if poses else SE3.identity(0, dtype=torch.float64)),
        World(0.001),
        lambda k: mine[k][1],
    )
    return ObjectSet(
        str(index + 1), photos, load_mesh=lambda: mesh, visible=torch.tensor([placed.visible for placed, _ in mine])
    )
