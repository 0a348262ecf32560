"""Baseline: the classical localiser that resect is compared with. OpenCV only; resect reads the data and scores.

Specification, fixed before the first number was taken with it:

- Working image: grey, longer side at most 960 pixels (INTER_AREA). SIFT with OpenCV's defaults, at most 4000 features,
  `enable_precise_upscale` (without it every point is a quarter pixel off). RootSIFT. Pixels are undistorted with the
  camera's own distortion before any geometry.
- Map, from training photos with their given poses: all pairs up to 60 photos, else each with its 20 nearest by centre
  distance (in mean nearest distances) + angle between axes (in 10°). Brute force, ratio 0.8, mutual; kept within 2
  working pixels of the epipolar line (Sampson); connected matches are tracks, a track with two features of one photo
  keeps neither; points by linear multi-view triangulation, kept with reprojection errors below 2 pixels in all views,
  at least 2 views and 1.5° between two rays.
- Query: brute force against each training photo's features that have a point, ratio 0.8, mutual; of several points for
  one feature the one with the best distance. `solvePnPRansac` (SQPNP, 4 working pixels, 2000 iterations, confidence
  0.9999, seed fixed), then `solvePnPRefineLM` on the inliers. Fewer than 12 inliers: no answer.
- Seconds per photo: decoded photo to pose, warm, wall clock; CPU seconds beside it. Making the map is stated apart.
- Errors: geodesic angle and distance of camera centres over `scene_scale`; medians over all photos, a failure is ∞.

    python benchmarks/classical.py fox=DIR,every:8 kitchen=DIR,blocks:20:4,POSES --out benchmarks/results/classical.json
"""

import argparse
import itertools
import json
import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from resect.data import make_split, read
from resect.metrics.pose import median, pose_errors, scene_scale
from resect.types import Photo, PhotoSet

MAX_SIDE, FEATURES, RATIO = 960, 4000, 0.8


