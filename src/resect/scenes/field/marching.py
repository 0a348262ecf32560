"""How a ray walks through the blocked grid: inlined numba helpers shared by the training and rendering kernels."""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math

from numba import njit

from resect.scenes.field.arithmetic import HELPER, f32, i32, u32, u64


@njit(**HELPER)
def grid_scale(x, y, z, dx, dy, dz, quarter):
    """How a world point and direction map to the grid.

    The contraction is c(x) = x inside the unit ball and (2 - 1/|x|) x/|x| outside; grid coordinates are
    c R/4 + R/2 - 1/2, so that voxel centres are integers.

    Args:
        x, y, z: point in the local frame.
        dx, dy, dz: unit direction.
        quarter: R / 4, voxels per unit inside the ball.

    Returns:
        (scale, step, least_step): grid coordinates are ``scale * x + R/2 - 1/2``; ``step`` is the distance along
        the ray that moves by one voxel here; ``least_step`` bounds it from below everywhere ahead on the ray.
    """
    r2 = x * x + y * y + z * z
    if r2 < f32(1):
        step = f32(1) / quarter
        return quarter, step, step
    inverse = f32(1) / math.sqrt(r2)
    tangential = (f32(2) - inverse) * inverse
    radial = inverse * inverse
    along = (x * dx + y * dy + z * dz) * inverse
    along2 = min(along * along, f32(1))
    rate2 = tangential * tangential * (f32(1) - along2) + radial * radial * along2
    step = f32(1) / (quarter * math.sqrt(rate2))
    return quarter * tangential, step, step if along >= f32(0) else f32(1) / quarter


@njit(**HELPER)
def contraction_bend(x, y, z, quarter):
    """b in the Jacobian ``scale I + b x x^T`` of grid coordinates with respect to the point; 0 in the unit ball."""
    r2 = x * x + y * y + z * z
    inverse = f32(1) / math.sqrt(max(r2, f32(1)))
    bend = f32(2) * quarter * (inverse - f32(1)) * inverse * inverse * inverse
    return bend if r2 > f32(1) else f32(0)


@njit(**HELPER)
def jump_length(entry, step, least_step, voxels):
    """Distance along the ray that is certainly empty, from a negative table entry (minus the distance in cells).

    ``voxels`` is the marching step in voxels; the jump is never shorter than a step.
    """
    empty = f32(4) * (f32(-entry) - f32(1)) + f32(0.5)
    plain = step * voxels
    return max(plain, least_step * empty) if entry < -1 else plain


@njit(**HELPER)
def corner_voxels(table, cells, i, j, k, entry, corner, at):
    """Pool indices of the eight voxels around a sample, in the order (i, j, k) of binary digits.

    ``entry`` is the table's entry of the cell that holds voxel (i, j, k). A corner in a cell without a block gets
    voxel 0, which belongs to the empty dummy block.
    """
    li = i & i32(3)
    lj = j & i32(3)
    lk = k & i32(3)
    if li < 3 and lj < 3 and lk < 3:
        o = u32(entry >> 1) * u32(64) + u32(li * 16 + lj * 4 + lk)
        corner[at] = o
        corner[at + 1] = o + u32(1)
        corner[at + 2] = o + u32(4)
        corner[at + 3] = o + u32(5)
        corner[at + 4] = o + u32(16)
        corner[at + 5] = o + u32(17)
        corner[at + 6] = o + u32(20)
        corner[at + 7] = o + u32(21)
    else:
        for a in range(8):
            ii = i + i32(a >> 2)
            jj = j + i32((a >> 1) & 1)
            kk = k + i32(a & 1)
            e = table[u64(((ii >> 2) * cells + (jj >> 2)) * cells + (kk >> 2))]
            voxel = u32(e >> 1) * u32(64) + u32((ii & 3) * 16 + (jj & 3) * 4 + (kk & 3))
            corner[at + a] = voxel if e >= 0 else u32(0)


@njit(**HELPER)
def corner_weights(fx, fy, fz, weight, at):
    """The eight trilinear weights that belong to ``corner_voxels``, from the fractions inside the voxel cube."""
    gx = f32(1) - fx
    gy = f32(1) - fy
    gz = f32(1) - fz
    weight[at] = gx * gy * gz
    weight[at + 1] = gx * gy * fz
    weight[at + 2] = gx * fy * gz
    weight[at + 3] = gx * fy * fz
    weight[at + 4] = fx * gy * gz
    weight[at + 5] = fx * gy * fz
    weight[at + 6] = fx * fy * gz
    weight[at + 7] = fx * fy * fz


@njit(**HELPER)
def first_distance(ox, oy, oz, dx, dy, dz, near, voxels, offset, resolution):
    """Distance of a ray's first sample: ``offset`` of a step behind near."""
    quarter = f32(0.25) * f32(resolution)
    _, step, _ = grid_scale(ox + dx * near, oy + dy * near, oz + dz * near, dx, dy, dz, quarter)
    return near + step * voxels * offset


@njit(**HELPER)
def visit(table, resolution, x, y, z, dx, dy, dz):
    """What a ray finds at a point.

    Returns:
        (gx, gy, gz, entry, scale, step, least_step): grid coordinates, clamped into the grid; the table's entry of the
        cell; and what ``grid_scale`` says.
    """
    cells = resolution // 4
    middle = f32(0.5) * f32(resolution) - f32(0.5)
    highest = f32(resolution) - f32(1.001)
    scale, step, least_step = grid_scale(x, y, z, dx, dy, dz, f32(0.25) * f32(resolution))
    gx = min(max(x * scale + middle, f32(0)), highest)
    gy = min(max(y * scale + middle, f32(0)), highest)
    gz = min(max(z * scale + middle, f32(0)), highest)
    cell = ((i32(gx) >> 2) * cells + (i32(gy) >> 2)) * cells + (i32(gz) >> 2)
    return gx, gy, gz, table[u64(cell)], scale, step, least_step
