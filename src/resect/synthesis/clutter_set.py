"""Sets of drawn photos of objects in clutter, as a BOP dataset with COCO annotations; what detectors learn from.

Photo i has a stream of its own, seeded with (seed, i), and is drawn as `synthesis/clutter` specifies. What was drawn
is noted line by line in `drawn.jsonl`, so that the same command goes on where it was stopped, and more can be added.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic, write_json
from resect.data.bop.scene import METERS_PER_UNIT
from resect.data.bop.write import bop_camera_numbers
from resect.data.image import png_bytes
from resect.data.mask import box_of, encode_runs
from resect.data.mesh.write import write_ply
from resect.data.models_info import ModelInfo, write_models_info
from resect.data.workers import each
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.symmetry import Symmetries
from resect.scenes.mesh.scene import MeshScene
from resect.synthesis.clutter import ClutterPhoto, ClutterSettings, Placed, draw_photo
from resect.synthesis.clutter_set_settings import ClutterSetSettings

Progress = Callable[[int, int, str], None]
_NOTES = "drawn.jsonl"
_MOST_LINE = 1 << 20
_HEAP_SPREAD, _HEAP_APART = 0.5, 0.5


def make_clutter(
    meshes: Mapping[str, Mesh],
    settings: ClutterSetSettings,
    out: Path,
    *,
    symmetries: Mapping[str, Symmetries] | None = None,
    backgrounds: Sequence[Float[Tensor, "h w 3"]] = (),
    distractors: Sequence[Mesh] = (),
    split: str = "train",
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Draws and writes a set.

    Args:
        meshes: object id → mesh; ids that are no numbers are numbered from 1 in their order.
        settings: how many photos, and how.
        out: folder of the dataset; drawn photos that are there are kept.
        symmetries: of the objects, written beside them.
        backgrounds: pictures to lay the objects on.
        distractors: further meshes that lie about, hide objects and are not asked for, of the size of the objects.
        split: name of the split's folder.
        workers: processes; 0 takes all cores.
        progress: called with (done, total, remark).

    Raises:
        ResectError: lengths of unknown unit, or a folder that holds photos drawn otherwise.
    """
    scaled = {key: _millimetres(key, mesh) for key, mesh in meshes.items()}
    numbers = number_objects(list(scaled))
    size = float(np.median([diameter(mesh.vertices) for mesh in scaled.values()]))
    others = [replace(m, vertices=(m.vertices * (size / diameter(m.vertices))).float()) for m in distractors]
    scenes = [MeshScene(mesh, antialias=False) for mesh in (*scaled.values(), *others)]
    camera = Camera.from_fov(np.radians(settings.fov_deg), settings.width, settings.height)
    near, far = settings.distance
    drawing = ClutterSettings(
        settings.objects, (near * size, far * size), visible=settings.visible,
        exposure=settings.exposure, ambient=settings.ambient, shadowed=settings.shadowed, litter=settings.litter,
        size=size,
    )  # fmt: skip
    folder, ids = out / split / "000001", [numbers[key] for key in scaled]
    drawn = _begin(folder, settings, ids, len(others))
    _write_models(scaled, numbers, symmetries or {}, out)
    missing = [i for i in range(settings.images) if i not in drawn]
    work = partial(_draw, scenes, camera, drawing, settings, backgrounds, folder, ids)
    with (folder / _NOTES).open("a") as notes:
        for i, rows in zip(missing, each(work, missing, workers), strict=True):
            drawn[i] = rows
            notes.write(json.dumps({"image": i, "objects": rows}) + "\n")
            notes.flush()
            if progress is not None:
                progress(len(drawn), settings.images, f"{len(rows)} objects")
    _write_truth({i: drawn[i] for i in range(settings.images)}, camera, numbers, folder)


def number_objects(names: Sequence[str]) -> dict[str, int]:
    """Numbers of objects: their own where all ids are numbers, else from 1 on."""
    if all(name.isascii() and name.isdigit() for name in names):
        return {name: int(name) for name in names}
    return {name: i for i, name in enumerate(names, 1)}


def _millimetres(key: str, mesh: Mesh) -> Mesh:
    if mesh.meters_per_unit is None:
        fix = "Say it with --units mm|cm|m|in."
        raise ResectError(f"object {key}", "lengths of known unit", "unknown", fix)
    return replace(
        mesh,
        vertices=(mesh.vertices * (mesh.meters_per_unit / METERS_PER_UNIT)).float(),
        meters_per_unit=METERS_PER_UNIT,
    )


def _begin(
    folder: Path, settings: ClutterSetSettings, ids: Sequence[int], distractors: int
) -> dict[int, list[dict[str, Any]]]:
    """What was drawn before; a new folder gets a first line that says how."""
    how = {
        **{k: v for k, v in vars(settings).items() if k != "images"},
        "objects_drawn": list(ids),
        "distractors": distractors,
    }
    how = json.loads(json.dumps(how))
    path = folder / _NOTES
    if not path.is_file():
        if folder.exists() and any(folder.iterdir()):
            raise ResectError(folder, "a new or empty folder", "files in it", "Give another --out.")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(how) + "\n")
        return {}
    lines = path.read_text().splitlines()
    try:
        found = [json.loads(line) for line in lines if line.endswith("}") and len(line) < _MOST_LINE]
        differ = ", ".join(k for k in how if found[0].get(k) != how[k])
        drawn = {int(entry["image"]): list(entry["objects"]) for entry in found[1:]}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ResectError(path, "what was drawn, line by line", str(error)[:80]) from None
    if differ:
        raise ResectError(folder, "photos drawn with the same settings", f"another {differ}", "Give another --out.")
    path.write_text("".join(json.dumps(x) + "\n" for x in found))  # without a line that was cut short
    return drawn


