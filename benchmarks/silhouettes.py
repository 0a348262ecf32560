"""The pose of an object from its silhouette alone, from starts that are 30° off.

Specification, fixed before the first number was taken with it:

- Meshes: cow, banana, chair (ModelNet 0890) of `--data`/meshes; no colour is used. 40 views each: rotations uniform
  over SO(3) (seed 0), the object's middle at the image's within a tenth of its side, square images in which the
  object's bounding sphere is 0.8 of the side wide.
- Three lenses: "near", the sphere's centre at 3 of its diameters, 256 px; "far", at 30, 256 px; "tiny", at 100, 64 px,
  where perspective is less than the pixels tell. ("tiny" was added when on "made" the far twins' masks still told front
  from back; before a figure on the three.)
- The photo is a mask: drawn at four times the size without antialiasing, averaged over the pixels, above one half.
- Start: turned by exactly 30° about a random axis through the object's middle (seed 1), then laid into the mask's
  box; nothing else of the truth is used. Around it 24 more are laid into the box, turned by up to 30° (the start's
  stated uncertainty).
- Solved: the first mode within 2° of the truth; or the truth within 2° of a stated mode of at least a quarter of the
  mass where the answer says AMBIGUOUS. Both are printed. Rotations that leave the mesh as it is count as the truth
  too.
- "two modes": over views that have a twin, the share whose answer names both. A view has a twin where the mesh equals
  its mirror image in a plane (1 % of the diameter, root mean square over its vertices), the pose reflected by it is
  more than 20° from the truth, and the twin's mask overlaps the photo's by more than 0.97 (intersection over union).
- Settings are chosen on "made" (three chairs of the generator, split "train", 20 views each), never on the three
  meshes.
- Seconds: one thread, wall clock, median.

    python benchmarks/silhouettes.py --data DIR --out benchmarks/results/silhouettes.json
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from record import Stopwatch, save, table, use_threads

from resect.data.image import resize_area
from resect.data.mesh import read_mesh
from resect.data.mesh.simplify import simplify
from resect.data.procedural_shapes.families import draw
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries
from resect.priors.lift import lift
from resect.priors.views import box_of, hull_points
from resect.refine.cutout import Cutout, CutoutSettings
from resect.refine.reflected import mirror_normals, reflected
from resect.scenes.mesh.scene import MeshScene
from resect.shape.symmetry import find_symmetries
from resect.types import Estimate, Hypotheses, Photo, Status, Target

START_DEG, MORE, FACES = 30.0, 24, 8000
SETTINGS = CutoutSettings(color=0.0, keep=(16, 8, 4), steps=20)  # chosen on "made"
LENSES = {"near": (3.0, 256), "far": (30.0, 256), "tiny": (100.0, 64)}  # diameters, pixels
FILES = {
    "cow": "cow_mesh/cow.obj",
    "banana": "ycb_banana/textured_simple_reoriented.obj",
    "chair": "modelnet_chair/chair_0890.off",
}
COLUMNS = {
    "mesh": "mesh", "lens": "lens", "views": "views", "first": "first mode ≤ 2° %", "stated": "a stated mode ≤ 2° %",
    "median_deg": "median °", "ambiguous": "ambiguous %", "twins": "views with a twin", "both": "two modes %",
    "failed": "failed", "seconds": "s",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    data: Path | None = None
    """Folder with meshes/; without it only "made" can be run."""
    meshes: str = "cow,banana,chair"
    """Which, joined by commas; or "made"."""
    lenses: str = "near,far,tiny"
    """Which, joined by commas."""
    views: int = 40
    """Of each mesh."""
    quick: bool = False
    """One made chair, one tiny view."""
    threads: int = 1
    """0 takes all cores."""
    out: Path | None = None
    """JSON to write."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A mesh with what is the same about it."""

    mesh: Mesh
    scene: MeshScene
    same: Symmetries
    normals: torch.Tensor
    mirrors: torch.Tensor
    middle: torch.Tensor
    radius: float


def subject(mesh: Mesh) -> Subject:
    whole, mesh = mesh, simplify(mesh, FACES) if len(mesh.faces) > FACES else mesh
    middle = mesh.bounds.double().mean(0)
    radius = float((mesh.vertices.double() - middle).norm(dim=-1).max())
    normals = mirror_normals(mesh)
    true = [n for n in normals if asymmetry(whole, n) < 0.01 * 2 * radius]
    scene = MeshScene(mesh)
    same = find_symmetries(mesh, use_color=False).symmetries
    return Subject(mesh, scene, same, normals, torch.stack(true) if true else normals[:0], middle, radius)


