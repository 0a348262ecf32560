"""`contour.pieces` of one pose, fused: contours are found, cut and measured edge by edge."""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math

import numpy as np
from numba import njit

from resect.scenes.mesh.kernel import EXACT, cell_of

INLINE = {"forceinline": True, "error_model": "numpy"}
MOST_CUTS = 30
"""Crossings of one piece within one pixel that are looked for."""


@njit(**EXACT)
def facing_signs(points, faces, sign):
    """Sign of det(pa, pb, pc) of each face into ``sign``."""
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        bx, by, bz = points[b, 0], points[b, 1], points[b, 2]
        cx, cy, cz = points[c, 0], points[c, 1], points[c, 2]
        det = points[a, 0] * (by * cz - bz * cy) + points[a, 1] * (bz * cx - bx * cz)
        det += points[a, 2] * (bx * cy - by * cx)
        sign[f] = 1 if det > 0.0 else (-1 if det < 0.0 else 0)


@njit(**EXACT)
def cut_edges(
    x, sign, edges, edge_faces, edge_sense, pinhole, near, part_px, most_parts, xy, start, columns, rows, origin,
    scale, slack, first, head, following, sample, line, ends, out_sample, out,
):  # fmt: skip
    """Pieces of the possible contours within the squares of pixels.

    Args:
        x: (V, 3) vertices in the camera's frame.
        sign: (F,) of `facing_signs`.
        edges, edge_faces, edge_sense: of the `Surface`.
        pinhole: fx, fy, cx, cy.
        near, part_px, most_parts: see `contour.pieces`.
        xy, start, columns, rows, origin, scale, slack: the `Samples`, `start` being this pose's.
        first: the first sample of this pose; ``head`` counts from it.
        head: (S,) −1 everywhere; written: last piece in each pixel.
        following, sample, line, ends: (N,), (N,), (N, 6), (N, 6) scratch: pieces before they are cut by each other;
            the one before in the same pixel, the pixel, begin and step of the edge's part, and p, q, t0, t1.
        out_sample, out: (N,), (N, 9) written: pixel; middle, normal, length, point, signed area.

    Returns:
        (pieces before, pieces after) being cut by each other; when one exceeds N nothing beyond N was written.
    """
    fx, fy, cx, cy = pinhole
    found = 0
    for e in range(len(edges)):
        f0, f1 = edge_faces[e, 0], edge_faces[e, 1]
        if f1 >= 0 and sign[f0] * sign[f1] * edge_sense[e] < 0:
            continue
        p, q = edges[e, 0], edges[e, 1]
        bx, by, bz, ex, ey, ez = x[p, 0], x[p, 1], x[p, 2], x[q, 0], x[q, 1], x[q, 2]
        if not (bz > near or ez > near):
            continue
        if bz <= near:
            t = (near - bz) / (ez - bz)
            bx, by, bz = bx + t * (ex - bx), by + t * (ey - by), near
        elif ez <= near:
            t = (near - bz) / (ez - bz)
            ex, ey, ez = bx + t * (ex - bx), by + t * (ey - by), near
        long = math.hypot(fx * (ex / ez - bx / bz), fy * (ey / ez - by / bz))
        if not long < 1e12:
            continue
        parts = min(max(math.ceil(long / part_px), 1), most_parts)
        sx, sy, sz = (ex - bx) / parts, (ey - by) / parts, (ez - bz) / parts
        for k in range(parts):
            ax, ay, az = bx + sx * k, by + sy * k, bz + sz * k
            u0, v0 = fx * ax / az + cx, fy * ay / az + cy
            u1, v1 = fx * (ax + sx) / (az + sz) + cx, fy * (ay + sy) / (az + sz) + cy
            column0 = max(cell_of((min(u0, u1) - 0.5 - origin[0]) * scale[0] + slack, columns), 0)
            column1 = min(cell_of((max(u0, u1) + 0.5 - origin[0]) * scale[0] - slack, columns), columns - 1)
            row0 = max(cell_of((min(v0, v1) - 0.5 - origin[1]) * scale[1] + slack, rows), 0)
            row1 = min(cell_of((max(v0, v1) + 0.5 - origin[1]) * scale[1] - slack, rows), rows - 1)
            if column0 > column1:
                continue
            du, dv = u1 - u0, v1 - v0
            for row in range(row0, row1 + 1):
                for s in range(start[row * columns + column0], start[row * columns + column1 + 1]):
                    gu, gv = u0 - xy[s, 0], v0 - xy[s, 1]
                    t0, t1 = _within(gu, du, 0.0, 1.0)
                    t0, t1 = _within(gv, dv, t0, t1)
                    if t1 > t0:
                        if found < len(sample):
                            sample[found], following[found], head[s - first] = s, head[s - first], found
                            line[found, 0], line[found, 1], line[found, 2] = ax, ay, az
                            line[found, 3], line[found, 4], line[found, 5] = sx, sy, sz
                            ends[found, 0], ends[found, 1] = gu + t0 * du, gv + t0 * dv
                            ends[found, 2], ends[found, 3] = gu + t1 * du, gv + t1 * dv
                            ends[found, 4], ends[found, 5] = t0, t1
                        found += 1
    if found > len(sample):
        return found, 0
    return found, _cut_by_each_other(found, first, head, following, sample, line, ends, xy, out_sample, out)


