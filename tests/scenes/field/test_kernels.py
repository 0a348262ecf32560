"""The numba kernels against plain PyTorch in float64: colours, depths, Jacobians, training gradients."""

import numpy as np
import pytest
import torch
from tests.scenes.field.conftest import march, rays, smooth_grid

from resect.scenes.field import reference
from resect.scenes.field.eager import EagerBackend
from resect.scenes.field.grid import BLOCK, Grid, March, full_grid, make_table
from resect.scenes.field.trainer import Loss, Rates, TrainState
from resect.scenes.pixels import Batch

pytest.importorskip("numba")
from resect.scenes.field import rendering
from resect.scenes.field.fused import FusedBackend

LOSS = Loss(np.float32(0.05), np.float32(2.0))
BEHIND = np.array([0.2, 0.5, 0.9], np.float32)


def both(grid: Grid, m: March, o: np.ndarray, d: np.ndarray) -> tuple[list[torch.Tensor], reference.Shaded]:
    ours = rendering.colours(grid, m, BEHIND, torch.from_numpy(o), torch.from_numpy(d))
    voxels = reference.Voxels.of(grid, dtype=torch.float64)
    theirs = reference.render_rays(
        voxels, torch.from_numpy(o).double(), torch.from_numpy(d).double(), m, torch.from_numpy(BEHIND).double()
    )
    return list(ours), theirs


@pytest.mark.parametrize("voxels", [1.0, 2.0])
@pytest.mark.parametrize("radius", [0.8, 3.0])
def test_render_equals_the_reference(voxels: float, radius: float) -> None:
    o, d = rays(300, radius=radius)
    (rgb, alpha, mean, median), theirs = both(smooth_grid(), march(voxels=voxels), o, d)
    torch.testing.assert_close(rgb.double(), theirs.rgb, atol=2e-5, rtol=0)
    torch.testing.assert_close(alpha.double(), theirs.alpha, atol=2e-5, rtol=0)
    torch.testing.assert_close(mean.double(), theirs.expected, atol=1e-3, rtol=1e-3)
    hit = theirs.median > 0
    assert hit.float().mean() > 0.3
    torch.testing.assert_close(median.double()[hit], theirs.median[hit], atol=1e-3, rtol=1e-3)
    assert torch.equal(median > 0, hit)


def test_render_equals_the_reference_on_sparse_grids() -> None:
    """Where cells are empty a rounding may move the first sample behind a jump, so only nearly all rays agree."""
    occupied = np.random.default_rng(3).random((8, 8, 8)) < 0.15
    (rgb, *_), theirs = both(smooth_grid(occupied=occupied), march(), *rays(400, radius=3.0))
    error = (rgb.double() - theirs.rgb).abs().amax(1)
    assert (error < 1e-4).double().mean() > 0.98


@pytest.mark.parametrize("radius", [0.8, 4.0])
def test_jacobian_equals_the_reference(radius: float) -> None:
    o, d = rays(200, radius=radius)
    grid, m = smooth_grid(), march()
    rgb, by_origin, by_direction = rendering.colours_with_jacobian(
        grid, m, BEHIND, torch.from_numpy(o), torch.from_numpy(d)
    )
    voxels = reference.Voxels.of(grid, dtype=torch.float64)
    exact = reference.ray_jacobian(
        voxels, torch.from_numpy(o).double(), torch.from_numpy(d).double(), m, torch.from_numpy(BEHIND)
    )
    torch.testing.assert_close(rgb.double(), exact[0], atol=2e-5, rtol=0)
    for ours, theirs in ((by_origin, exact[1]), (by_direction, exact[2])):
        assert (ours.double() - theirs).norm() < 1e-3 * theirs.norm()


