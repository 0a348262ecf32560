"""The z-buffer of one pose, fused: faces are set up, boxed, tested and compared without any tensor in between.

The arithmetic, its order too, is that of `rasterize.py`; therefore no fast-math here: both find the same faces.
"""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import numpy as np
from numba import njit

EXACT = {"nogil": True, "error_model": "numpy", "cache": True}


@njit(forceinline=True, error_model="numpy")
def cell_of(value, most):
    """⌊value⌋ within [-1, most]; -1 for NaN."""
    if not value >= 0.0:
        return -1
    if value > most:
        return most
    return np.int64(value)


@njit(**EXACT)
def rasterize_pose(
    points, faces, cull, near, greatest, least, xy, start, columns, rows, origin, scale, slack, face, inverse_depth,
    weight,
):  # fmt: skip
    """Nearest face at every sample.

    Args:
        points: (V, 3) vertices in the camera frame times K: (x, y, z) projects to (x / z, y / z).
        faces: (F, 3).
        cull: whether faces seen from behind are left out.
        near: least z of what is boxed.
        greatest, least: inverse depth of the nearest and farthest hit that counts.
        xy, start, columns, rows, origin, scale, slack: the `Samples`, `start` being this pose's.
        face: (S,) written: −1 where there is none.
        inverse_depth: (S,) written: 0 where there is none.
        weight: (S, 3) written: barycentric coordinates.
    """
    first, after = start[0], start[columns * rows]
    for s in range(first, after):
        face[s], inverse_depth[s] = -1, 0.0
    u, v = np.empty(len(points)), np.empty(len(points))
    for i in range(len(points)):
        u[i] = points[i, 0] / points[i, 2]
        v[i] = points[i, 1] / points[i, 2]
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0], points[b, 1], points[b, 2]
        cx, cy, cz = points[c, 0], points[c, 1], points[c, 2]
        n0x, n0y, n0z = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        det = ax * n0x + ay * n0y + az * n0z
        if det == 0.0 or (cull and det > 0.0):
            continue
        if az > near and bz > near and cz > near:
            x0, x1 = min(u[a], u[b], u[c]), max(u[a], u[b], u[c])
            y0, y1 = min(v[a], v[b], v[c]), max(v[a], v[b], v[c])
        elif az <= near and bz <= near and cz <= near:
            continue
        else:
            x0, x1, y0, y1 = _clipped_box(ax, ay, az, bx, by, bz, cx, cy, cz, near)
        column0 = max(cell_of((x0 - origin[0]) * scale[0] + slack, columns), 0)
        column1 = min(cell_of((x1 - origin[0]) * scale[0] - slack, columns), columns - 1)
        row0 = max(cell_of((y0 - origin[1]) * scale[1] + slack, rows), 0)
        row1 = min(cell_of((y1 - origin[1]) * scale[1] - slack, rows), rows - 1)
        if column0 > column1 or row0 > row1:
            continue
        n1x, n1y, n1z = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
        n2x, n2y, n2z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        if det < 0.0:
            n0x, n0y, n0z, n1x, n1y, n1z, n2x, n2y, n2z = -n0x, -n0y, -n0z, -n1x, -n1y, -n1z, -n2x, -n2y, -n2z
            det = -det
        inverse = 1.0 / det
        for row in range(row0, row1 + 1):
            for s in range(start[row * columns + column0], start[row * columns + column1 + 1]):
                x, y = xy[s, 0], xy[s, 1]
                e0 = n0x * x + n0y * y + n0z
                e1 = n1x * x + n1y * y + n1z
                e2 = n2x * x + n2y * y + n2z
                if min(e0, e1, e2) >= 0.0:
                    w = (e0 + e1 + e2) * inverse
                    if w > inverse_depth[s] and w <= greatest and w >= least:
                        face[s], inverse_depth[s] = f, w
                        weight[s, 0], weight[s, 1], weight[s, 2] = e0, e1, e2
    for s in range(first, after):
        if face[s] >= 0:
            share = 1.0 / (weight[s, 0] + weight[s, 1] + weight[s, 2])
            weight[s, 0], weight[s, 1], weight[s, 2] = weight[s, 0] * share, weight[s, 1] * share, weight[s, 2] * share
        else:
            weight[s, 0], weight[s, 1], weight[s, 2] = 0.0, 0.0, 0.0


@njit(error_model="numpy", cache=True)
def _clipped_box(ax, ay, az, bx, by, bz, cx, cy, cz, near):
    """Box around the projection of the part of a triangle that lies beyond z = near: (x0, x1, y0, y1)."""
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for k in range(3):
        if k == 0:
            px, py, pz, qx, qy, qz = ax, ay, az, bx, by, bz
        elif k == 1:
            px, py, pz, qx, qy, qz = bx, by, bz, cx, cy, cz
        else:
            px, py, pz, qx, qy, qz = cx, cy, cz, ax, ay, az
        if pz > near:
            x0, x1, y0, y1 = min(x0, px / pz), max(x1, px / pz), min(y0, py / pz), max(y1, py / pz)
        if (pz > near) != (qz > near):
            t = (near - pz) / (qz - pz)
            x, y = (px + t * (qx - px)) / near, (py + t * (qy - py)) / near
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
    return x0, x1, y0, y1


@njit(**EXACT)
def bin_points(points, columns, rows, origin, scale, first, start, order, ordered):
    """Sorts the points of one pose by the cells that hold them, by counting.

    Args:
        points: (N, 2).
        columns, rows, origin, scale: of the `Samples`.
        first: number of the first of these points among those of all poses.
        start: (cells + 1,) zeros; written.
        order: (N,) written: number, among all poses, of each point in the order of the cells.
        ordered: (N, 2) written: the points in that order.
    """
    cell = np.empty(len(points), np.int64)
    for i in range(len(points)):
        cell[i] = int((points[i, 1] - origin[1]) * scale[1]) * columns + int((points[i, 0] - origin[0]) * scale[0])
        start[cell[i] + 1] += 1
    start[0] = first
    for c in range(columns * rows):
        start[c + 1] += start[c]
    place = start[:-1].copy()
    for i in range(len(points)):
        at = place[cell[i]] - first
        place[cell[i]] += 1
        order[at] = first + i
        ordered[at, 0], ordered[at, 1] = points[i, 0], points[i, 1]
