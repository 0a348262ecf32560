"""`resect render SCENE POSES --out DIR|FILE`: images, or a video, from a scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.options import COMMON, CommonFlags, at_least, parse, refuse_overwrite, start
from resect.cli.output import result
from resect.errors import NotInstalledError, ResectError

if TYPE_CHECKING:
    from resect.geometry.se3 import SE3

_VIDEOS = (".mp4", ".mov", ".webm")
_PICTURES = (".png", ".jpg", ".jpeg", ".avi")


@dataclass(frozen=True)
class RenderArguments:
    """What to render, from where."""

    scene: tyro.conf.Positional[Path]
    """Folder that 'resect fit' made."""
    poses: tyro.conf.Positional[Path]
    """Pose file, or posed photos: their poses in order."""
    out: Path
    """Folder for PNG files, or a .gif or .mp4 file."""
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
    description, example = "Images or a video from a scene.", "resect render runs/place PHOTOS --out renders"
    flags = parse(RenderArguments, arguments, prog="resect render", description=description, example=example)
    _check(flags)
    start(flags.common)
    from resect import zoo
    from resect.cli.progress import bar
    from resect.place import read_place

    scene = zoo.load(flags.scene, role="scene")
    camera = read_place(flags.scene).camera.fit_within(flags.max_side)
    path = _path(flags.poses, flags.between)
    frames = []
    with bar("frames") as progress:
        for i in range(len(path)):
            shown = scene.render(camera, path[i : i + 1], want=(flags.channel,))
            frames.append(_picture(getattr(shown, flags.channel)[0], camera.width, camera.height))
            progress(i + 1, len(path), "")
    _write(frames, flags.out, flags.fps)
    result(flags.common, {"out": str(flags.out), "frames": len(frames)}, str(flags.out))
    return 0


def _check(flags: RenderArguments) -> None:
    """Errors before any work."""
    at_least("--max-side", flags.max_side, 1)
    at_least("--between", flags.between, 0)
    at_least("--fps", flags.fps, 1)
    suffix = flags.out.suffix.lower()
    if suffix in _PICTURES or (suffix in _VIDEOS and flags.out.is_dir()):
        raise ResectError("--out", f"a folder, or a file {', '.join(('.gif', *_VIDEOS))}", str(flags.out))
    refuse_overwrite(flags.out, flags.overwrite)


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


def _write(frames: Sequence[Any], out: Path, fps: int) -> None:
    if out.suffix.lower() == ".gif":
        out.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(out, save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)
    elif out.suffix.lower() in _VIDEOS:
        _video(frames, out, fps)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(frames):
            frame.save(out / f"{i:05d}.png")


def _video(frames: Sequence[Any], out: Path, fps: int) -> None:
    try:
        import imageio.v2 as imageio
        import numpy as np
    except ImportError:
        raise NotInstalledError("imageio", "video", "writing videos") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    writing: Any = imageio.get_writer(out, fps=fps, macro_block_size=2)
    with writing as writer:
        for frame in frames:
            writer.append_data(np.asarray(frame))
