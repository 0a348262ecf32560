"""Rendering kernels of the voxel field: colour, opacity and depth of rays, and the exact Jacobian of the colour.

The Jacobian is carried along the march in forward mode: with optical depths tau_i and their gradients, transmittance
T_i = exp(-sum_{j<i} tau_j) has gradient -T_i S_i with S_i = sum_{j<i} grad tau_j, so two running 3-vectors (with
respect to the ray's origin, and the same weighted by distance for its direction) are all that is kept. The distances
of the samples are held fixed.
"""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math

import numpy as np
from numba import njit

from resect.scenes.field.arithmetic import HELPER, KERNEL, SH0, SH1, f32, fast_exp, i32, sigmoid, u64
from resect.scenes.field.marching import (
    contraction_bend,
    corner_voxels,
    corner_weights,
    first_distance,
    jump_length,
    visit,
)


@njit(**HELPER)
def _colour(colour, corner, weight, lanes, h1, h2, h3):
    """Colour at a sample, from the records at its corners and the three harmonics of degree 1."""
    v0, v1, v2, v3 = u64(corner[0]), u64(corner[1]), u64(corner[2]), u64(corner[3])
    v4, v5, v6, v7 = u64(corner[4]), u64(corner[5]), u64(corner[6]), u64(corner[7])
    w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
    w4, w5, w6, w7 = weight[4], weight[5], weight[6], weight[7]
    for c in range(16):
        lower = w0 * colour[v0, c] + w1 * colour[v1, c] + w2 * colour[v2, c] + w3 * colour[v3, c]
        upper = w4 * colour[v4, c] + w5 * colour[v5, c] + w6 * colour[v6, c] + w7 * colour[v7, c]
        lanes[c] = lower + upper
    r = sigmoid(SH0 * lanes[0] + h1 * lanes[4] + h2 * lanes[8] + h3 * lanes[12])
    g = sigmoid(SH0 * lanes[1] + h1 * lanes[5] + h2 * lanes[9] + h3 * lanes[13])
    b = sigmoid(SH0 * lanes[2] + h1 * lanes[6] + h2 * lanes[10] + h3 * lanes[14])
    return r, g, b


