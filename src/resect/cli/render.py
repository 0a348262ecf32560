"""`resect render SCENE POSES --out DIR|FILE`: images, or a video, from a scene or a mesh."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.options import COMMON, CommonFlags, at_least, parse, refuse_overwrite, start
from resect.cli.output import result
from resect.errors import NotInstalledError, ResectError

if TYPE_CHECKING:
    from resect.geometry.camera import Camera
    from resect.geometry.se3 import SE3
    from resect.protocols import Scene

_VIDEOS = (".mp4", ".mov", ".webm")
_PICTURES = (".png", ".jpg", ".jpeg", ".avi")


@dataclass(frozen=True)
class RenderArguments:
    """What to render, from where."""

    scene: tyro.conf.Positional[Path]
    """Folder that 'resect fit' made, or a mesh."""
    out: Path
    """Folder for PNG files, or a .gif or .mp4 file."""
    poses: tyro.conf.Positional[Path | None] = None
    """Pose file, or posed photos: their poses in order."""
    spiral: int = 0
    """Of a place, in place of poses: this many views on a spiral among the training cameras, for those that look
    ahead."""
    orbit: int = 0
    """Of a place, in place of poses: this many views on a circle about its middle."""
    turntable: int = 0
    """Of a mesh, in place of poses: this many views around it."""
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None
    """Axis of the mesh that points up in --turntable; by default the one it seems to stand on, else z."""
    elevation_deg: float = 25.0
    """Height from which --turntable looks."""
    instance: str = ""
    """Of a category, which instance to show; by default the first."""
    camera: Path | None = None
    """Intrinsics for a mesh: transforms.json, COLMAP cameras.txt, or JSON with fx fy cx cy width height."""
    fov_deg: float = 40.0
    """Horizontal field of view for a mesh, in place of --camera."""
    channel: Literal["rgb", "depth", "alpha"] = "rgb"
    """What to show; depth is drawn from near (bright) to far (dark)."""
    max_side: int = 480
    """Longer side of the images in pixels."""
    between: int = 0
    """Frames to put between each two poses, for a smooth video."""
    fps: int = 12
    """Frames a second of a video."""
    overwrite: bool = False
    """Write over what is there."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Renders each pose."""
    description = "Images or a video from a scene or a mesh."
    example = "resect render runs/place PHOTOS --out renders; resect render mug.ply --turntable 24 --out mug.gif"
    flags = parse(RenderArguments, arguments, prog="resect render", description=description, example=example)
    _check(flags)
    start(flags.common)
    from resect.cli.progress import bar

    scene, camera = _of_mesh(flags) if flags.scene.is_file() else _of_place(flags)
    path = _drawn_path(scene, camera, flags) if flags.poses is None else _path(flags.poses, flags.between)
    frames, film = [], flags.out.suffix.lower() in (".gif", *_VIDEOS)
    with bar("frames") as progress:
        for i in range(len(path)):
            shown = scene.render(camera, path[i : i + 1], want=(flags.channel,))
            frame = _picture(getattr(shown, flags.channel)[0], camera.width, camera.height)
            if film:
                frames.append(frame)
            else:  # at once: what is drawn survives Ctrl-C
                flags.out.mkdir(parents=True, exist_ok=True)
                frame.save(flags.out / f"{i:05d}.png")
            progress(i + 1, len(path), "")
    if film:
        write_frames(frames, flags.out, flags.fps)
    result(flags.common, {"out": str(flags.out), "frames": len(path)}, str(flags.out))
    return 0


def _check(flags: RenderArguments) -> None:
    """Errors before any work."""
    at_least("--max-side", flags.max_side, 1)
    at_least("--between", flags.between, 0)
    at_least("--turntable", flags.turntable, 0)
    for name in ("spiral", "orbit"):
        at_least(f"--{name}", getattr(flags, name), 0)
    drawn = [name for name in ("turntable", "spiral", "orbit") if getattr(flags, name)]
    given = drawn if flags.poses is None else [*drawn, "poses"]
    if len(given) != 1:
        expected = "poses, or one of --turntable, --spiral and --orbit with a count"
        raise ResectError("resect render", expected, " and ".join(given) or "none of them")
    if flags.turntable and not flags.scene.is_file():
        raise ResectError("--turntable", "a mesh", f"{flags.scene}", "Give poses, --spiral or --orbit.")
    if (flags.spiral or flags.orbit) and flags.scene.is_file():
        raise ResectError("--spiral, --orbit", "the folder of a place", f"the mesh {flags.scene}", "Use --turntable.")
    if not 0 < flags.fov_deg < 180:
        raise ResectError("--fov-deg", "between 0 and 180", str(flags.fov_deg))
    if not -90 < flags.elevation_deg < 90:
        raise ResectError("--elevation-deg", "between -90 and 90", str(flags.elevation_deg))
    at_least("--fps", flags.fps, 1)
    suffix = flags.out.suffix.lower()
    if suffix in _PICTURES or (suffix in _VIDEOS and flags.out.is_dir()):
        raise ResectError("--out", f"a folder, or a file {', '.join(('.gif', *_VIDEOS))}", str(flags.out))
    if suffix in _VIDEOS:
        need_videos()
    refuse_overwrite(flags.out, flags.overwrite)


