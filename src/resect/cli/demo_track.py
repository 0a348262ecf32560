"""The second half of `resect demo object`: frames of a chair → its pose in the first → the camera's path → score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resect.cli.output import say

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool

    from resect.evaluation.trajectory_score import TrajectoryScore
    from resect.geometry.camera import Camera
    from resect.geometry.mesh import Mesh
    from resect.geometry.se3 import SE3
    from resect.geometry.trajectory import Trajectory
    from resect.known_objects import KnownObjects
    from resect.tracking.sequence import Track
    from resect.types import Photo

_MOVED = 0.02  # of the object's distance, from frame to frame, beside what the motion so far foretells


@dataclass(frozen=True)
class Walk:
    """How much is filmed.

    Attributes:
        frames: how many.
        turn_deg: how far around the object they go.
        side: width of the frames, pixels.
    """

    frames: int = 24
    turn_deg: float = 70.0
    side: int = 320


def run_track(objects: "KnownObjects", walk: Walk, out: Path, seed: int) -> tuple["TrajectoryScore | None", Path]:
    """The score, none where the object was not found in the first frame; and the report's path.

    The frames, the camera, the true path and the path that was found are left in `out` for `resect track` and `score`.
    """
    from resect.data.trajectory import write_trajectory
    from resect.evaluation.trajectory_report import write_trajectory_report
    from resect.evaluation.trajectory_score import TrajectorySettings, score_trajectory

    name = next(iter(objects.files))
    photos, truth = _film(objects.mesh(name), name, walk, out, seed)
    found = _followed(objects, name, photos)
    report = out / "report" / "report.html"
    if found is None:
        return None, report
    path = found.trajectory()
    write_trajectory(path, out / "path.txt", overwrite=True)
    score = score_trajectory(path, truth, TrajectorySettings(align="none"))
    return score, write_trajectory_report(out / "report", {"tracked": score}, overwrite=True)


def _followed(objects: "KnownObjects", name: str, photos: Sequence["Photo"]) -> "Track | None":
    """From the box in the first frame: its pose, its outline there, then the outline's colours in every frame."""
    from resect.cli.progress import bar
    from resect.refine.cutout import Cutout
    from resect.tracking.masks import MaskSettings
    from resect.tracking.run import TrackedObject, track
    from resect.tracking.settings import TrackSettings

    say(f"following the camera through {len(photos)} frames …")
    where = objects.localizer(name)
    first = where.estimate(photos[0])
    if first.cam_from_world is None or first.modes is None or where.scene is None:
        return None
    outline = _mask(objects.mesh(name), photos[0].known_camera(), first.cam_from_world)
    tracked = TrackedObject(where.scene, Cutout(), start=first.modes, mask=outline, masks=MaskSettings(rough=True))
    settings = TrackSettings(shift=_MOVED, turn_deg=math.degrees(_MOVED))
    with bar("frames") as progress:
        return track(lambda k: photos[k], range(len(photos)), [tracked], settings, progress=progress)


def _film(mesh: "Mesh", object_id: str, walk: Walk, out: Path, seed: int) -> tuple[list["Photo"], "Trajectory"]:
    """Frames of a camera that goes round the object on a floor, rising a little; the box is known in the first."""
    import torch

    from resect.artifact import write_atomic
    from resect.data.camera_file import write_camera
    from resect.data.image import png_bytes
    from resect.data.mask import box_of
    from resect.data.trajectory import write_trajectory
    from resect.geometry.camera import Camera
    from resect.geometry.mesh_edit import concatenated
    from resect.geometry.trajectory import Trajectory
    from resect.scenes.mesh.scene import MeshScene
    from resect.scenes.mesh.shade import Light
    from resect.types import Photo, Target

    generator = torch.Generator().manual_seed(seed)
    camera = Camera.from_fov(math.radians(45), walk.side, round(0.75 * walk.side))
    write_camera(camera, out / "camera.json")
    poses = _round(mesh, walk)
    standing = concatenated([mesh, _floor(mesh, generator)])
    world = MeshScene(standing, background=(0.55, 0.6, 0.65), light=Light(direction=(0.4, 0.9, 0.3)))
    photos, names = [], [f"{k:04d}.png" for k in range(walk.frames)]
    for k, name in enumerate(names):
        shown = world.render(camera, poses[k][None].float(), ("rgb",)).rgb
        assert shown is not None
        image = shown.reshape(camera.height, camera.width, 3)
        image = (image + 0.01 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
        write_atomic(out / "frames" / name, png_bytes((255 * image).round().byte()))
        # What a detector would give.
        target = Target(object_id, box=box_of(_mask(mesh, camera, poses[k]))) if k == 0 else None
        photos.append(Photo(name, image, camera, "made", target))
    truth = Trajectory(torch.arange(walk.frames).double(), poses.inverse(), tuple(str(k) for k in range(walk.frames)))
    write_trajectory(truth, out / "truth.txt", overwrite=True)
    return photos, truth


def _round(mesh: "Mesh", walk: Walk) -> "SE3":
    """`cam_from_world`: on an arc about the object's middle, y up, from a little above."""
    import torch

    from resect.geometry.look_at import look_at
    from resect.geometry.mesh import diameter

    middle, size = mesh.bounds.double().mean(0), diameter(mesh.vertices)
    turn = torch.linspace(0, math.radians(walk.turn_deg), walk.frames, dtype=torch.float64) - 0.5
    rise = 0.5 + 0.15 * (2 * turn).sin()
    centers = middle + 2.4 * size * torch.stack([turn.cos(), rise, turn.sin()], -1)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    return look_at(centers, middle.expand(walk.frames, 3), up)


def _floor(mesh: "Mesh", generator: "torch.Generator") -> "Mesh":
    """Boards of several greys under the object."""
    import torch

    from resect.geometry.mesh import Mesh

    least, greatest = mesh.bounds
    side, boards = 3 * float((greatest - least).max()), 24
    middle = 0.5 * (least + greatest)
    edge = torch.linspace(-side, side, boards + 1)
    low, high = edge[:-1], edge[1:]
    x = torch.stack([low, high, high, low], 1) + middle[0]
    z = torch.tensor([-side, -side, side, side]).expand(boards, 4) + middle[2]
    vertices = torch.stack([x, least[1].expand(boards, 4), z], -1).reshape(-1, 3)
    first = 4 * torch.arange(boards)[:, None]
    faces = torch.cat([first + torch.tensor([0, 2, 1]), first + torch.tensor([0, 3, 2])])
    grey = torch.tensor([0.72, 0.7, 0.66]) + 0.15 * (torch.rand(boards, 1, generator=generator) - 0.5)
    return Mesh(vertices, faces, grey.repeat_interleave(4, 0), meters_per_unit=mesh.meters_per_unit)


def _mask(mesh: "Mesh", camera: "Camera", pose: "SE3") -> "Bool[torch.Tensor, 'h w']":
    """Where the object is seen at a pose."""
    from resect.scenes.mesh.scene import MeshScene

    alpha = MeshScene(mesh, antialias=False).render(camera, pose[None].float(), ("alpha",)).alpha
    assert alpha is not None
    return alpha.reshape(camera.height, camera.width) > 0.5
