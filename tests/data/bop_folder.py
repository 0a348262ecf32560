"""A small BOP dataset on disk: two objects, two images, three instances, depth and masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captures import write_noise
from PIL import Image

from resect.geometry import so3

K = [60.0, 0.0, 32.0, 0.0, 62.0, 24.0, 0.0, 0.0, 1.0]
SYMMETRY = [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def rotation(i: int) -> list[float]:
    generator = torch.Generator().manual_seed(i)
    return so3.random(1, generator=generator, dtype=torch.float64).flatten().tolist()


def truth(i: int, object_id: int) -> dict[str, Any]:
    return {"obj_id": object_id, "cam_R_m2c": rotation(i), "cam_t_m2c": [10.0 * i, 5.0, 400.0 + i]}


def visible(fraction: float, box: list[int]) -> dict[str, Any]:
    return {"bbox_obj": box, "bbox_visib": box, "visib_fract": fraction, "px_count_visib": 9}


def write_ply(path: Path, points: torch.Tensor, faces: list[list[int]]) -> None:
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(points)}\nproperty float x\nproperty float y\nproperty float z\n"
    )
    head += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    body = "".join(f"{x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in points.tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + body + "".join(f"3 {a} {b} {c}\n" for a, b, c in faces))


def box_points(size: tuple[float, float, float]) -> torch.Tensor:
    return torch.cartesian_prod(*(torch.tensor([-s / 2, s / 2]) for s in size))


def write_bop(root: Path) -> Path:
    """Writes it; object 7 has a half turn about z and two instances in image 4."""
    scene = root / "test" / "000003"
    info: dict[str, Any] = {}
    for number, size in ((2, (20.0, 30.0, 40.0)), (7, (50.0, 20.0, 10.0))):
        points = box_points(size)
        write_ply(root / "models" / f"obj_{number:06d}.ply", points, [[0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7]])
        info[str(number)] = {"diameter": float(np.linalg.norm(size))}
        info[str(number)] |= {f"min_{a}": -s / 2 for a, s in zip("xyz", size, strict=True)}
        info[str(number)] |= {f"size_{a}": s for a, s in zip("xyz", size, strict=True)}
    info["7"]["symmetries_discrete"] = [SYMMETRY]
    (root / "models" / "models_info.json").write_text(json.dumps(info))
    for image in (4, 11):
        write_noise(scene / "rgb" / f"{image:06d}.png", 64, 48, seed=image)
        (scene / "depth").mkdir(exist_ok=True)
        Image.fromarray(np.full((48, 64), 4000 + image, np.uint16)).save(scene / "depth" / f"{image:06d}.png")
    camera = {"cam_K": K, "depth_scale": 0.1}
    put(scene, "scene_camera", {"4": camera, "11": camera})
    put(scene, "scene_gt", {"4": [truth(0, 7), truth(1, 2), truth(2, 7)], "11": [truth(3, 2)]})
    shares = {"4": [visible(1.0, [3, 4, 5, 6]), visible(0.5, [10, 10, 0, 0]), visible(0.05, [-1, -1, -1, -1])]}
    put(scene, "scene_gt_info", {**shares, "11": [visible(0.9, [20, 5, 9, 9])]})
    mask = np.zeros((48, 64), np.uint8)
    mask[4:11, 3:9] = 255
    (scene / "mask_visib").mkdir()
    Image.fromarray(mask).save(scene / "mask_visib" / "000004_000000.png")
    return root


def put(scene: Path, name: str, value: Any) -> None:
    scene.mkdir(parents=True, exist_ok=True)
    (scene / f"{name}.json").write_text(json.dumps(value))


def change(scene: Path, name: str, key: str, index: int | None, **fields: Any) -> None:
    """Replaces fields of one entry of a scene's file."""
    value = json.loads((scene / f"{name}.json").read_text())
    (value[key] if index is None else value[key][index]).update(fields)
    put(scene, name, value)
