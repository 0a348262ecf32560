"""Small photo sets on disk, with known truth."""

from pathlib import Path

import torch
from PIL import Image

from resect.data.gather import Frame, gather
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.types import PhotoSet

CAMERA = Camera(50.0, 52.0, 20.5, 14.0, 40, 30, "opencv", (0.05, -0.02, 0.001, -0.002))


def write_noise(path: Path, width: int = 40, height: int = 30, seed: int = 0, mode: str = "RGB") -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (height, width, len(mode)), generator=generator, dtype=torch.uint8).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values[..., 0] if len(mode) == 1 else values).save(path)


def ring(count: int, root: Path, camera: Camera = CAMERA) -> PhotoSet:
    """Photos on a ring that look at (0.5, 0, 0.2)."""
    angle = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    centers = torch.stack([3 * angle.cos(), 3 * angle.sin(), 1 + 0.3 * (5 * angle).sin()], -1)
    poses = look_at(centers, torch.tensor([0.5, 0.0, 0.2], dtype=torch.float64).expand(count, 3))
    frames = []
    for i in range(count):
        name = f"images/{i:03d}.png"
        write_noise(root / name, camera.width, camera.height, seed=i)
        frames.append(Frame(name, lambda w, h: camera, poses[i]))
    return gather(root, "test", frames, camera_source="test")