def _of_place(flags: RenderArguments) -> "tuple[Scene, Camera]":
    from resect import zoo
    from resect.category import is_category
    from resect.place import read_place

    scene = zoo.load(flags.scene, role="scene")
    if is_category(scene):
        return scene.of(flags.instance or 0), scene.learned.camera.fit_within(flags.max_side)
    return scene, read_place(flags.scene).camera.fit_within(flags.max_side)


def _of_mesh(flags: RenderArguments) -> "tuple[Scene, Camera]":
    """Lit, on white, seen by the camera that was given or by one of 4:3."""
    from resect.data.camera_file import read_camera
    from resect.data.mesh import read_mesh
    from resect.geometry.camera import Camera
    from resect.scenes.mesh.scene import MeshScene
    from resect.scenes.mesh.shade import Light

    if flags.camera is not None:
        camera = read_camera(flags.camera).fit_within(flags.max_side)
    else:
        camera = Camera.from_fov(math.radians(flags.fov_deg), flags.max_side, max(1, round(0.75 * flags.max_side)))
    return MeshScene(read_mesh(flags.scene), background=(1.0, 1.0, 1.0), light=Light()), camera


def _drawn_path(scene: Any, camera: "Camera", flags: RenderArguments) -> "SE3":
    """Views that no file lists: around a mesh, or along a path among a place's training cameras."""
    import torch

    from resect.geometry.paths import orbit, spiral
    from resect.place import read_place

    if flags.turntable:
        return _turntable(scene, camera, flags)
    facts = read_place(flags.scene)
    if flags.orbit:
        up = torch.tensor(facts.up or (0.0, 0.0, 1.0))
        return orbit(facts.cam_from_world, scene.bounds.mean(0), up, flags.orbit).float()
    shown = scene.render(camera.fit_within(24), facts.cam_from_world[:1].float(), ("depth",)).depth
    seen = shown[shown > 0]
    focus = float(seen.median()) if len(seen) else facts.scene_scale
    return spiral(facts.cam_from_world, focus, flags.spiral).float()


def _turntable(scene: Any, camera: "Camera", flags: RenderArguments) -> "SE3":
    """Views of the middle from all around, so far away that the sphere around the mesh is in the picture."""
    import torch

    from resect.data.mesh.check import likely_up
    from resect.geometry.look_at import look_at

    name: str = flags.up or [*likely_up(scene.mesh), "z"][0]
    up = torch.zeros(3)
    up["xyz".index(name[-1])] = -1.0 if name.startswith("-") else 1.0
    aside = torch.linalg.cross(up, up.roll(1))
    ahead = torch.linalg.cross(aside, up)
    middle, radius = scene.bounds.mean(0), float((scene.bounds[1] - scene.bounds[0]).norm()) / 2
    half = math.atan(min(camera.width / camera.fx, camera.height / camera.fy) / 2)
    turn = 2 * math.pi * torch.arange(flags.turntable)[:, None] / flags.turntable
    height = math.radians(flags.elevation_deg)
    toward = math.cos(height) * (turn.cos() * ahead + turn.sin() * aside) + math.sin(height) * up
    eyes = middle + 1.05 * radius / math.sin(half) * toward
    return look_at(eyes, middle.expand_as(eyes), up)


def _path(poses: Path, between: int) -> "SE3":
    from resect.geometry.se3 import SE3

    if poses.is_file() and poses.suffix.lower() in (".csv", ".txt"):
        from resect.evaluation.pose_file import read_poses

        found = [row.cam_from_world for row in read_poses(poses).rows if row.mode == 0 and row.cam_from_world]
        if not found:
            raise ResectError(poses, "at least one pose", "none")
    else:
        from resect.data import read

        truth = read(poses).truth.cam_from_world
        found = [truth[i] for i in range(len(truth))]
    if between and len(found) > 1:
        from resect.evaluation import pictures

        found = pictures.between([p.double() for p in found], (len(found) - 1) * (between + 1) + 1)
    return SE3.stack(found).float()


def _picture(values: Any, width: int, height: int) -> Any:
    """Values of all pixels as an 8-bit PIL image."""
    from PIL import Image

    if values.ndim == 1:
        seen = values > 0
        far = values[seen].quantile(0.98) if bool(seen.any()) else 1.0
        near = values[seen].quantile(0.02) if bool(seen.any()) else 0.0
        shade = (1 - (values - near) / max(float(far - near), 1e-9)).clamp(0.05, 1) * seen
        values = shade[:, None].expand(-1, 3)
    pixels = (values.clamp(0, 1) * 255).round().byte().reshape(height, width, 3)
    return Image.fromarray(pixels.numpy())


def write_frames(frames: Sequence[Any], out: Path, fps: int) -> None:
    """Pictures as a GIF or a video."""
    if out.suffix.lower() == ".gif":
        out.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(out, save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)
    else:
        _video(frames, out, fps)


def need_videos() -> None:
    """An error where videos cannot be written: before the work, not after it."""
    for package in ("imageio", "imageio_ffmpeg"):
        if find_spec(package) is None:
            raise NotInstalledError(package.replace("_", "-"), "video", "writing videos")


def _video(frames: Sequence[Any], out: Path, fps: int) -> None:
    import imageio.v2 as imageio
    import numpy as np

    out.parent.mkdir(parents=True, exist_ok=True)
    writing: Any = imageio.get_writer(out, fps=fps, macro_block_size=2)
    with writing as writer:
        for frame in frames:
            writer.append_data(np.asarray(frame))
