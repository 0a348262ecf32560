from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tests.priors.rotations.blobs import SIDE, blobs

from resect import zoo
from resect.errors import ResectError
from resect.geometry import so3, so3_grid
from resect.priors.ipdf.fit import fit, loss_of
from resect.priors.ipdf.network import make_network
from resect.priors.ipdf.settings import ImplicitPdfSettings, PublishedImplicitPdfSettings
from resect.priors.rotations.batches import Pictures
from resect.priors.rotations.prior import RotationPrior
from resect.training.loop import Turn

TINY = ImplicitPdfSettings(
    encoder_width=8,
    stages=3,
    side=SIDE,
    width=32,
    layers=2,
    queries=64,
    density_level=3,
    batch=16,
    steps=80,
    rate=5e-3,
    tensorboard=False,
)


@cache
def fitted() -> RotationPrior:
    return fit(blobs(6), TINY)


def test_it_learns_what_its_pictures_show() -> None:
    prior, data = fitted(), blobs(6)
    found = torch.stack([prior.rotation(data.photo(i)) for i in range(6)])
    assert float(so3.angle(found, data.rotation[:6]).rad2deg().median()) < 25
    assert float(prior.density(data.photo(0)).log_prob(data.rotation[:1])) > 2


def test_the_loss_is_the_mean_negative_log_likelihood() -> None:
    """Many random rotations integrate the density as the whole grid does."""
    network = make_network(TINY, 1, 0).eval()
    with torch.no_grad():
        network.out.weight.mul_(20)
        batch = Pictures(blobs(), TINY).batch(Turn(0, 0))
        logits = network.on_level(network.code(batch.picture), 2).double()
        there = torch.stack(
            [network.logits(c, r[None])[0] for c, r in zip(network.code(batch.picture), batch.rotation, strict=True)]
        )
        exact = -(there - logits.logsumexp(1) + torch.log(torch.tensor(float(so3_grid.cell_count(2))))).mean()
        torch.manual_seed(0)
        found = loss_of(replace(TINY, queries=4000))(network, batch)["loss"]
    assert float(found) == pytest.approx(float(exact), abs=0.02)


def test_the_whole_level_is_its_cells_and_derivatives_are_finite_differences() -> None:
    network = make_network(replace(TINY, frequencies=1), 1, 0).double()
    code = torch.randn(1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cells = so3_grid.cell_center(torch.arange(72), 0)
    with torch.no_grad():
        torch.testing.assert_close(network.on_level(code, 0)[0], network.logits(code[0], cells))
    value, slope, bend = network.local(code[0], cells[:4])
    step = 1e-5 * torch.eye(3, dtype=torch.float64)
    for i in range(3):
        with torch.no_grad():
            up, down = (network.logits(code[0], so3.exp(sign * step[i]) @ cells[:4]) for sign in (1, -1))
        torch.testing.assert_close(slope[:, i], (up - down) / 2e-5, atol=1e-5, rtol=1e-4)
    assert value.shape == (4,)
    assert torch.equal(bend, bend.mT)


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    again = zoo.load(tmp_path)
    a, b = (p.propose(blobs().photo(2), 4, torch.Generator()) for p in (fitted(), again))
    assert torch.equal(a.cam_from_world.R, b.cam_from_world.R)
    assert a.source == ("ipdf",) * len(a)


def test_labels_are_told_and_settings_checked() -> None:
    prior = fit(blobs(names=("a", "b")), replace(TINY, steps=2, class_label=True))
    assert prior.categories == ("a", "b")
    assert PublishedImplicitPdfSettings().queries == 4096
    with pytest.raises(ResectError, match="queries"):
        replace(TINY, queries=1)
