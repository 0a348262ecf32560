"""Structure from motion of cut-outs by a level camera: one height, one tilt, a turn and a place for each frame.

A small object far away says little of how far the camera went round it: turns and depth trade for each other. A camera
that keeps its height and its tilt does not have that freedom. Points come from SIFT on the cut-outs (COLMAP).
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.optimize import least_squares
from scipy.sparse import coo_matrix
from scipy.spatial.transform import Rotation

from resect.geometry.se3 import SE3
from resect.tracking.masks import enlarged
from resect.types import Photo

TIMES = 4  # frames are enlarged for SIFT
SIGMA_PX, SIGMA_TILT_DEG = 0.3, 0.2


@dataclass(frozen=True, eq=False)
class Structure:
    """Attributes:
    free: poses as COLMAP leaves them, in its own units; `None` where a frame was not registered.
    level: poses of a level camera; the world has y down and the cameras at y = 0.
    residual_px: root mean square over all observations, of the level solution.
    """

    free: SE3
    level: SE3
    residual_px: float


def structure(photos: Sequence[Photo], folder: Path) -> Structure:
    """Of cut-outs that all share one camera; all must register.

    A small object far away looks nearly the same as its mirror image in depth that turns the other way (Necker), and
    bundle adjustment never gets from one to the other: both are tried, after two starts, and the residual decides.
    """
    _features(photos, folder)
    models = [_map(folder, seed) for seed in (0, 1)]
    tried = [_structure(photos, model, flipped) for model in models for flipped in (False, True)]
    print("residuals, px:", " ".join(f"{t.residual_px:.3f}" for t in tried), flush=True)
    return min(tried, key=lambda t: t.residual_px)


def _structure(photos: Sequence[Photo], model, flipped: bool) -> Structure:
    images = sorted(model.images.values(), key=lambda i: i.name)
    if len(images) != len(photos):
        raise RuntimeError(f"{len(images)} of {len(photos)} frames were registered")
    number = {image.image_id: k for k, image in enumerate(images)}
    free = np.stack([i.cam_from_world().matrix() for i in images])
    points = [p for p in model.points3D.values() if p.track.length() >= 3]
    seen = [
        (number[e.image_id], j, *(model.images[e.image_id].points2D[e.point2D_idx].xy / TIMES))
        for j, p in enumerate(points)
        for e in p.track.elements
    ]
    xyz = np.stack([p.xyz for p in points])
    level, residual = _level(*(_reversed(free, xyz) if flipped else (free, xyz)), np.array(seen), photos[0])
    return Structure(SE3(*(torch.from_numpy(free[:, :, s]) for s in (slice(3), 3))), level, residual)


def _reversed(free: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points mirrored in depth about their middle, cameras turned the other way: R' = M R M, X' = M X, t' = t."""
    middle, mirror = points.mean(0), np.diag([1.0, 1.0, -1.0])
    toward = free[0, :, :3]  # the world with the axes of the first camera and the middle as its origin
    rotation = mirror @ free[:, :, :3] @ toward.T @ mirror
    shift = free[:, :, :3] @ middle + free[:, :, 3]
    return np.concatenate([rotation, shift[:, :, None]], 2), (points - middle) @ toward.T @ mirror


def _features(photos: Sequence[Photo], folder: Path) -> None:
    """SIFT inside the cut-outs, matched, in COLMAP's database."""
    import pycolmap

    shutil.rmtree(folder, ignore_errors=True)
    for name in ("images", "masks", "sparse"):
        (folder / name).mkdir(parents=True)
    for photo in photos:
        assert photo.alpha is not None
        solid = enlarged(photo.alpha[..., None], TIMES)[..., 0] > 0.5
        near = torch.nn.functional.max_pool2d(solid.float()[None, None], 9, 1, 4)[0, 0] > 0
        # A cut-out is laid on white; grey has no edges of its own in a chair that is grey.
        image = enlarged(photo.image - 0.5 * (1 - photo.alpha[..., None]), TIMES)
        Image.fromarray((255 * image.numpy()).round().astype(np.uint8)).save(folder / "images" / photo.name)
        Image.fromarray((255 * near.numpy()).astype(np.uint8)).save(folder / "masks" / f"{photo.name}.png")
    camera = photos[0].known_camera()
    reader = pycolmap.ImageReaderOptions()
    reader.mask_path, reader.camera_model = str(folder / "masks"), "PINHOLE"
    reader.camera_params = ",".join(str(TIMES * x) for x in (camera.fx, camera.fy, camera.cx, camera.cy))
    extraction, matching = pycolmap.FeatureExtractionOptions(), pycolmap.FeatureMatchingOptions()
    extraction.sift.max_num_features, extraction.sift.peak_threshold, extraction.sift.edge_threshold = 4000, 0.002, 20
    for options in (extraction, matching):
        options.num_threads, options.use_gpu = 1, False  # several threads number the photos anew each time
    database = folder / "database.db"
    single = pycolmap.CameraMode.SINGLE
    pycolmap.logging.minloglevel = pycolmap.logging.WARNING.value
    pycolmap.extract_features(
        database, folder / "images", camera_mode=single, reader_options=reader, extraction_options=extraction
    )
    pycolmap.match_exhaustive(database, matching_options=matching)