def _draw(
    scenes: Sequence[MeshScene],
    camera: Camera,
    drawing: ClutterSettings,
    settings: ClutterSetSettings,
    backgrounds: Sequence[Float[Tensor, "h w 3"]],
    folder: Path,
    ids: Sequence[int],
    i: int,
) -> list[dict[str, Any]]:
    """Draws and writes photo i."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + i)
    plain = float(torch.rand((), generator=generator)) < settings.textured
    if float(torch.rand((), generator=generator)) < settings.heap:
        drawing = _heaped(drawing, generator)
    photo = draw_photo(scenes, camera, drawing, generator, () if plain else backgrounds)
    return _write_photo(photo, folder, i, ids)


def _heaped(s: ClutterSettings, generator: torch.Generator) -> ClutterSettings:
    """Nearly one distance, in the middle of the picture, spheres half in each other."""
    near, far = s.distance
    middle = near + float(torch.rand((), generator=generator)) * (far - near)
    return replace(s, distance=(middle * 7 / 8, middle * 9 / 8), spread=_HEAP_SPREAD, apart=_HEAP_APART)


def _write_photo(photo: ClutterPhoto, folder: Path, i: int, ids: Sequence[int]) -> list[dict[str, Any]]:
    write_atomic(folder / "rgb" / f"{i:06d}.png", png_bytes((photo.image * 255).round().byte()))
    rows = []
    known = [(p, a) for p, a in zip(photo.objects, photo.asked, strict=True) if p.scene < len(ids)]
    for k, (placed, asked) in enumerate(known):
        write_atomic(folder / "mask_visib" / f"{i:06d}_{k:06d}.png", png_bytes(placed.mask.byte() * 255))
        rows.append(_row(placed, asked, ids[placed.scene]))
    return rows


def _row(placed: Placed, asked: bool, number: int) -> dict[str, Any]:
    pose, seen = placed.cam_from_world[0].double(), bool(placed.mask.any())
    left, top, right, bottom = box_of(placed.mask) if seen else (0.0, 0.0, 0.0, 0.0)
    return {
        "obj_id": number,
        "cam_R_m2c": pose.R.flatten().tolist(),
        "cam_t_m2c": pose.t.tolist(),
        "bbox_visib": [left, top, right - left - 1, bottom - top - 1] if seen else [-1, -1, -1, -1],
        "visib_fract": placed.visible if seen else 0.0,
        "px_count_visib": int(placed.mask.sum()),
        "asked": asked,
        "runs": encode_runs(placed.mask),
    }


def _write_truth(
    drawn: Mapping[int, list[dict[str, Any]]], camera: Camera, numbers: Mapping[str, int], folder: Path
) -> None:
    """The dataset's JSON files, and COCO annotations of all visible masks."""
    truth, info = ("obj_id", "cam_R_m2c", "cam_t_m2c"), ("bbox_visib", "visib_fract", "px_count_visib")
    k = bop_camera_numbers(camera)
    write_json(folder / "scene_camera.json", {str(i): {"cam_K": k, "depth_scale": 1.0} for i in drawn})
    for name, keys in (("scene_gt", truth), ("scene_gt_info", info)):
        write_json(
            folder / f"{name}.json", {str(i): [{x: r[x] for x in keys} for r in rows] for i, rows in drawn.items()}
        )
    size = {"width": camera.width, "height": camera.height}
    annotations = [
        {
            "id": n,
            "image_id": i,
            "category_id": row["obj_id"],
            "bbox": [row["bbox_visib"][0], row["bbox_visib"][1], row["bbox_visib"][2] + 1, row["bbox_visib"][3] + 1],
            "area": row["px_count_visib"],
            "iscrowd": 0,
            "segmentation": {"size": [camera.height, camera.width], "counts": row["runs"]},
        }
        for n, (i, row) in enumerate((i, row) for i, rows in drawn.items() for row in rows if row["px_count_visib"])
    ]
    images = [{"id": i, "file_name": f"rgb/{i:06d}.png", **size} for i in drawn]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    write_json(folder / "scene_gt_coco.json", coco)


def _write_models(
    meshes: Mapping[str, Mesh], numbers: Mapping[str, int], symmetries: Mapping[str, Symmetries], out: Path
) -> None:
    infos = {str(numbers[key]): ModelInfo.of(mesh, symmetries.get(key)) for key, mesh in meshes.items()}
    for key, mesh in meshes.items():
        path = out / "models" / f"obj_{numbers[key]:06d}.ply"
        if not path.is_file():
            write_ply(mesh, path)
    if not (out / "models" / "models_info.json").is_file():
        write_models_info(out / "models" / "models_info.json", infos)
