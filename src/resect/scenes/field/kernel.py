"""One training step of the voxel field on the CPU: march, composite, differentiate and scatter without any tensor
in between, then an RMSprop update of the voxels that were touched.

Every worker (thread) has its own gradient pool, marks and statistics, and workers share nothing that they write, so
that a step is deterministic for a given number of workers.

The loss of a ray is 1/2 |colour - target|^2 + weight * distortion; a *sum* over rays (the RMSprop epsilon depends on
it). The distortion loss is Barron et al., Mip-NeRF 360 (2022), eq. 15, on s = t / (1 + t), in O(n).
"""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math

import numpy as np
from numba import njit

from resect.scenes.field.arithmetic import KERNEL, SH0, SH1, f32, fast_exp, i32, sigmoid, u32, u64
from resect.scenes.field.marching import corner_voxels, corner_weights, grid_scale, jump_length
from resect.scenes.field.processor import lowest_bit, prefetch

MOST_SAMPLES = 320
"""Samples that a ray keeps at most; marching stops there."""


@njit(**KERNEL)
def accumulate(
    resolution, table, density, colour, march, distortion, origin, direction, target, background, start,
    first, last, gradient, marks, dirty, strongest, error,
):  # fmt: skip
    """Render rays ``first`` to ``last``, add the loss gradient into ``gradient`` and mark what was touched.

    Args:
        resolution: voxels along an edge.
        table, density, colour: the grid's arrays.
        march: constants (a `March`).
        distortion: weight of the distortion loss.
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
    cells = resolution // 4
    quarter = f32(0.25) * f32(resolution)
    middle = f32(0.5) * f32(resolution) - f32(0.5)
    highest = f32(resolution) - f32(1.001)
    optical_step = march.voxels * f32(128) / f32(resolution)
    dirty_count = 0
    kept = 0
    for ray in range(first, last):
        ox, oy, oz = origin[ray, 0], origin[ray, 1], origin[ray, 2]
        dx, dy, dz = direction[ray, 0], direction[ray, 1], direction[ray, 2]
        # march: density only
        through = f32(1)
        t = march.near
        scale, step, least_step = grid_scale(ox + dx * t, oy + dy * t, oz + dz * t, dx, dy, dz, quarter)
        t += step * march.voxels * start[ray]
        n = 0
        while t < march.far and through > march.least_transmittance and n < MOST_SAMPLES:
            x = ox + dx * t
            y = oy + dy * t
            z = oz + dz * t
            scale, step, least_step = grid_scale(x, y, z, dx, dy, dz, quarter)
            gx = min(max(x * scale + middle, f32(0)), highest)
            gy = min(max(y * scale + middle, f32(0)), highest)
            gz = min(max(z * scale + middle, f32(0)), highest)
            i = i32(gx)
            j = i32(gy)
            k = i32(gz)
            entry = table[u64(((i >> 2) * cells + (j >> 2)) * cells + (k >> 2))]
            if entry < 0:
                t += jump_length(entry, step, least_step, march.voxels)
                continue
            if entry & 1 == 1:
                at = n * 8
                corner_voxels(table, cells, i, j, k, entry, corner, at)
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
        kept += n
        # colour of the kept samples
        h1 = -SH1 * dy
        h2 = SH1 * dz
        h3 = -SH1 * dx
        red = through * background[ray, 0]
        green = through * background[ray, 1]
        blue = through * background[ray, 2]
        for m in range(n):
            at = m * 8
            v0, v1, v2, v3 = u64(corner[at]), u64(corner[at + 1]), u64(corner[at + 2]), u64(corner[at + 3])
            v4, v5, v6, v7 = u64(corner[at + 4]), u64(corner[at + 5]), u64(corner[at + 6]), u64(corner[at + 7])
            for a in range(8):
                prefetch(gradient, u64(corner[at + a]))
            w0, w1, w2, w3 = weight[at], weight[at + 1], weight[at + 2], weight[at + 3]
            w4, w5, w6, w7 = weight[at + 4], weight[at + 5], weight[at + 6], weight[at + 7]
            for c in range(16):
                push[c] = (
                    w0 * colour[v0, c]
                    + w1 * colour[v1, c]
                    + w2 * colour[v2, c]
                    + w3 * colour[v3, c]
                    + w4 * colour[v4, c]
                    + w5 * colour[v5, c]
                    + w6 * colour[v6, c]
                    + w7 * colour[v7, c]
                )
            r = SH0 * push[0] + h1 * push[4] + h2 * push[8] + h3 * push[12]
            g = SH0 * push[1] + h1 * push[5] + h2 * push[9] + h3 * push[13]
            b = SH0 * push[2] + h1 * push[6] + h2 * push[10] + h3 * push[14]
            r = sigmoid(r)
            g = sigmoid(g)
            b = sigmoid(b)
            seen[m * 4] = r
            seen[m * 4 + 1] = g
            seen[m * 4 + 2] = b
            red += share[m] * r
            green += share[m] * g
            blue += share[m] * b
        # loss and its derivative with respect to each weight
        e0 = red - target[ray, 0]
        e1 = green - target[ray, 1]
        e2 = blue - target[ray, 2]
        error[ray, 0] = e0
        error[ray, 1] = e1
        error[ray, 2] = e2
        for m in range(n):
            pull[m] = e0 * seen[m * 4] + e1 * seen[m * 4 + 1] + e2 * seen[m * 4 + 2]
        if distortion > f32(0):
            total = f32(0)
            total_s = f32(0)
            for m in range(n):
                total += share[m]
                total_s += share[m] * distance[m] / (f32(1) + distance[m])
            below = f32(0)
            below_s = f32(0)
            for m in range(n):
                far1 = f32(1) / (f32(1) + distance[m])
                s = distance[m] * far1
                w = share[m]
                left = s * below - below_s
                below += w
                below_s += w * s
                right = (total_s - below_s) - s * (total - below)
                width = length[m] * far1 * far1
                pull[m] += distortion * f32(2) * (left + right + w * width * f32(1 / 3))
        # backward, from the far end
        suffix = through * (e0 * background[ray, 0] + e1 * background[ray, 1] + e2 * background[ray, 2])
        for back in range(n):
            m = n - 1 - back
            w = share[m]
            d_density = (after[m] * pull[m] - suffix) * optical[m]
            suffix += w * pull[m]
            r = seen[m * 4]
            g = seen[m * 4 + 1]
            b = seen[m * 4 + 2]
            d0 = e0 * w * r * (f32(1) - r)
            d1 = e1 * w * g * (f32(1) - g)
            d2 = e2 * w * b * (f32(1) - b)
            push[0] = d0 * SH0
            push[1] = d1 * SH0
            push[2] = d2 * SH0
            push[3] = d_density
            push[4] = d0 * h1
            push[5] = d1 * h1
            push[6] = d2 * h1
            push[8] = d0 * h2
            push[9] = d1 * h2
            push[10] = d2 * h2
            push[7] = f32(0)
            push[11] = f32(0)
            push[15] = f32(0)
            push[12] = d0 * h3
            push[13] = d1 * h3
            push[14] = d2 * h3
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
    return dirty_count, kept


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
    fresh = f32(1) - decay
    total = np.zeros(16, np.float32)
    rate = np.full(16, rate_colour, np.float32)
    rate[3] = rate_density
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
                for c in range(16):
                    total[c] = f32(0)
                for other in range(workers):
                    if (marks[other, block] >> local) & u64(1) == u64(1):
                        for c in range(16):
                            total[c] += gradients[other, v, c]
                            gradients[other, v, c] = f32(0)
                if block == u64(0):
                    continue
                g2 = f32(0)
                for c in range(16):
                    g2 += total[c] * total[c]
                gd = total[3]
                g2 = (g2 - gd * gd) * f32(1 / 12)
                sd = mean_square[v, 0] * decay + fresh * gd * gd
                sc = mean_square[v, 1] * decay + fresh * g2
                mean_square[v, 0] = sd
                mean_square[v, 1] = sc
                fc = rate_colour / (math.sqrt(sc) + eps)
                for c in range(16):
                    total[c] *= fc
                total[3] = gd * rate_density / (math.sqrt(sd) + eps)
                density[v] -= total[3]
                total[3] = f32(0)
                for c in range(16):
                    colour[v, c] -= total[c]
            for other in range(workers):
                marks[other, block] = u64(0)