@njit(**KERNEL)
def render_rays(
    resolution, table, density, colour, march, background, origin, direction, first, last,
    rgb, alpha, expected, median,
):  # fmt: skip
    """Colour, opacity and two distances of rays ``first`` to ``last``.

    Args:
        resolution: voxels along an edge.
        table, density, colour: the grid's arrays.
        march: constants (a `March`).
        background: (3,) colour behind everything.
        origin, direction: (N, 3) rays in the local frame, unit directions.
        first, last: range of rays to do.
        rgb: (N, 3) written: colour.
        alpha: (N,) written: 1 - transmittance.
        expected: (N,) written: mean distance by weight; -1 without any sample.
        median: (N,) written: distance at which half of the light is gone; -1 if it never is.
    """
    corner = np.empty(8, np.uint32)
    weight = np.empty(8, np.float32)
    lanes = np.empty(16, np.float32)
    optical_step = march.voxels * f32(128) / f32(resolution)
    for ray in range(first, last):
        ox, oy, oz = origin[ray, 0], origin[ray, 1], origin[ray, 2]
        dx, dy, dz = direction[ray, 0], direction[ray, 1], direction[ray, 2]
        h1, h2, h3 = -SH1 * dy, SH1 * dz, -SH1 * dx
        red, green, blue, total, moment = f32(0), f32(0), f32(0), f32(0), f32(0)
        half = f32(-1)
        through = f32(1)
        t = first_distance(ox, oy, oz, dx, dy, dz, march.near, march.voxels, f32(0.5), resolution)
        while t < march.far and through > march.least_transmittance:
            x = ox + dx * t
            y = oy + dy * t
            z = oz + dz * t
            gx, gy, gz, entry, _, step, least_step = visit(table, resolution, x, y, z, dx, dy, dz)
            if entry < 0:
                t += jump_length(entry, step, least_step, march.voxels)
                continue
            if entry & 1 == 1:
                i, j, k = i32(gx), i32(gy), i32(gz)
                corner_voxels(table, resolution // 4, i, j, k, entry, corner, 0)
                corner_weights(gx - f32(i), gy - f32(j), gz - f32(k), weight, 0)
                log_density = f32(0)
                for a in range(8):
                    log_density += weight[a] * density[corner[a]]
                depth = fast_exp(min(log_density, f32(12))) * optical_step
                remains = through * fast_exp(-depth)
                w = through - remains
                if w > march.least_weight:
                    r, g, b = _colour(colour, corner, weight, lanes, h1, h2, h3)
                    red += w * r
                    green += w * g
                    blue += w * b
                    total += w
                    moment += w * t
                if remains <= f32(0.5) and through > f32(0.5):
                    half = t + step * march.voxels * (math.log(f32(2) * through) / depth - f32(0.5))
                through = remains
            t += step * march.voxels
        rgb[ray, 0] = red + through * background[0]
        rgb[ray, 1] = green + through * background[1]
        rgb[ray, 2] = blue + through * background[2]
        alpha[ray] = f32(1) - through
        expected[ray] = moment / total if total > f32(0) else f32(-1)
        median[ray] = half


@njit(**HELPER)
def _pulled_back(ax, ay, az, x, y, z, scale, bend):
    """A gradient with respect to grid coordinates, taken back to the world: (scale I + bend x x^T) a."""
    s = (ax * x + ay * y + az * z) * bend
    return scale * ax + s * x, scale * ay + s * y, scale * az + s * z


@njit(**HELPER)
def _cube_gradient(a000, a001, a010, a011, a100, a101, a110, a111, fx, fy, fz):
    """Value of a trilinear cube and its derivative with respect to the three fractions."""
    e00 = a001 - a000
    e01 = a011 - a010
    e10 = a101 - a100
    e11 = a111 - a110
    b00 = a000 + fz * e00
    b01 = a010 + fz * e01
    b10 = a100 + fz * e10
    b11 = a110 + fz * e11
    y0 = b01 - b00
    y1 = b11 - b10
    m0 = b00 + fy * y0
    m1 = b10 + fy * y1
    z0 = e00 + fy * (e01 - e00)
    z1 = e10 + fy * (e11 - e10)
    return m0 + fx * (m1 - m0), m1 - m0, y0 + fx * (y1 - y0), z0 + fx * (z1 - z0)


@njit(**KERNEL)
def render_jacobian(
    resolution, table, density, colour, march, background, origin, direction, first, last,
    rgb, d_origin, d_direction,
):  # fmt: skip
    """Colour of rays ``first`` to ``last`` and its exact derivatives with the sample distances held.

    Args: as ``render_rays``, but for the outputs
        rgb: (N, 3) written: colour, equal to that of ``render_rays``.
        d_origin: (N, 3, 3) written: d rgb_c / d origin_a at [c, a].
        d_direction: (N, 3, 3) written: d rgb_c / d direction_a at [c, a], the direction as a free vector.
    """
    corner = np.zeros(8, np.uint32)
    value = np.zeros(16, np.float32)
    along_x = np.zeros(16, np.float32)
    along_y = np.zeros(16, np.float32)
    along_z = np.zeros(16, np.float32)
    jo = np.zeros((3, 3), np.float32)
    jd = np.zeros((3, 3), np.float32)
    shade = np.zeros(3, np.float32)
    quarter = f32(0.25) * f32(resolution)
    optical_step = march.voxels * f32(128) / f32(resolution)
    for ray in range(first, last):
        ox, oy, oz = origin[ray, 0], origin[ray, 1], origin[ray, 2]
        dx, dy, dz = direction[ray, 0], direction[ray, 1], direction[ray, 2]
        h1, h2, h3 = -SH1 * dy, SH1 * dz, -SH1 * dx
        sx, sy, sz = f32(0), f32(0), f32(0)
        ux, uy, uz = f32(0), f32(0), f32(0)
        for c in range(3):
            shade[c] = f32(0)
            for a in range(3):
                jo[c, a] = f32(0)
                jd[c, a] = f32(0)
        through = f32(1)
        t = first_distance(ox, oy, oz, dx, dy, dz, march.near, march.voxels, f32(0.5), resolution)
        while t < march.far and through > march.least_transmittance:
            x = ox + dx * t
            y = oy + dy * t
            z = oz + dz * t
            gx, gy, gz, entry, scale, step, least_step = visit(table, resolution, x, y, z, dx, dy, dz)
            if entry < 0:
                t += jump_length(entry, step, least_step, march.voxels)
                continue
            if entry & 1 == 1:
                i, j, k = i32(gx), i32(gy), i32(gz)
                corner_voxels(table, resolution // 4, i, j, k, entry, corner, 0)
                fx = gx - f32(i)
                fy = gy - f32(j)
                fz = gz - f32(k)
                v0, v1, v2, v3 = u64(corner[0]), u64(corner[1]), u64(corner[2]), u64(corner[3])
                v4, v5, v6, v7 = u64(corner[4]), u64(corner[5]), u64(corner[6]), u64(corner[7])
                log_density, ax, ay, az = _cube_gradient(
                    density[v0], density[v1], density[v2], density[v3],
                    density[v4], density[v5], density[v6], density[v7], fx, fy, fz,
                )  # fmt: skip
                depth = fast_exp(min(log_density, f32(12))) * optical_step
                remains = through * fast_exp(-depth)
                w = through - remains
                bend = contraction_bend(x, y, z, quarter)
                slope = depth if log_density < f32(12) else f32(0)
                px, py, pz = _pulled_back(ax, ay, az, x, y, z, scale, bend)
                px *= slope
                py *= slope
                pz *= slope
                if w > march.least_weight:
                    for c in range(16):
                        value[c], along_x[c], along_y[c], along_z[c] = _cube_gradient(
                            colour[v0, c], colour[v1, c], colour[v2, c], colour[v3, c],
                            colour[v4, c], colour[v5, c], colour[v6, c], colour[v7, c], fx, fy, fz,
                        )  # fmt: skip
                    ex = remains * px - w * sx
                    ey = remains * py - w * sy
                    ez = remains * pz - w * sz
                    qx = remains * t * px - w * ux
                    qy = remains * t * py - w * uy
                    qz = remains * t * pz - w * uz
                    for c in range(3):
                        tone = sigmoid(SH0 * value[c] + h1 * value[4 + c] + h2 * value[8 + c] + h3 * value[12 + c])
                        shade[c] += w * tone
                        ax = SH0 * along_x[c] + h1 * along_x[4 + c] + h2 * along_x[8 + c] + h3 * along_x[12 + c]
                        ay = SH0 * along_y[c] + h1 * along_y[4 + c] + h2 * along_y[8 + c] + h3 * along_y[12 + c]
                        az = SH0 * along_z[c] + h1 * along_z[4 + c] + h2 * along_z[8 + c] + h3 * along_z[12 + c]
                        ax, ay, az = _pulled_back(ax, ay, az, x, y, z, scale, bend)
                        gain = w * tone * (f32(1) - tone)
                        ax *= gain
                        ay *= gain
                        az *= gain
                        jo[c, 0] += tone * ex + ax
                        jo[c, 1] += tone * ey + ay
                        jo[c, 2] += tone * ez + az
                        jd[c, 0] += tone * qx + t * ax - gain * SH1 * value[12 + c]
                        jd[c, 1] += tone * qy + t * ay - gain * SH1 * value[4 + c]
                        jd[c, 2] += tone * qz + t * az + gain * SH1 * value[8 + c]
                sx += px
                sy += py
                sz += pz
                ux += t * px
                uy += t * py
                uz += t * pz
                through = remains
            t += step * march.voxels
        for c in range(3):
            behind = through * background[c]
            rgb[ray, c] = shade[c] + behind
            d_origin[ray, c, 0] = jo[c, 0] - behind * sx
            d_origin[ray, c, 1] = jo[c, 1] - behind * sy
            d_origin[ray, c, 2] = jo[c, 2] - behind * sz
            d_direction[ray, c, 0] = jd[c, 0] - behind * ux
            d_direction[ray, c, 1] = jd[c, 1] - behind * uy
            d_direction[ray, c, 2] = jd[c, 2] - behind * uz
