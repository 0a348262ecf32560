"""Errors of BOP estimates with respect to every true instance of the same object in the same image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.data.bop import BopFolder, BopResult
from resect.data.bop.scene import METERS_PER_UNIT
from resect.data.image import read_depth
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.metrics.average_recall import MSPD_PIXELS, MSSD_DIAMETERS, VSD_SHARES
from resect.metrics.object import add_s, mspd, mssd, object_errors
from resect.metrics.visible_surface import DELTA_M, TAUS, vsd

DepthRenderer = Callable[[int, Camera, SE3], Float[Tensor, "b h w"]]
"""Depth in millimetres of object number i at B poses, all pixels of the camera; 0 where it is not."""

THRESHOLDS: Mapping[str, tuple[float, ...]] = {
    "vsd": VSD_SHARES,
    "mssd": MSSD_DIAMETERS,
    "mspd": MSPD_PIXELS,
    "add_s_0.1d": (0.1,),
    "recall_5deg_5cm": (1.0,),
}
"""Error → its thresholds of correctness."""
_REFERENCE_WIDTH = 640.0
_RENDERED_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of an estimate and a true instance, and their errors.

    Attributes:
        estimate: row of the result file.
        truth: index into the folder's objects.
        errors: name in `THRESHOLDS` → errors in the unit of its thresholds; one column, VSD one for each tolerance.
            "mssd" and "add_s_0.1d" in diameters, "mspd" in pixels of an image 640 wide, "recall_5deg_5cm" the larger of
            angle / 5° and distance / 5 cm.
    """

    estimate: Int[Tensor, "p"]
    truth: Int[Tensor, "p"]
    errors: Mapping[str, Float[Tensor, "p c"]]


def mesh_renderer(folder: BopFolder) -> DepthRenderer:
    """Renders the models of a folder; the last one used is kept."""
    from resect.scenes.mesh.scene import MeshScene

    @lru_cache(maxsize=1)
    def scene(number: int) -> MeshScene:
        return MeshScene(folder.mesh(number, evaluation=True), antialias=False)

    def render(number: int, camera: Camera, cam_from_obj: SE3) -> Float[Tensor, "b h w"]:
        depth = scene(number).render(camera, cam_from_obj, ("depth",)).depth
        assert depth is not None
        return depth.view(-1, camera.height, camera.width)

    return render


def pair_errors(
    result: BopResult, folder: BopFolder, render_depth: DepthRenderer | None, vsd_delta_m: float = DELTA_M
) -> Pairs:
    """All pairs, object by object; without a renderer there is no VSD."""
    measured = None if render_depth is None else (render_depth, vsd_delta_m / METERS_PER_UNIT)
    rows: dict[tuple[int, int, int], list[int]] = {}
    for row, key in enumerate(zip(result.scene, result.image, result.object_id, strict=True)):
        rows.setdefault(key, []).append(row)
    by_object: dict[int, list[tuple[int, int]]] = {}
    for k, entry in enumerate(folder.objects):
        for row in rows.get((entry.scene, entry.image, entry.object_id), ()):
            by_object.setdefault(entry.object_id, []).append((row, k))
    parts = [_of_object(n, by_object[n], result, folder, measured) for n in sorted(by_object)]
    if not parts:
        none = torch.zeros(0, dtype=torch.long)
        return Pairs(none, none, {name: torch.zeros(0, 1, dtype=torch.float64) for name in THRESHOLDS if name != "vsd"})
    errors = {name: torch.cat([p.errors[name] for p in parts]) for name in parts[0].errors}
    return Pairs(torch.cat([p.estimate for p in parts]), torch.cat([p.truth for p in parts]), errors)


def _of_object(
    number: int,
    pairs: Sequence[tuple[int, int]],
    result: BopResult,
    folder: BopFolder,
    measured: tuple[DepthRenderer, float] | None,
) -> Pairs:
    info = folder.models.get(number)
    if info is None:
        fix = "Diameter and symmetries of every scored object come from there."
        raise ResectError(folder.root / "models_info.json", f"model {number}", "none", fix)
    estimate, truth = torch.tensor(pairs, dtype=torch.long).unbind(-1)
    a, b = result.cam_from_obj[estimate], folder.cam_from_obj[truth]
    points = folder.mesh(number, evaluation=True).vertices.double()
    degrees, distance = object_errors(a, b, info.symmetries)
    errors = {
        "mssd": mssd(a, b, points, info.symmetries) / info.diameter,
        "mspd": torch.empty_like(degrees),
        "add_s_0.1d": add_s(a, b, points, info.symmetries) / info.diameter,
        "recall_5deg_5cm": torch.maximum(degrees / 5, distance * METERS_PER_UNIT / 0.05),
    }
    for camera, part in _by_camera(truth, folder).items():
        pixels = mspd(a[part], b[part], points, camera, info.symmetries)
        errors["mspd"][part] = pixels * (_REFERENCE_WIDTH / camera.width)
    columns = {name: value[:, None] for name, value in errors.items()}
    if measured is not None:
        columns["vsd"] = _vsd(number, a, b, truth, info.diameter, folder, *measured)
    return Pairs(estimate, truth, columns)


def _by_camera(truth: Int[Tensor, "p"], folder: BopFolder) -> dict[Camera, list[int]]:
    found: dict[Camera, list[int]] = {}
    for i, k in enumerate(truth.tolist()):
        entry = folder.objects[k]
        found.setdefault(folder.images[entry.scene, entry.image].camera, []).append(i)
    return found


def _vsd(
    number: int,
    a: SE3,
    b: SE3,
    truth: Int[Tensor, "p"],
    diameter: float,
    folder: BopFolder,
    render: DepthRenderer,
    delta: float,
) -> Float[Tensor, "p t"]:
    """Image after image, a few poses at once; pairs of images without depth are wrong at every tolerance."""
    found = torch.ones(len(truth), len(TAUS), dtype=torch.float64)
    by_image: dict[tuple[int, int], list[int]] = {}
    for i, k in enumerate(truth.tolist()):
        by_image.setdefault((folder.objects[k].scene, folder.objects[k].image), []).append(i)
    for key, every in by_image.items():
        image = folder.images[key]
        if image.depth is None:
            continue
        scene = read_depth(image.depth, image.depth_scale, image.camera.width, image.camera.height)
        for part in torch.tensor(every).split(_RENDERED_AT_ONCE):
            d_a, d_b = (render(number, image.camera, pose[part]) for pose in (a, b))
            shown = scene.to(d_a).expand_as(d_a)
            found[part] = vsd(d_a, d_b, shown, image.camera, diameter=diameter, delta=delta)
    return found
