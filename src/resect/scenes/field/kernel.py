"""One training step of the voxel field on the CPU: march, composite, differentiate and scatter without any tensor
in between, then an RMSprop update of the voxels that were touched.

Every worker (thread) has its own gradient pool, marks and statistics, and workers share nothing that they write, so
that a step is deterministic for a given number of workers.

Gradients of samples near the camera fade with the square of their distance (Philip & Deschaintre, Floaters No More,
EGSR 2023), because near voxels are seen by more rays of fewer photos: without it captures that look outwards fill the
space before the cameras with fog.

The loss of a ray is 1/2 |colour - target|^2 + weight * distortion; a *sum* over rays (the RMSprop epsilon depends on
it). The distortion loss is Barron et al., Mip-NeRF 360 (2022), eq. 15, on s = t / (1 + t), in O(n).
"""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math

import numpy as np
from numba import njit

from resect.scenes.field.arithmetic import HELPER, KERNEL, SH0, SH1, f32, fast_exp, i32, sigmoid, u32, u64
from resect.scenes.field.marching import corner_voxels, corner_weights, first_distance, jump_length, visit
from resect.scenes.field.processor import lowest_bit, prefetch

MOST_SAMPLES = 320
"""Samples that a ray keeps at most; marching stops there."""


@njit(**HELPER)
def _march(
    resolution, table, density, colour, march, ox, oy, oz, dx, dy, dz, offset,
    corner, weight, optical, share, after, distance, length, strongest,
):  # fmt: skip
    """Walks a ray, reading densities only, and notes the samples that are kept.

    Returns:
        (number of kept samples, transmittance left).
    """
    optical_step = march.voxels * f32(128) / f32(resolution)
    through = f32(1)
    t = first_distance(ox, oy, oz, dx, dy, dz, march.near, march.voxels, offset, resolution)
    n = 0
    while t < march.far and through > march.least_transmittance and n < MOST_SAMPLES:
        gx, gy, gz, entry, _, step, least_step = visit(
            table, resolution, ox + dx * t, oy + dy * t, oz + dz * t, dx, dy, dz
        )
        if entry < 0:
            t += jump_length(entry, step, least_step, march.voxels)
            continue
        if entry & 1 == 1:
            at = n * 8
            i, j, k = i32(gx), i32(gy), i32(gz)
            corner_voxels(table, resolution // 4, i, j, k, entry, corner, at)
            corner_weights(gx - f32(i), gy - f32(j), gz - f32(k), weight, at)
            log_density = f32(0)
            for a in range(8):
                log_density += weight[at + a] * density[corner[at + a]]
            depth = fast_exp(min(log_density, f32(12))) * optical_step
            remains = through * fast_exp(-depth)
            w = through - remains
            through = remains
            if w > march.least_weight:
                optical[n] = depth
                share[n] = w
                after[n] = remains
                distance[n] = t
                length[n] = step * march.voxels
                n += 1
                for a in range(8):
                    prefetch(colour, u64(corner[at + a]))
                strongest[entry >> 1] = max(strongest[entry >> 1], w)
        t += step * march.voxels
    return n, through


@njit(**HELPER)
def _shade(n, corner, weight, share, colour, gradient, h1, h2, h3, seen, lanes):
    """Colours of the kept samples into ``seen`` (4 a sample); returns their sum by weight (red, green, blue)."""
    red, green, blue = f32(0), f32(0), f32(0)
    for m in range(n):
        at = m * 8
        for a in range(8):
            prefetch(gradient, u64(corner[at + a]))
        v0, v1, v2, v3 = u64(corner[at]), u64(corner[at + 1]), u64(corner[at + 2]), u64(corner[at + 3])
        v4, v5, v6, v7 = u64(corner[at + 4]), u64(corner[at + 5]), u64(corner[at + 6]), u64(corner[at + 7])
        w0, w1, w2, w3 = weight[at], weight[at + 1], weight[at + 2], weight[at + 3]
        w4, w5, w6, w7 = weight[at + 4], weight[at + 5], weight[at + 6], weight[at + 7]
        for c in range(16):
            lower = w0 * colour[v0, c] + w1 * colour[v1, c] + w2 * colour[v2, c] + w3 * colour[v3, c]
            upper = w4 * colour[v4, c] + w5 * colour[v5, c] + w6 * colour[v6, c] + w7 * colour[v7, c]
            lanes[c] = lower + upper
        r = sigmoid(SH0 * lanes[0] + h1 * lanes[4] + h2 * lanes[8] + h3 * lanes[12])
        g = sigmoid(SH0 * lanes[1] + h1 * lanes[5] + h2 * lanes[9] + h3 * lanes[13])
        b = sigmoid(SH0 * lanes[2] + h1 * lanes[6] + h2 * lanes[10] + h3 * lanes[14])
        seen[m * 4], seen[m * 4 + 1], seen[m * 4 + 2] = r, g, b
        red += share[m] * r
        green += share[m] * g
        blue += share[m] * b
    return red, green, blue


@njit(**HELPER)
def _add_distortion(n, share, distance, length, factor, pull):
    """Adds the derivative of the distortion loss with respect to each weight."""
    total, total_s = f32(0), f32(0)
    for m in range(n):
        total += share[m]
        total_s += share[m] * distance[m] / (f32(1) + distance[m])
    below, below_s = f32(0), f32(0)
    for m in range(n):
        nearness = f32(1) / (f32(1) + distance[m])
        s = distance[m] * nearness
        w = share[m]
        left = s * below - below_s
        below += w
        below_s += w * s
        right = (total_s - below_s) - s * (total - below)
        width = length[m] * nearness * nearness
        pull[m] += factor * f32(2) * (left + right + w * width * f32(1 / 3))


@njit(**HELPER)
def _scatter(m, corner, weight, push, gradient, marks, dirty, dirty_count):
    """Adds a sample's gradient record to its eight voxels; returns the number of dirty blocks."""
    for a in range(8):
        v = u64(corner[m * 8 + a])
        w = weight[m * 8 + a]
        block = v >> u64(6)
        mark = marks[block]
        if mark == u64(0):
            dirty[dirty_count] = u32(block)
            dirty_count += 1
        marks[block] = mark | (u64(1) << (v & u64(63)))
        for c in range(16):
            gradient[v, c] += w * push[c]
    return dirty_count


@njit(**HELPER)
def _fill_push(push, d_red, d_green, d_blue, d_density, h1, h2, h3):
    """The gradient record of a sample: colour in four harmonics, log-density in slot 3."""
    push[0], push[1], push[2], push[3] = d_red * SH0, d_green * SH0, d_blue * SH0, d_density
    push[4], push[5], push[6], push[7] = d_red * h1, d_green * h1, d_blue * h1, f32(0)
    push[8], push[9], push[10], push[11] = d_red * h2, d_green * h2, d_blue * h2, f32(0)
    push[12], push[13], push[14], push[15] = d_red * h3, d_green * h3, d_blue * h3, f32(0)


@njit(**KERNEL)
def accumulate(
    resolution, table, density, colour, march, distortion, fade_distance, origin, direction, target, background, start,
    first, last, gradient, marks, dirty, strongest, error,
):  # fmt: skip
    """Renders rays ``first`` to ``last``, adds the loss gradient into ``gradient`` and marks what was touched.

    Args:
        resolution: voxels along an edge.
        table, density, colour: the grid's arrays.
        march: constants (a `March`).
        distortion: weight of the distortion loss.
        fade_distance: gradients of samples nearer than this fade with the square of the distance.
        origin, direction: (N, 3) rays in the local frame, unit directions.
        target, background: (N, 3) colours of the photos and of what is behind everything.
        start: (N,) offset of the first sample in steps, in [0, 1).
        first, last: range of rays of this worker.
        gradient: (blocks * 64, 16) written: colour as in the records, log-density in slot 3.
        marks: (blocks,) one bit per touched voxel.
        dirty: (blocks,) written: the blocks with a mark.
        strongest: (blocks,) largest weight of a kept sample in the block's cell so far.
        error: (N, 3) written: rendered colour - target.

    Returns:
        (dirty blocks, kept samples of all rays).
    """
    corner = np.empty(MOST_SAMPLES * 8, np.uint32)
    weight = np.empty(MOST_SAMPLES * 8, np.float32)
    optical = np.empty(MOST_SAMPLES, np.float32)
    share = np.empty(MOST_SAMPLES, np.float32)
    after = np.empty(MOST_SAMPLES, np.float32)
    distance = np.empty(MOST_SAMPLES, np.float32)
    length = np.empty(MOST_SAMPLES, np.float32)
    seen = np.empty(MOST_SAMPLES * 4, np.float32)
    pull = np.empty(MOST_SAMPLES, np.float32)
    push = np.zeros(16, np.float32)
    per_fade = f32(1) / max(fade_distance, f32(1e-6))
    dirty_count, kept = 0, 0
    for ray in range(first, last):
        dx, dy, dz = direction[ray, 0], direction[ray, 1], direction[ray, 2]
        h1, h2, h3 = -SH1 * dy, SH1 * dz, -SH1 * dx
        n, through = _march(
            resolution, table, density, colour, march, origin[ray, 0], origin[ray, 1], origin[ray, 2], dx, dy, dz,
            start[ray], corner, weight, optical, share, after, distance, length, strongest,
        )  # fmt: skip
        kept += n
        red, green, blue = _shade(n, corner, weight, share, colour, gradient, h1, h2, h3, seen, push)
        e0 = red + through * background[ray, 0] - target[ray, 0]
        e1 = green + through * background[ray, 1] - target[ray, 1]
        e2 = blue + through * background[ray, 2] - target[ray, 2]
        error[ray, 0], error[ray, 1], error[ray, 2] = e0, e1, e2
        for m in range(n):
            pull[m] = e0 * seen[m * 4] + e1 * seen[m * 4 + 1] + e2 * seen[m * 4 + 2]
        if distortion > f32(0):
            _add_distortion(n, share, distance, length, distortion, pull)
        # from the far end: what lies behind a sample pulls on it through transmittance
        behind = through * (e0 * background[ray, 0] + e1 * background[ray, 1] + e2 * background[ray, 2])
        for back in range(n):
            m = n - 1 - back
            w = share[m]
            nearness = min(f32(1), distance[m] * per_fade)
            fade = nearness * nearness
            d_density = fade * (after[m] * pull[m] - behind) * optical[m]
            behind += w * pull[m]
            w *= fade
            r, g, b = seen[m * 4], seen[m * 4 + 1], seen[m * 4 + 2]
            _fill_push(
                push, e0 * w * r * (f32(1) - r), e1 * w * g * (f32(1) - g), e2 * w * b * (f32(1) - b), d_density,
                h1, h2, h3,
            )  # fmt: skip
            dirty_count = _scatter(m, corner, weight, push, gradient, marks, dirty, dirty_count)
    return dirty_count, kept


@njit(**HELPER)
def _take_gradient(workers, gradients, marks, block, local, v, total):
    """Moves a voxel's gradient from all workers' pools into ``total``."""
    for c in range(16):
        total[c] = f32(0)
    for other in range(workers):
        if (marks[other, block] >> local) & u64(1) == u64(1):
            for c in range(16):
                total[c] += gradients[other, v, c]
                gradients[other, v, c] = f32(0)


@njit(**HELPER)
def _descend(density, colour, mean_square, v, total, rate_density, rate_colour, decay, eps):
    """RMSprop on one voxel; its twelve colour numbers share one running square."""
    fresh = f32(1) - decay
    d_density = total[3]
    total[3] = f32(0)
    colour_square = f32(0)
    for c in range(16):
        colour_square += total[c] * total[c]
    of_density = mean_square[v, 0] * decay + fresh * d_density * d_density
    of_colour = mean_square[v, 1] * decay + fresh * colour_square * f32(1 / 12)
    mean_square[v, 0] = of_density
    mean_square[v, 1] = of_colour
    density[v] -= rate_density * d_density / (math.sqrt(of_density) + eps)
    step = rate_colour / (math.sqrt(of_colour) + eps)
    for c in range(16):
        colour[v, c] -= step * total[c]


@njit(**KERNEL)
def update(
    density, colour, mean_square, gradients, marks, dirty, dirty_counts, worker, rate_density, rate_colour, decay, eps
):
    """RMSprop on the touched voxels of the blocks whose number is ``worker`` modulo the number of workers.

    The averages of squared gradients decay only when a voxel is touched. Gradients and marks are zeroed.

    Args:
        density, colour: the grid's arrays, updated.
        mean_square: (blocks * 64, 2) averages, of the log-density's and of the colour's.
        gradients: (workers, blocks * 64, 16).
        marks: (workers, blocks).
        dirty: (workers, blocks) with ``dirty_counts`` (workers,) entries each.
        worker: which share of the blocks to do.
        rate_density, rate_colour: learning rates.
        decay: of the averages.
        eps: added to the root.
    """
    workers = len(dirty_counts)
    total = np.zeros(16, np.float32)
    for owner in range(workers):
        for d in range(dirty_counts[owner]):
            block = u64(dirty[owner, d])
            if block % u64(workers) != u64(worker):
                continue
            mask = u64(0)
            for other in range(workers):
                mask |= marks[other, block]
            ahead = mask
            while ahead != u64(0):
                v = block * u64(64) + lowest_bit(ahead)
                ahead &= ahead - u64(1)
                prefetch(colour, v)
                prefetch(mean_square, v)
                for other in range(workers):
                    prefetch(gradients[other], v)
            while mask != u64(0):
                local = lowest_bit(mask)
                mask &= mask - u64(1)
                v = block * u64(64) + local
                _take_gradient(workers, gradients, marks, block, local, v, total)
                if block != u64(0):
                    _descend(density, colour, mean_square, v, total, rate_density, rate_colour, decay, eps)
            for other in range(workers):
                marks[other, block] = u64(0)