@pytest.mark.parametrize("radius", [0.8, 4.0])
def test_reference_jacobian_equals_finite_differences(radius: float) -> None:
    """Central differences in float64 with the sample distances held."""
    voxels = reference.Voxels.of(smooth_grid(), dtype=torch.float64)
    o, d = (torch.from_numpy(x).double() for x in rays(60, radius=radius))
    m, behind = march(), torch.from_numpy(BEHIND).double()
    samples = reference.sample_distances(voxels, o, d, m, torch.full_like(o[:, 0], 0.5))

    def colour(origin: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return reference.shade(voxels, origin, direction, m, behind[None], samples).rgb

    _, by_origin, by_direction = reference.ray_jacobian(voxels, o, d, m, behind)
    h = 1e-6
    for axis in range(3):
        e = torch.zeros(3, dtype=torch.float64)
        e[axis] = h
        numeric = (colour(o + e, d) - colour(o - e, d)) / (2 * h)
        steady = ((numeric - by_origin[..., axis]).abs().amax(1) < 1e-4).double().mean()
        assert steady > 0.9  # the others have a sample on a face of a voxel cube or at a threshold
        numeric = (colour(o, d + e) - colour(o, d - e)) / (2 * h)
        assert ((numeric - by_direction[..., axis]).abs().amax(1) < 1e-3).double().mean() > 0.9


def test_render_and_jacobian_agree_bit_for_bit_in_colour() -> None:
    o, d = (torch.from_numpy(x) for x in rays(300))
    grid, m = smooth_grid(), march()
    plain = rendering.colours(grid, m, BEHIND, o, d)[0]
    torch.testing.assert_close(rendering.colours_with_jacobian(grid, m, BEHIND, o, d)[0], plain, atol=1e-6, rtol=0)


def opaque_shell(resolution: int = 64) -> Grid:
    """One opaque cell-thick shell around the middle, everything else removed."""
    cells = resolution // 4
    middle = np.stack(np.meshgrid(*[np.arange(cells) + 0.5 - cells / 2] * 3, indexing="ij"), -1)
    occupied = np.abs(np.linalg.norm(middle, axis=-1) - 2.5) < 0.9
    table, blocks = make_table(occupied)
    density = np.full(blocks * BLOCK, 9.0, np.float32)
    density[:BLOCK] = -12
    return Grid(resolution, table, density, np.zeros((blocks * BLOCK, 16), np.float32))


@pytest.mark.parametrize("distance", [1.5, 2.5, 8.0, 35.0])
def test_jumps_from_outside_never_leap_over_a_surface(distance: float) -> None:
    """A jump measured at the local scale of contracted space would pass through the shell."""
    rng = np.random.default_rng(0)
    towards = rng.normal(size=(500, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    side = np.cross(towards, rng.normal(size=(500, 3)))
    origin = distance * towards + 0.2 * side / np.linalg.norm(side, axis=1, keepdims=True)
    o, d = torch.from_numpy(origin.astype(np.float32)), torch.from_numpy(-towards.astype(np.float32))
    alpha = rendering.colours(opaque_shell(), march(far=60.0), BEHIND, o, d)[1]
    assert (alpha > 0.99).all()


def batch_of(count: int, seed: int = 0) -> tuple[Batch, np.ndarray]:
    o, d = rays(count, seed, radius=2.5)
    rng = np.random.default_rng(seed + 1)
    target, behind = (rng.random((count, 3), dtype=np.float32) for _ in range(2))
    return Batch(o, d, target, None, np.zeros(count, np.int64), rng.random(count, dtype=np.float32)), behind


def state_of(grid: Grid) -> TrainState:
    copy = Grid(grid.resolution, grid.table.copy(), grid.density.copy(), grid.colour.copy())
    squares = np.zeros((len(grid.density), 2), np.float32)
    return TrainState(copy, squares, np.zeros(grid.blocks, np.float32), np.zeros((1, 3), np.float32), 0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("distortion", [0.0, 0.3])
def test_a_training_step_equals_autograd(threads: int, distortion: float) -> None:
    """The same error, squares of gradients, strongest weights and new voxels, within float32."""
    batch, behind = batch_of(200)
    rates = Rates(*(np.float32(x) for x in (0.1, 0.1, 0.9, 0.05)))
    states = []
    for backend in (FusedBackend(threads), EagerBackend()):
        state = state_of(smooth_grid(16))
        error = backend.step(state, batch, behind, march(), Loss(np.float32(distortion), np.float32(1.5)), rates)
        backend.gather(state)
        states.append((state, error))
    (ours, our_error), (theirs, their_error) = states
    np.testing.assert_allclose(our_error, their_error, atol=2e-5)
    np.testing.assert_allclose(ours.strongest, theirs.strongest, atol=2e-5)
    for a, b, start in (
        (ours.grid.density, theirs.grid.density, smooth_grid(16).density),
        (ours.grid.colour, theirs.grid.colour, smooth_grid(16).colour),
    ):
        moved = np.linalg.norm(b - start)
        assert moved > 1e-3
        assert np.linalg.norm(a - b) < 5e-4 * moved


def test_steps_are_deterministic_for_a_number_of_threads() -> None:
    batch, behind = batch_of(500)
    rates = Rates(*(np.float32(x) for x in (0.2, 0.2, 0.95, 1e-4)))
    for threads in (1, 2):
        results = []
        for _ in range(2):
            backend, state = FusedBackend(threads), state_of(smooth_grid(16))
            for _ in range(3):
                backend.step(state, batch, behind, march(), LOSS, rates)
            results.append(state.grid)
        assert np.array_equal(results[0].density, results[1].density)
        assert np.array_equal(results[0].colour, results[1].colour)


def test_the_dummy_block_never_changes() -> None:
    occupied = np.random.default_rng(0).random((4, 4, 4)) < 0.4
    batch, behind = batch_of(300)
    state = state_of(smooth_grid(16, occupied=occupied))
    backend = FusedBackend(1)
    for _ in range(3):
        backend.step(state, batch, behind, march(), LOSS, Rates(*(np.float32(x) for x in (0.2, 0.2, 0.95, 1e-4))))
    assert (state.grid.density[:BLOCK] == -12).all()
    assert (state.grid.colour[:BLOCK] == 0).all()


def test_rays_that_are_not_finite_give_nan_and_harm_no_others() -> None:
    o, d = rays(10)
    o[3], d[5], o[7] = np.nan, np.inf, 1e30
    rgb = rendering.colours(smooth_grid(), march(), BEHIND, torch.from_numpy(o), torch.from_numpy(d))[0]
    assert torch.equal(rgb.isnan().any(1).nonzero()[:, 0], torch.tensor([3, 5, 7]))


def test_rays_that_see_nothing_show_the_background() -> None:
    o, d = (torch.from_numpy(x) for x in rays(20))
    rgb, alpha, mean, median = rendering.colours(full_grid(16, -12.0), march(), BEHIND, o, d)
    torch.testing.assert_close(rgb, torch.from_numpy(BEHIND).expand(20, 3), atol=1e-3, rtol=0)
    assert (alpha < 1e-2).all()
    assert (mean == -1).all()
    assert (median == -1).all()


def test_contraction_round_trip() -> None:
    points = torch.randn(1000, 3, dtype=torch.float64) * torch.logspace(-3, 2, 1000, dtype=torch.float64)[:, None]
    inside = reference.contract(points)
    assert (inside.norm(dim=-1) < 2).all()
    torch.testing.assert_close(reference.uncontract(inside), points, rtol=1e-6, atol=1e-9)
