"""A camera's path from one object: the chair whose mesh is made from the frames, the cabinet that is a box.

    python benchmarks/tracking.py --data DIR --out benchmarks/results/tracking.json

What is measured, and what may be looked at, is in docs/decisions/tracking-benchmark.md.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from level_structure import Structure, structure
from record import CACHE, Stopwatch, save, table, use_threads
from scipy import ndimage
from scipy.optimize import minimize
from skimage.morphology import convex_hull_image

from resect.data import read_photo
from resect.data.mesh import write_mesh
from resect.data.mesh.simplify import simplify
from resect.data.trajectory import read_trajectory, write_trajectory
from resect.evaluation.trajectory_score import TrajectorySettings, score_trajectory
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_edit import transformed
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.geometry.symmetry import Symmetries
from resect.geometry.trajectory import Trajectory
from resect.priors.views import Views, box_of
from resect.refine.cutout import Cutout, CutoutSettings, Matched, cut_around
from resect.refine.rows import up_direction
from resect.refine.view import Meter
from resect.scenes.mesh.scene import MeshScene
from resect.shape.hull import colored, visual_hull
from resect.shape.scale import standing
from resect.shape.symmetry import find_symmetries
from resect.tracking.masks import MaskFollower, MaskSettings, enlarged
from resect.tracking.recut import outline
from resect.tracking.run import TrackedObject, track
from resect.tracking.sequence import Track
from resect.tracking.settings import TrackSettings
from resect.types import Hypotheses, Photo

HEIGHT_M = 0.75
BOX = (82, 114, 140, 200)
LEVEL = 0.37  # opacity at which the hull's outlines overlap the masks most: 0.96, against 0.935 at 0.5
FACES = 8000
CHAIR = Camera(245.0, 245.0, 112.0, 112.0, 224, 224)
CABINET = Camera(535.4, 539.2, 320.6, 248.1, 640, 480)
APART = TrackSettings(shift=0.2, turn_deg=15.0, patience=0)  # frames a third of a second to a second apart
MASKS = MaskSettings(enlarge=4, rough=True)
SIMPLE = MaskSettings(enlarge=1, rough=True)
OUTLINE = CutoutSettings(sides=(32, 64, 160), color=0.0)
COLUMNS = {
    "sequence": "sequence", "what": "what", "frames": "frames", "poses": "poses", "ate_se3": "ATE, rigid",
    "ate_sim3": "ATE, Sim3", "scale": "scale to the truth", "rotation_deg": "rotation °", "seconds": "s a frame",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    data: Path
    """Folder with trajectories/ and tum_fr3_cabinet/."""
    sequences: str = "chair,half-chair,cabinet"
    """Which, joined by commas."""
    cache: Path = CACHE
    """Folder for meshes, trajectories and COLMAP's files."""
    threads: int = 0
    """0 takes all cores."""
    out: Path | None = None
    """JSON to write."""


def first_mask(photo: Photo) -> torch.Tensor:
    """Stands for a mask drawn by hand: grey, black and green in a box of a salmon room."""
    r, g, b = enlarged(photo.image, 4).permute(2, 0, 1)
    total = r + g + b + 0.004
    chair = ((r - 0.5 * (g + b)) / total < 0.055) | ((g - b) / total > 0.15)
    left, top, right, bottom = (4 * x for x in BOX)
    box = torch.zeros_like(chair)
    box[top:bottom, left:right] = True
    return torch.nn.functional.avg_pool2d((chair & box).float()[None, None], 4)[0, 0] > 0.5


def dark_part(photo: Photo) -> torch.Tensor:
    """The convex hull of the largest connected part of dark pixels: a box is convex, and its top mirrors the lamps."""
    value = photo.image.amax(-1)
    labels, _ = ndimage.label((value < 0.45 * value.max()).numpy())
    return torch.from_numpy(convex_hull_image(labels == np.bincount(labels.ravel())[1:].argmax() + 1))


def chair_mesh(cut: Sequence[Photo], found: Structure) -> tuple[Mesh, float, float]:
    """The hull in metres with its feet 0.75 m below the cameras; its height in metres, and the published rule's."""
    mesh = visual_hull(cut, found.level, cells=128, level=LEVEL)
    metric = Sim3(HEIGHT_M / mesh.vertices[:, 1].max().double(), torch.eye(3).double(), torch.zeros(3).double())
    mesh = simplify(transformed(mesh, metric), FACES)
    poses = SE3.stack([metric.move_camera(found.level[k]) for k in range(len(cut))])
    mesh = replace(colored(mesh, cut, poses), meters_per_unit=1.0)
    box = box_of(cut[0].target)
    assert box is not None
    height = float(mesh.bounds[1, 1] - mesh.bounds[0, 1])
    return mesh, height, standing(CHAIR, box, HEIGHT_M, as_published=True).height