def _map(folder: Path, seed: int):
    """COLMAP's incremental mapping of the database."""
    import pycolmap

    mapping = pycolmap.IncrementalPipelineOptions()
    mapping.ba_refine_focal_length = mapping.ba_refine_extra_params = False
    mapping.min_model_size, mapping.num_threads, mapping.random_seed = 5, 1, seed
    mapping.mapper.init_min_tri_angle, mapping.mapper.init_min_num_inliers = 4, 30
    mapping.mapper.abs_pose_min_num_inliers = 12
    out = folder / "sparse" / str(seed)
    out.mkdir()
    models = pycolmap.incremental_mapping(folder / "database.db", folder / "images", out, options=mapping)
    return max(models.values(), key=lambda m: m.num_reg_images())


def _level(free: np.ndarray, points: np.ndarray, seen: np.ndarray, photo: Photo) -> tuple[SE3, float]:
    """Bundle adjustment over (x, z, turn) of each frame, one tilt (pitch, roll) of all, and all points."""
    n, camera = len(free), photo.known_camera()
    frame, point, pixels = seen[:, 0].astype(int), seen[:, 1].astype(int), seen[:, 2:]
    rotation, center = free[:, :, :3], -np.einsum("nji,nj->ni", free[:, :, :3], free[:, :, 3])
    down = rotation[:, 1].mean(0) / np.linalg.norm(rotation[:, 1].mean(0))
    ahead = rotation[:, 2].mean(0) - rotation[:, 2].mean(0) @ down * down
    ahead /= np.linalg.norm(ahead)
    axes = np.stack([np.cross(down, ahead), down, ahead])
    center, points = center @ axes.T, points @ axes.T
    points[:, 1] -= center[:, 1].mean()
    scale = 1 / np.median(np.linalg.norm(points.mean(0) - center, axis=1))
    looks = rotation[:, 2] @ axes.T
    start = np.concatenate(
        [scale * center[:, [0, 2]], np.arctan2(looks[:, 0], looks[:, 2])[:, None]], 1
    )  # fmt: skip
    focal, middle = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])

    def turned(cameras: np.ndarray, tilt: np.ndarray) -> np.ndarray:
        yaw = Rotation.from_rotvec(np.outer(-cameras[:, 2], [0, 1, 0])).as_matrix()
        return Rotation.from_euler("xz", tilt).as_matrix() @ yaw

    def residual(x: np.ndarray) -> np.ndarray:
        cameras, tilt, xyz = x[: 3 * n].reshape(n, 3), x[3 * n : 3 * n + 2], x[3 * n + 2 :].reshape(-1, 3)
        off = xyz[point] - np.stack([cameras[frame, 0], np.zeros(len(frame)), cameras[frame, 1]], 1)
        inside = np.einsum("nij,nj->ni", turned(cameras, tilt)[frame], off)
        shown = focal * inside[:, :2] / inside[:, 2:] + middle
        return np.concatenate([((shown - pixels) / SIGMA_PX).ravel(), tilt / np.radians(SIGMA_TILT_DEG)])

    rows = np.repeat(np.arange(2 * len(frame)).reshape(-1, 2), 8, 1).ravel()
    ones = np.ones_like(frame)
    columns = [*(3 * frame + b for b in range(3)), 3 * n * ones, (3 * n + 1) * ones]
    columns = np.stack([*columns, *(3 * n + 2 + 3 * point + b for b in range(3))], 1)
    columns = np.repeat(columns[:, None], 2, 1).reshape(-1)
    last = 2 * len(frame)
    rows, columns = np.append(rows, [last, last + 1]), np.append(columns, [3 * n, 3 * n + 1])
    shape = (last + 2, 3 * n + 2 + points.size)
    pattern = coo_matrix((np.ones(len(rows)), (rows, columns)), shape).tocsr()
    begin = np.concatenate([start.ravel(), [0, 0], (scale * points).ravel()])
    end = least_squares(residual, begin, jac_sparsity=pattern, loss="soft_l1", x_scale="jac", max_nfev=60)
    cameras = end.x[: 3 * n].reshape(n, 3)
    rotation = turned(cameras, end.x[3 * n : 3 * n + 2])
    place = np.stack([cameras[:, 0], np.zeros(n), cameras[:, 1]], 1)
    translation = -np.einsum("nij,nj->ni", rotation, place)
    error = SIGMA_PX * float(np.sqrt(np.square(residual(end.x)[:-2]).mean()))
    return SE3(torch.from_numpy(rotation), torch.from_numpy(translation)), error
