"""Intersection of what correlated sources say: against Monte Carlo of fully correlated ones."""

import torch

from resect.refine.rows import intersect


def spread(seed: int) -> torch.Tensor:
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.mT + torch.eye(6, dtype=torch.float64)


def test_a_source_that_knows_far_more_counts_whole() -> None:
    strong, weak = intersect(1e4 * spread(0)[None], spread(1)[None])
    torch.testing.assert_close(strong[0], 1e4 * spread(0))
    torch.testing.assert_close(weak[0], torch.zeros(6, 6, dtype=torch.float64))


def test_equal_sources_are_not_counted_twice() -> None:
    a, b = intersect(spread(2)[None], spread(2)[None])
    torch.testing.assert_close(a + b, spread(2)[None])


def test_the_sum_never_overstates_whatever_the_correlation() -> None:
    """Errors L₁u and L₂Qu of the same u: the mean fused by ω has a covariance below the inverse of the sum."""
    for seed in range(5):
        one, two = spread(10 + seed), spread(20 + seed)
        rotation, _ = torch.linalg.qr(spread(30 + seed))
        a, b = (x[0] for x in intersect(one[None], two[None]))
        errors = [torch.linalg.cholesky(torch.linalg.inv(x)) for x in (one, two)]
        for turned in (torch.eye(6, dtype=torch.float64), rotation, -rotation):
            fused = torch.linalg.solve(a + b, a @ errors[0] + b @ errors[1] @ turned)
            excess = torch.linalg.inv(a + b) - fused @ fused.mT
            assert float(torch.linalg.eigvalsh(excess).min()) > -1e-9


def test_nothing_known_on_one_side_is_all_of_the_other() -> None:
    a, b = intersect(spread(3)[None], torch.zeros(1, 6, 6, dtype=torch.float64))
    torch.testing.assert_close(a[0], spread(3))
    assert float(b.abs().max()) == 0