def rows_of(facts: dict[str, Any], path: Trajectory, truth: Trajectory, seconds: float | None) -> dict[str, Any]:
    """Scores; the only place that sees the truth."""
    rigid = score_trajectory(path, truth, TrajectorySettings(align="se3", max_difference=0.001)).as_json()
    similar = score_trajectory(path, truth, TrajectorySettings(align="sim3", max_difference=0.001)).as_json()
    row = {
        **facts, "poses": rigid["matched"], "ate_se3": rigid["ate_rmse"], "ate_sim3": similar["ate_rmse"],
        "scale": similar["scale"], "rotation_deg": rigid["ate_rotation_deg"]["rmse"], "seconds": seconds,
    }  # fmt: skip
    print(json.dumps(row), flush=True)
    return row


def moved(poses: SE3, names: Sequence[str], factor: float = 1.0) -> Trajectory:
    """A path from poses; `factor` on its lengths."""
    inverse = poses.double().inverse()
    stamps = tuple(str(int(Path(n).stem)) for n in names)
    return Trajectory(torch.tensor([float(s) for s in stamps]).double(), SE3(inverse.R, factor * inverse.t), stamps)


def followed(
    photos: Sequence[Photo],
    scene: MeshScene,
    first: torch.Tensor,
    masks: MaskSettings,
    refiner: Cutout,
    symmetries: Symmetries | None = None,
) -> Track:
    same = symmetries or Symmetries()
    each = TrackedObject(scene, refiner, Views.of(scene.mesh), mask=first, masks=masks, symmetries=same)
    times = list(range(len(photos)))
    return track(lambda k: photos[k], times, [each], APART, progress=lambda *x: print(*x, flush=True))


def chair(arguments: Arguments, every: int) -> list[dict[str, Any]]:
    """Mesh from every so-many-th frame; tracked on all, scored on all, and on those that it was not made from."""
    folder = arguments.data / "trajectories" / "object_centric"
    photos = [read_photo(p, camera=CHAIR) for p in sorted((folder / "single_chair_run").glob("*.png"))]
    truth = read_trajectory(folder / "single_chair_results" / "gt_quat.txt")
    names, mask = [p.name for p in photos], first_mask(photos[0])
    follower = MaskFollower(photos[0], mask, MASKS)
    cut = [follower.cut(p) for p in photos]
    used = cut[::every]
    cache = arguments.cache / f"tracking-chair-{every}"
    found = structure(used, cache)
    print(f"structure: {found.residual_px:.3f} px", flush=True)
    mesh, height, published = chair_mesh(used, found)
    write_mesh(mesh, cache / "hull.ply", overwrite=True)
    up = torch.tensor([0.0, -1.0, 0.0])
    refiner = Cutout(known=(up_direction(up, (found.level.R[0] @ up.double()).float(), math.radians(0.1)),))
    with Stopwatch() as watch:
        answer = followed(photos, MeshScene(mesh), mask, MASKS, refiner)
    path = answer.trajectory([str(int(Path(n).stem)) for n in names])
    write_trajectory(path, cache / "path.txt", overwrite=True)
    print(answer.notes)
    facts = {"sequence": "chair", "frames": len(photos), "mesh": f"visual hull of {len(used)} frames"}
    ratio, seconds = published / height, watch.wall / len(photos)
    scaled = replace(path, world_from_cam=SE3(path.world_from_cam.R, ratio * path.world_from_cam.t))
    rows = [
        rows_of({**facts, "what": f"mesh of {len(used)}, tracked"}, path, truth, seconds),
        rows_of({**facts, "what": f"mesh of {len(used)}, tracked, scale as published"}, scaled, truth, seconds),
    ]
    if every > 1:
        unseen = torch.tensor([k for k, s in enumerate(path.seconds.tolist()) if s % (10 * every)])
        rows.append(
            rows_of({**facts, "what": "…, frames the mesh was not made from"}, path.take(unseen), truth, seconds)
        )
        rows.append(rows_of({**facts, "what": "…, scale as published"}, scaled.take(unseen), truth, seconds))
        return rows
    foot = float(visual_hull(used, found.level, cells=128, level=LEVEL).vertices[:, 1].max())
    sfm = moved(found.level, names, HEIGHT_M / foot)
    rows.append(rows_of({**facts, "what": "structure from motion, level camera"}, sfm, truth, None))
    rows.append(
        rows_of(
            {**facts, "what": "…, scale as published"}, moved(found.level, names, ratio * HEIGHT_M / foot), truth, None
        )
    )
    rows.append(
        rows_of(
            {**facts, "what": "structure from motion, free camera (no scale)"}, moved(found.free, names), truth, None
        )
    )
    theirs = read_trajectory(folder / "single_chair_results" / "rrb_quat.txt")
    these = torch.tensor([k for k, s in enumerate(theirs.seconds.tolist()) if s % 10 == 0])
    rows.append(rows_of({**facts, "what": "published method's file"}, theirs.take(these), truth, None))
    return rows