def asymmetry(mesh: Mesh, normal: torch.Tensor) -> float:
    """How far mirrored vertices are from the nearest vertex, root mean square; the plane goes through their mean."""
    points = mesh.vertices.double()
    points = points - points.mean(0)
    some = points[:: max(1, len(points) // 2000)]
    mirrored = some - 2 * (some @ normal)[:, None] * normal
    return float(torch.cdist(mirrored, points).min(1).values.square().mean().sqrt())


def photo_of(item: Subject, pose: SE3, camera: Camera) -> Photo:
    """Its mask, as a photo."""
    fine = camera.rescale(4 * camera.width, 4 * camera.height)
    alpha = replace(item.scene, antialias=False).render(fine, pose[None].float(), ("alpha",)).alpha
    assert alpha is not None
    mask = resize_area(alpha.reshape(fine.height, fine.width), camera.width, camera.height) > 0.5
    return Photo("silhouette", mask[..., None].float().expand(-1, -1, 3), camera, "made", Target("object", mask=mask))


def view_of(item: Subject, lens: float, side: int, g: torch.Generator) -> tuple[SE3, Camera]:
    rotation = so3.random(1, generator=g, dtype=torch.float64)[0]
    distance = 2 * item.radius * lens
    focal = 0.8 * side / 2 / math.tan(math.asin(item.radius / distance))
    shift = (torch.rand(2, generator=g, dtype=torch.float64) - 0.5) * 0.2 * side / focal * distance
    at = torch.cat([shift, torch.tensor([distance], dtype=torch.float64)])
    return SE3(rotation, at - rotation @ item.middle), Camera(focal, focal, side / 2, side / 2, side, side)


def starts_of(item: Subject, true: SE3, photo: Photo, g: torch.Generator) -> Hypotheses:
    """The start, 30° off, and more around it; each where it fills the box."""
    axis = torch.nn.functional.normalize(torch.randn(3, generator=g, dtype=torch.float64), dim=0)
    start = so3.exp(math.radians(START_DEG) * axis) @ true.R
    turns = torch.nn.functional.normalize(torch.randn(MORE, 3, generator=g, dtype=torch.float64), dim=-1)
    size = math.radians(START_DEG) * torch.rand(MORE, 1, generator=g, dtype=torch.float64) ** (1 / 3)
    rotations = torch.cat([start[None], so3.exp(size * turns) @ start])
    box = box_of(photo.target)
    assert box is not None
    found = lift(rotations, hull_points(item.mesh.vertices).double(), photo.known_camera(), box)
    keep = found.valid.nonzero()[:, 0]
    return Hypotheses(found.cam_from_world[keep].float(), torch.zeros(len(keep)))


def angle(item: Subject, poses: SE3, true: SE3) -> torch.Tensor:
    """Degrees from the truth, or from what looks like it."""
    return so3.angle(item.same.nearest(poses.double(), true).R, true.R.double().expand(len(poses), 3, 3)).rad2deg()


def twins_of(item: Subject, true: SE3, photo: Photo) -> SE3 | None:
    """Poses that look like the truth and are far from it; none where nothing does."""
    if not len(item.mirrors):
        return None
    poses = reflected(true[None], item.mirrors, item.middle)
    assert photo.target is not None
    assert photo.target.mask is not None
    masks = [photo_of(item, p, photo.known_camera()).target.mask for p in poses]  # type: ignore[union-attr]
    overlap = torch.tensor([float((m & photo.target.mask).sum() / (m | photo.target.mask).sum()) for m in masks])
    keep = ((overlap > 0.97) & (angle(item, poses, true) > 20)).nonzero()[:, 0]
    return poses[keep] if len(keep) else None


def judged(item: Subject, answer: Estimate, true: SE3, twins: SE3 | None) -> dict[str, Any]:
    if not answer.ok or answer.modes is None:
        return {"deg": math.inf, "stated": False, "ambiguous": False, "twin": twins is not None, "both": False}
    modes = answer.modes
    heavy = modes.take((modes.log_weight.exp() >= 0.25).nonzero()[:, 0])
    off = angle(item, heavy.cam_from_world, true) if len(heavy) else torch.tensor([math.inf])
    ambiguous = answer.status is Status.AMBIGUOUS
    first = float(angle(item, modes.cam_from_world[:1], true)[0])
    other = twins is not None and any(bool((angle(item, heavy.cam_from_world, t) < 2).any()) for t in twins)
    stated = first < 2 or (ambiguous and bool((off < 2).any()))
    both = ambiguous and other and bool((off < 2).any())
    return {"deg": first, "stated": stated, "ambiguous": ambiguous, "twin": twins is not None, "both": both}


def measured(name: str, items: Sequence[Subject], lens: str, views: int) -> dict[str, Any]:
    rows, seconds = [], []
    for item in items:
        g, h = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
        refiner = Cutout(SETTINGS, mirrors=item.normals)
        for _ in range(views):
            true, camera = view_of(item, *LENSES[lens], g)
            photo = photo_of(item, true, camera)
            starts = starts_of(item, true, photo, h)
            with Stopwatch() as watch:
                answer = refiner.refine(item.scene, photo, starts)
            seconds.append(watch.wall)
            rows.append(judged(item, answer, true, twins_of(item, true, photo)))
    n, twins = len(rows), [r for r in rows if r["twin"]]
    row = {
        "mesh": name, "lens": lens, "views": n,
        "first": 100 * sum(r["deg"] < 2 for r in rows) / n, "stated": 100 * sum(r["stated"] for r in rows) / n,
        "median_deg": float(torch.tensor([r["deg"] for r in rows]).median()),
        "ambiguous": 100 * sum(r["ambiguous"] for r in rows) / n,
        "twins": len(twins), "both": 100 * sum(r["both"] for r in twins) / len(twins) if twins else None,
        "failed": sum(math.isinf(r["deg"]) for r in rows),
        "seconds": float(torch.tensor(seconds).median()), "each": rows,
    }  # fmt: skip
    print(table([row], COLUMNS), flush=True)
    return row


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    if arguments.quick:
        rows = [measured("made", [subject(draw("chair", "train", 0).mesh())], "tiny", 1)]
        save(arguments.out, "silhouettes", arguments, rows)
        return rows
    rows = []
    for name in arguments.meshes.split(","):
        if name == "made":
            items = [subject(draw("chair", "train", k).mesh()) for k in range(3)]
        else:
            assert arguments.data is not None, "--data"
            items = [subject(read_mesh(arguments.data / "meshes" / FILES[name]))]
        for lens in arguments.lenses.split(","):
            rows.append(measured(name, items, lens, arguments.views))
            save(arguments.out, "silhouettes", arguments, rows)  # each takes minutes
    print(table(rows, COLUMNS))
    return rows


if __name__ == "__main__":
    main()
