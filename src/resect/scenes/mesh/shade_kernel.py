"""`shade.shade` of colour without light, of one pose, fused; the arithmetic is explained there and in `texture.py`."""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math

import numpy as np
from numba import njit

FAST = {"nogil": True, "fastmath": {"contract", "reassoc", "arcp", "nsz"}, "error_model": "numpy", "cache": True}
INLINE = {"forceinline": True, "fastmath": {"contract", "reassoc", "arcp", "nsz"}, "error_model": "numpy"}


@njit(**FAST)
def shade_pose(
    face, weight, inverse_depth, plane, pinhole, rotation, colors, slope, normal, uv, texture, density, texels, first,
    size, background, value, columns,
):  # fmt: skip
    """Colours and their six derivatives.

    Args:
        face, weight, inverse_depth: (N,), (N, 3), (N,) the hits.
        plane: (N, 2) where the rays meet the pinhole plane.
        pinhole: fx, fy, cx, cy.
        rotation: (3, 3) of cam_from_world.
        colors, slope, normal, uv, texture, density: of the `Surface`; ``uv`` empty without textures.
        texels, first, size: of the `Atlas`.
        background: (3,).
        value: (N, 3) written.
        columns: (N, 3, 6) written; empty when they are not wanted.
    """
    fx, fy, cx, cy = pinhole
    differentiate = len(columns) > 0
    gradient, column = np.empty((3, 3)), np.empty(3)
    for s in range(len(face)):
        f = face[s]
        if f < 0:
            for k in range(3):
                value[s, k] = background[k]
                for a in range(6 if differentiate else 0):
                    columns[s, k, a] = 0.0
            continue
        z = 1.0 / inverse_depth[s]
        rx, ry = (plane[s, 0] - cx) / fx, (plane[s, 1] - cy) / fy
        for k in range(3):
            column[k] = weight[s, 0] * colors[f, 0, k] + weight[s, 1] * colors[f, 1, k] + weight[s, 2] * colors[f, 2, k]
            for a in range(3 if differentiate else 0):
                gradient[k, a] = (
                    colors[f, 0, k] * slope[f, 0, a]
                    + colors[f, 1, k] * slope[f, 1, a]
                    + colors[f, 2, k] * slope[f, 2, a]
                )
        nx, ny, nz = normal[f, 0], normal[f, 1], normal[f, 2]
        dx = rotation[0, 0] * rx + rotation[1, 0] * ry + rotation[2, 0]
        dy = rotation[0, 1] * rx + rotation[1, 1] * ry + rotation[2, 1]
        dz = rotation[0, 2] * rx + rotation[1, 2] * ry + rotation[2, 2]
        cosine = nx * dx + ny * dy + nz * dz
        if len(uv) > 0 and texture[f] >= 0:
            sees = z * z / (fx * fy * max(abs(cosine), 1e-6)) * density[f]
            level = min(max(0.5 * math.log2(max(sees, 1e-12)), 0.0), first.shape[1] - 1.0)
            _textured(f, weight[s], slope, uv, texture[f], level, texels, first, size, differentiate, column, gradient)
        for k in range(3):
            value[s, k] = column[k]
        if not differentiate:
            continue
        if abs(cosine) < 1e-9:
            cosine = 1e-9
        x, y = rx * z, ry * z
        for k in range(3):
            gx, gy, gz = gradient[k, 0], gradient[k, 1], gradient[k, 2]
            along = (gx * dx + gy * dy + gz * dz) / cosine
            qx, qy, qz = nx * along - gx, ny * along - gy, nz * along - gz
            u = rotation[0, 0] * qx + rotation[0, 1] * qy + rotation[0, 2] * qz
            v = rotation[1, 0] * qx + rotation[1, 1] * qy + rotation[1, 2] * qz
            w = rotation[2, 0] * qx + rotation[2, 1] * qy + rotation[2, 2] * qz
            columns[s, k, 0], columns[s, k, 1], columns[s, k, 2] = u, v, w
            columns[s, k, 3], columns[s, k, 4], columns[s, k, 5] = y * w - z * v, z * u - x * w, x * v - y * u


@njit(**INLINE)
def _textured(f, weight, slope, uv, texture, level, texels, first, size, differentiate, column, gradient):
    """Multiplies the colour by the texture, and its gradient along the surface by the product rule."""
    u = weight[0] * uv[f, 0, 0] + weight[1] * uv[f, 1, 0] + weight[2] * uv[f, 2, 0]
    v = weight[0] * uv[f, 0, 1] + weight[1] * uv[f, 1, 1] + weight[2] * uv[f, 2, 1]
    fine = int(level)
    part = level - fine
    coarse = min(fine + 1, first.shape[1] - 1)
    for k in range(3):
        c, by_u, by_v = _bilinear(texels, first[texture, fine], size[texture, fine], u, v, k)
        if part > 0:
            c1, by_u1, by_v1 = _bilinear(texels, first[texture, coarse], size[texture, coarse], u, v, k)
            c, by_u, by_v = c + part * (c1 - c), by_u + part * (by_u1 - by_u), by_v + part * (by_v1 - by_v)
        for a in range(3 if differentiate else 0):
            along_u = uv[f, 0, 0] * slope[f, 0, a] + uv[f, 1, 0] * slope[f, 1, a] + uv[f, 2, 0] * slope[f, 2, a]
            along_v = uv[f, 0, 1] * slope[f, 0, a] + uv[f, 1, 1] * slope[f, 1, a] + uv[f, 2, 1] * slope[f, 2, a]
            gradient[k, a] = c * gradient[k, a] + column[k] * (by_u * along_u + by_v * along_v)
        column[k] *= c


@njit(**INLINE)
def _bilinear(texels, first, size, u, v, k):
    """One component of a level, and its derivatives by u and v."""
    width, height = size[0], size[1]
    x, y = u * width - 0.5, v * height - 0.5
    i, j = math.floor(x), math.floor(y)
    x, y = x - i, y - j
    i0, j0, i1, j1 = i % width, j % height, (i + 1) % width, (j + 1) % height
    a, b = texels[first + j0 * width + i0, k], texels[first + j0 * width + i1, k]
    c, d = texels[first + j1 * width + i0, k], texels[first + j1 * width + i1, k]
    above, below = a + x * (b - a), c + x * (d - c)
    return above + y * (below - above), ((b - a) + y * ((d - c) - (b - a))) * width, (below - above) * height