def box_mesh(size: Sequence[float]) -> Mesh:
    """A box about the origin, standing on z = 0."""
    corner = torch.tensor([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [[a, b, c] for a, b, c, _ in quads] + [[a, c, d] for a, _, c, d in quads]
    return Mesh(corner * torch.tensor(list(size)), torch.tensor(faces), meters_per_unit=1.0)


def cabinet(arguments: Arguments) -> list[dict[str, Any]]:
    folder = arguments.data / "tum_fr3_cabinet"
    photos = [read_photo(p, camera=CABINET) for p in sorted((folder / "raw_imgs").glob("*.jpg"))]
    boxes = np.loadtxt(folder / "detect_cuboids_saved.txt")
    long, short = np.median(np.sort(2 * boxes[:, 5:7], 1), 0)[::-1]
    declared = (float(long), float(short), float(2 * np.median(boxes[:, 7])))
    truth = read_trajectory(folder / "truth_cam_poses.txt")
    truth = replace(truth, seconds=torch.arange(len(truth)).double(), stamps=tuple(map(str, range(len(truth)))))
    rows, first = [], dark_part(photos[0])
    arguments.cache.mkdir(parents=True, exist_ok=True)
    refiner, size, what = Cutout(OUTLINE), declared, "box of declared size"
    for _ in range(2):
        mesh = box_mesh(size)
        with Stopwatch() as watch:
            found = followed(
                photos, MeshScene(mesh), first, SIMPLE, refiner, find_symmetries(mesh, use_color=False).symmetries
            )
        print(what, size, found.notes, flush=True)
        path = found.trajectory([str(k) for k in range(len(photos))])
        write_trajectory(path, arguments.cache / f"cabinet-{len(rows)}.txt", overwrite=True)
        facts = {"sequence": "cabinet", "frames": len(photos), "mesh": "box {:.3f} × {:.3f} × {:.3f} m".format(*size)}
        rows.append(rows_of({**facts, "what": f"{what}, tracked"}, path, truth, watch.wall / len(photos)))
        size, what = proportioned(size, photos, first, found), "declared height, proportions from the outlines"
    return rows


def proportioned(
    size: tuple[float, float, float], photos: Sequence[Photo], first: torch.Tensor, found: Track
) -> tuple[float, float, float]:
    """Length and width, for the same height, at which the outlines of every third frame agree best."""
    scene, masks, poses = MeshScene(box_mesh(size)), MaskFollower(photos[0], first, SIMPLE), {}
    for k, photo in enumerate(photos):
        cut = masks.cut(photo)
        if k in found.rows:
            pose = found.cam_from_world[found.rows.index(k)][None].float()
            seen = outline(scene, photo, pose[0])
            if k % 3 == 0:
                poses[k] = cut, pose
            masks.learn(photo, seen)

    one = replace(OUTLINE, sides=(96,), keep=(1,))

    def loss(x: np.ndarray) -> float:
        scene, total = MeshScene(box_mesh((size[2] * float(x[0]), size[2] * float(x[1]), size[2]))), 0.0
        for photo, start in poses.values():
            answer = Cutout(one).refine(scene, photo, Hypotheses(start, torch.zeros(1))).cam_from_world
            at = Matched(scene, cut_around(photo, 0.3), 96, one, Meter())
            total += float(at.loss(start if answer is None else answer[None].float())[0])
        print(f"{x} {total:.2f}", flush=True)
        return total

    begin = np.array([size[0] / size[2], size[1] / size[2]])
    best = minimize(loss, begin, method="Nelder-Mead", options={"xatol": 3e-3, "fatol": 0.05, "maxfev": 40})
    return size[2] * float(best.x[0]), size[2] * float(best.x[1]), size[2]


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    known = {
        "chair": lambda: chair(arguments, 1),
        "half-chair": lambda: chair(arguments, 2),
        "cabinet": lambda: cabinet(arguments),
    }
    rows = [row for name in arguments.sequences.split(",") for row in known[name]()]
    print(table(rows, COLUMNS))
    save(arguments.out, "tracking", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
