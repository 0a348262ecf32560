"""Adam's moments against torch's own Adam."""

import torch

from resect.refine.moments import Moments


def test_steps_are_those_of_torch_adam() -> None:
    g = torch.Generator().manual_seed(0)
    slopes = torch.randn(6, 3, 4, generator=g, dtype=torch.float64)
    place = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([place], lr=0.1, betas=(0.8, 0.95))
    moments, ours = Moments(slopes[0], (0.8, 0.95)), torch.zeros(3, 4, dtype=torch.float64)
    for slope in slopes:
        place.grad = slope.clone()
        theirs.step()
        ours = ours - 0.1 * moments.direction(slope)
        torch.testing.assert_close(ours, place.detach())