@njit(**INLINE)
def _within(start, along, t0, t1):
    """[t0, t1] cut to where start + t along lies in [−½, ½)."""
    if along == 0.0:
        return (t0, t1) if -0.5 <= start < 0.5 else (1.0, 0.0)
    one, two = (-0.5 - start) / along, (0.5 - start) / along
    return max(t0, min(one, two)), min(t1, max(one, two))


@njit(**EXACT)
def _cut_by_each_other(found, first, head, following, sample, line, ends, xy, out_sample, out):
    cuts = np.empty(MOST_CUTS + 2)
    many = 0
    for i in range(found):
        px, py, qx, qy = ends[i, 0], ends[i, 1], ends[i, 2], ends[i, 3]
        dx, dy = qx - px, qy - py
        cuts[0] = 0.0
        n = 1
        j = head[sample[i] - first]
        while j >= 0:
            if j != i and n <= MOST_CUTS:
                ex, ey = ends[j, 2] - ends[j, 0], ends[j, 3] - ends[j, 1]
                gx, gy = ends[j, 0] - px, ends[j, 1] - py
                det = dx * ey - dy * ex
                if det != 0.0:
                    t, u = (gx * ey - gy * ex) / det, (gx * dy - gy * dx) / det
                    if 1e-9 < t < 1 - 1e-9 and 1e-9 < u < 1 - 1e-9:
                        at = n
                        while cuts[at - 1] > t:
                            cuts[at] = cuts[at - 1]
                            at -= 1
                        cuts[at] = t
                        n += 1
            j = following[j]
        cuts[n] = 1.0
        for k in range(n):
            if many < len(out):
                s0, s1 = cuts[k], cuts[k + 1]
                out_sample[many] = sample[i]
                _measure(
                    px + s0 * dx, py + s0 * dy, px + s1 * dx, py + s1 * dy,
                    ends[i, 4] + 0.5 * (s0 + s1) * (ends[i, 5] - ends[i, 4]),
                    line[i], xy[sample[i], 0], xy[sample[i], 1], out[many],
                )  # fmt: skip
            many += 1
    return many


@njit(**INLINE)
def _measure(px, py, qx, qy, t, line, x, y, out):
    """Middle, normal, length, point and signed area of the piece from p to q, relative to the centre (x, y)."""
    mx, my = 0.5 * (px + qx), 0.5 * (py + qy)
    dx, dy = qx - px, qy - py
    length = math.hypot(dx, dy)
    inverse = 1 / max(length, 1e-300)
    nx, ny = -dy * inverse, dx * inverse
    z0, z1 = line[2], line[2] + line[5]
    along = t * z0 / (z1 + t * (z0 - z1))
    border = abs(_around(qx, qy) - _around(px, py))
    area = max(0.25 * min(border, 4 - border) - 0.5 * abs(px * qy - py * qx), 0.0)
    out[0], out[1], out[2], out[3], out[4] = mx + x, my + y, nx, ny, length
    out[5], out[6], out[7] = line[0] + along * line[3], line[1] + along * line[4], line[2] + along * line[5]
    out[8] = -area if nx * mx + ny * my > 0.0 else area


@njit(**INLINE)
def _around(x, y):
    """See `contour._around`."""
    if abs(x) >= abs(y):
        return (0.0 if x > 0.0 else 2.0) + (0.5 * y / x if x != 0.0 else 0.0)
    return (1.0 if y > 0.0 else 3.0) - 0.5 * x / y
