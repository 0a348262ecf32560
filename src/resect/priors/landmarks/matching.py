"""Which features of which training photos show the same point: pairs by pose, matches by look and geometry, tracks."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.priors.landmarks.settings import LandmarkSettings
from resect.priors.landmarks.uncertainty import reach_of, view_distance


def choose_pairs(cam_from_world: SE3, neighbours: int) -> Int[Tensor, "p 2"]:
    """Pairs of photos likely to see the same things: each with the `neighbours` nearest in place and direction.

    All pairs where there are few photos. `view_distance` says what near is.
    """
    n = len(cam_from_world)
    if n <= neighbours + 1:
        return torch.combinations(torch.arange(n), 2)
    cameras = cam_from_world.double()
    distance = view_distance(cameras, cameras, reach_of(cameras)).fill_diagonal_(torch.inf)
    near = distance.topk(neighbours, largest=False).indices
    pairs = torch.stack([torch.arange(n)[:, None].expand_as(near), near], -1).flatten(0, 1)
    return pairs.sort(dim=-1).values.unique(dim=0)


def match_pair(
    descriptors: tuple[Float[Tensor, "m 128"], Float[Tensor, "n 128"]],
    rays: tuple[Float[Tensor, "m 3"], Float[Tensor, "n 3"]],
    b_from_a: SE3,
    angle_limits: tuple[float, float],
    ratio: float,
) -> Int[Tensor, "k 2"]:
    """Mutual best matches between photos a and b that pass the ratio test and lie on their epipolar lines.

    Args:
        descriptors: unit vectors of a and of b.
        rays: unit directions in each camera.
        b_from_a: where the cameras stand to each other.
        angle_limits: most angle in radians of a ray from its epipolar plane, in a and in b.
        ratio: best distance over second best.
    """
    if min(len(descriptors[0]), len(descriptors[1])) < 2:
        return torch.zeros(0, 2, dtype=torch.long)
    best, second, in_b, mutual = best_two(*descriptors)
    a = (mutual & (1 - best < ratio**2 * (1 - second))).nonzero()[:, 0]
    b = in_b[a]
    ray_a, ray_b = rays[0][a] @ b_from_a.R.mT, rays[1][b]
    across_a = torch.linalg.cross(b_from_a.t.expand_as(ray_a), ray_a)
    across_b = torch.linalg.cross(b_from_a.t.expand_as(ray_b), ray_b)
    off_b = (across_a * ray_b).sum(-1).abs() / across_a.norm(dim=-1).clamp_min(1e-30)
    off_a = (across_b * ray_a).sum(-1).abs() / across_b.norm(dim=-1).clamp_min(1e-30)
    on_line = (off_a < angle_limits[0]) & (off_b < angle_limits[1])
    return torch.stack([a[on_line], b[on_line]], -1)


def best_two(
    a: Float[Tensor, "m d"], b: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m"], Int[Tensor, "m"], Bool[Tensor, "m"]]:
    """For each row of a: greatest and second greatest dot product with rows of b, which is best, whether mutual.

    Blocks of rows stay in the processor's cache; NumPy's reductions are several times faster than PyTorch's here.
    """
    block = max(1, min(len(a), (1 << 20) // max(1, len(b))))
    table = torch.empty(block, len(b))
    best, second, index = np.empty(len(a), np.float32), np.empty(len(a), np.float32), np.empty(len(a), np.int64)
    of_column = np.full(len(b), -np.inf, np.float32)
    for start in range(0, len(a), block):
        rows = a[start : start + block]
        likeness = torch.mm(rows, b.mT, out=table[: len(rows)]).numpy()
        here, line = slice(start, start + len(rows)), np.arange(len(rows))
        index[here] = likeness.argmax(1)
        best[here] = likeness[line, index[here]]
        np.maximum(of_column, likeness.max(0), out=of_column)
        likeness[line, index[here]] = -np.inf
        second[here] = likeness.max(1)
    mutual = best >= of_column[index]
    return torch.from_numpy(best), torch.from_numpy(second), torch.from_numpy(index), torch.from_numpy(mutual)


def tracks(edges: Int[Tensor, "e 2"], nodes: int) -> Int[Tensor, "nodes"]:
    """The track of each feature: connected features share a number from 0; −1 for those without a match."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    weight = torch.ones(len(edges), dtype=torch.int8).numpy()
    graph = coo_array((weight, (edges[:, 0].numpy(), edges[:, 1].numpy())), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=False)
    labels = torch.from_numpy(label).long()
    lonely = torch.bincount(labels)[labels] < 2
    labels[lonely] = labels.max() + 1 if len(labels) else 0
    _, dense = labels.unique(return_inverse=True)
    return torch.where(lonely, torch.full_like(dense, -1), dense)


def match_all(
    descriptors: list[Float[Tensor, "_ 128"]],
    rays: list[Float[Tensor, "_ 3"]],
    pixel_rad: list[float],
    cam_from_world: SE3,
    settings: LandmarkSettings,
) -> Int[Tensor, "e 2"]:
    """Pairs of features that match, features numbered photo after photo.

    Args:
        descriptors: of each photo.
        rays: of each photo, camera frame.
        pixel_rad: angle of a working pixel of each photo, radians.
        cam_from_world: of each photo.
        settings: thresholds.
    """
    start = [0]
    for d in descriptors:
        start.append(start[-1] + len(d))
    edges = []
    for a, b in choose_pairs(cam_from_world, settings.neighbours).tolist():
        b_from_a = (cam_from_world[b] @ cam_from_world[a].inverse()).double()
        limits = (settings.epipolar_px * pixel_rad[a], settings.epipolar_px * pixel_rad[b])
        pair = match_pair((descriptors[a], descriptors[b]), (rays[a], rays[b]), b_from_a, limits, settings.pair_ratio)
        edges.append(pair + torch.tensor([start[a], start[b]]))
    return torch.cat(edges) if edges else torch.zeros(0, 2, dtype=torch.long)