def features(photo: Photo) -> tuple[np.ndarray, np.ndarray, float]:
    """Undistorted normalised points, RootSIFT descriptors, and the focal length of the working image."""
    height, width = photo.image.shape[:2]
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = (round(width * scale), round(height * scale))
    grey = cv2.cvtColor((photo.image.numpy() * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    sift = cv2.SIFT_create(FEATURES, enable_precise_upscale=True)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    camera = photo.known_camera().rescale(*size)
    if not keypoints:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32), camera.fx
    pixels = np.array([k.pt for k in keypoints]) + 0.5
    lens = np.array(camera.distortion + (0.0,) * (8 - len(camera.distortion)))  # OpenCV takes 4, 5, 8, 12 or 14
    flat = cv2.undistortPoints(pixels[:, None], camera.matrix.numpy(), lens)[:, 0]
    return flat, np.sqrt(descriptors / descriptors.sum(1, keepdims=True).clip(1e-6)), camera.fx


def match(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rows (index in a, index in b, distance): ratio test one way, nearest the other way."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 3))
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    back = {m.queryIdx: m.trainIdx for m in matcher.match(b, a)}
    good = [
        (m.queryIdx, m.trainIdx, m.distance)
        for m, n in matcher.knnMatch(a, b, k=2)
        if m.distance < RATIO * n.distance and back[m.trainIdx] == m.queryIdx
    ]
    return np.array(good).reshape(-1, 3)


def choose_pairs(world_from_cam: np.ndarray) -> list[tuple[int, int]]:
    n = len(world_from_cam)
    if n <= 60:
        return list(itertools.combinations(range(n), 2))
    centers, axes = world_from_cam[:, :3, 3], world_from_cam[:, :3, 2]
    distance = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    nearest = (distance + np.where(np.eye(n), np.inf, 0)).min(1).mean()
    angle = np.degrees(np.arccos((axes @ axes.T).clip(-1, 1)))
    cost = distance / nearest + angle / 10 + np.where(np.eye(n), np.inf, 0)
    return sorted({tuple(sorted((i, int(j)))) for i in range(n) for j in cost[i].argsort()[:20]})


def sampson(x1: np.ndarray, x2: np.ndarray, two_from_one: np.ndarray) -> np.ndarray:
    """First-order distance from the epipolar constraint, in the units of the points."""
    t = two_from_one[:3, 3]
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    essential = cross @ two_from_one[:3, :3]
    h1, h2 = np.c_[x1, np.ones(len(x1))], np.c_[x2, np.ones(len(x2))]
    l2, l1 = h1 @ essential.T, h2 @ essential
    return np.abs((h2 * l2).sum(1)) / np.sqrt((l1[:, :2] ** 2).sum(1) + (l2[:, :2] ** 2).sum(1)).clip(1e-30)


def triangulate(rows: list[tuple[np.ndarray, np.ndarray]], focal: float) -> np.ndarray | None:
    """The point of one track from (cam_from_world 3×4, point 2) rows, or `None` if it does not hold."""
    system = np.concatenate([[x[0] * m[2] - m[0], x[1] * m[2] - m[1]] for m, x in rows])
    point = np.linalg.svd(system)[2][-1]
    if abs(point[3]) < 1e-9:
        return None
    point = point[:3] / point[3]
    seen = np.array([m[:, :3] @ point + m[:, 3] for m, _ in rows])
    if (seen[:, 2] <= 0).any():
        return None
    error = np.linalg.norm(seen[:, :2] / seen[:, 2:] - np.array([x for _, x in rows]), axis=1) * focal
    away = np.array([point + m[:, :3].T @ m[:, 3] for m, _ in rows])
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    widest = np.degrees(np.arccos((away @ away.T).min().clip(-1, 1)))
    return point if error.max() < 2.0 and widest > 1.5 else None


def make_map(train: PhotoSet) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each training photo: points in the world and descriptors of its features that have one."""
    poses = train.truth.cam_from_world.double().matrix().numpy()
    found = [features(train[i]) for i in range(len(train))]
    offset = np.cumsum([0] + [len(f[0]) for f in found])
    parent = np.arange(offset[-1])

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in choose_pairs(np.linalg.inv(poses)):
        pairs = match(found[a][1], found[b][1])[:, :2].astype(int)
        if not len(pairs):
            continue
        error = sampson(found[a][0][pairs[:, 0]], found[b][0][pairs[:, 1]], poses[b] @ np.linalg.inv(poses[a]))
        for i, j in pairs[error * found[a][2] < 2.0]:
            parent[root(offset[a] + i)] = root(offset[b] + j)
    members: dict[int, list[tuple[int, int]]] = {}
    for photo, (flat, _, _) in enumerate(found):
        for i in range(len(flat)):
            members.setdefault(root(offset[photo] + i), []).append((photo, i))
    points: list[dict[int, np.ndarray]] = [{} for _ in found]
    for track in members.values():
        photos = [p for p, _ in track]
        if len(track) < 2 or len(set(photos)) < len(photos):
            continue
        point = triangulate([(poses[p][:3], found[p][0][i]) for p, i in track], found[0][2])
        if point is not None:
            for p, i in track:
                points[p][i] = point
    return [(np.array(list(mine.values())).reshape(-1, 3), found[p][1][list(mine)]) for p, mine in enumerate(points)]


def localize(photo: Photo, landmarks: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    """`cam_from_world` (4, 4), or `None`."""
    flat, descriptors, focal = features(photo)
    best: dict[int, tuple[float, np.ndarray]] = {}
    for points, known in landmarks:
        for i, j, distance in match(descriptors, known):
            if int(i) not in best or distance < best[int(i)][0]:
                best[int(i)] = (distance, points[int(j)])
    if len(best) < 12:
        return None
    image = flat[list(best)]
    world = np.array([p for _, p in best.values()])
    cv2.setRNGSeed(0)
    ok, rotation, translation, inliers = cv2.solvePnPRansac(
        world, image, np.eye(3), None, iterationsCount=2000, reprojectionError=4.0 / focal, confidence=0.9999,
        flags=cv2.SOLVEPNP_SQPNP,
    )  # fmt: skip
    if not ok or inliers is None or len(inliers) < 12:
        return None
    chosen = inliers[:, 0]
    rotation, translation = cv2.solvePnPRefineLM(world[chosen], image[chosen], np.eye(3), None, rotation, translation)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(rotation)[0], translation[:, 0]
    return pose


def measure(
    name: str,
    data: PhotoSet,
    rule: str,
    learn: Callable[[PhotoSet], Any] = make_map,
    answer: Callable[[Photo, Any], np.ndarray | None] = localize,
) -> dict[str, object]:
    """One row of the table, for this baseline or for another localiser."""
    from resect.geometry.se3 import SE3

    split = make_split(data, rule)
    train = data.subset(split.train)
    scale = scene_scale(train.truth.cam_from_world)
    start = time.perf_counter()
    landmarks = learn(train)
    map_seconds = time.perf_counter() - start
    rotation, translation, seconds, cpu = [], [], [], []
    for i in split.test:
        photo = data[i]
        wall, busy = time.perf_counter(), time.process_time()
        pose = answer(photo, landmarks)
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - busy)
        if pose is None:
            rotation.append(math.inf)
            translation.append(math.inf)
            continue
        error = pose_errors(SE3.from_matrix(torch.from_numpy(pose)), data.truth.cam_from_world[i].double())
        rotation.append(float(error[0]))
        translation.append(float(error[1]) / scale)
    r, t = torch.tensor(rotation), torch.tensor(translation)
    row: dict[str, object] = {
        "set": name,
        "split": rule,
        "train": len(split.train),
        "photos": len(split.test),
        "failed": int(r.isinf().sum()),
        "within_0.5deg_0.01scale": int(((r < 0.5) & (t < 0.01)).sum()),
        "within_5deg_0.05scale": int(((r < 5) & (t < 0.05)).sum()),
        "median_rotation_deg": _finite(median(r)),
        "median_translation_scale": _finite(median(t)),
        "seconds_per_photo": float(np.median(seconds)),
        "cpu_seconds_per_photo": float(np.median(cpu)),
        "map_seconds": map_seconds,
    }
    print(json.dumps(row), flush=True)
    return row


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="NAME=FOLDER,SPLIT[,POSES]")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for item in arguments.sets:
        name, _, rest = item.partition("=")
        folder, rule, *poses = rest.split(",")
        rows.append(measure(name, read(folder, poses=Path(poses[0]) if poses else None), rule))
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    facts = {"what": "classical", "opencv": cv2.__version__, "machine": machine, "sets": rows}
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
