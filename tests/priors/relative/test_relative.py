from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.captures import TEST, TRAIN, capture
from tests.priors.posenet_networks import posenet
from tests.scenes.pose_decoder.decoders import fitted

from resect import zoo
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.nn.pose_loss import PoseFrame
from resect.priors.relative.fit import fit
from resect.priors.relative.network import RelativeNetwork
from resect.priors.relative.prior import Relative, moved, relation
from resect.priors.relative.settings import IterativeSettings, RelativeSettings

TINY = RelativeSettings(hidden=8, steps=3, batch=4, views=1, neighbours=3, tensorboard=False)
DECODED = replace(
    IterativeSettings(), steps=3, batch=4, views=1, inner=8, heads=2, layers=1, iterations=2, tensorboard=False
)
POSES = capture().truth.cam_from_world.double()


def test_relations_are_published_ones_and_undone_by_moving() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = (SE3(so3.random(5, generator=g, dtype=torch.float64), torch.randn(5, 3, generator=g).double()) for _ in "ab")
    frame = PoseFrame(POSES)
    x, q = relation(a, b, frame)
    wa, wb = a.inverse(), b.inverse()
    torch.testing.assert_close(x.double() * frame.scale.double(), wb.t - wa.t, atol=1e-5, rtol=0)
    torch.testing.assert_close(so3.from_quaternion(q).double(), wa.R.mT @ wb.R, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved(a, x, q, frame).matrix(), b.matrix(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("settings", [TINY, DECODED])
def test_it_begins_at_no_motion_and_answers_for_a_batch(settings: RelativeSettings) -> None:
    network = RelativeNetwork(settings, 32).eval()
    x, q = network(torch.randn(3, 32), torch.randn(3, 32))
    assert torch.equal(x, torch.zeros(3, 3))
    assert torch.equal(q, torch.tensor([1.0, 0, 0, 0]).expand(3, 4))


@pytest.mark.parametrize("settings", [TINY, DECODED])
def test_fitted_saved_and_loaded_with_its_parents(settings: RelativeSettings, tmp_path: Path) -> None:
    train, photo = capture().subset(TRAIN), capture()[TEST[0]]
    made = fit(train, settings, parents=(posenet(), fitted()))
    found = made.propose(photo, 3, torch.Generator())
    assert len(found) == 1
    made.save(tmp_path)
    again = zoo.load(tmp_path, role="prior").propose(photo, 3, torch.Generator())
    torch.testing.assert_close(again.cam_from_world.matrix(), found.cam_from_world.matrix(), atol=1e-5, rtol=1e-5)
    assert again.source == found.source
    with pytest.raises(ResectError, match="teacher"):
        Relative.load(tmp_path).propose(photo, 1, torch.Generator())


def test_it_learns_how_photos_stand_to_each_other() -> None:
    """With latents that tell the pose outright, a reference is told from its photo."""
    train = capture().subset(TRAIN)
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(3, 16, generator=g)
    network = RelativeNetwork(replace(TINY, hidden=32), 16)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    frame = PoseFrame(train.truth.cam_from_world)
    losses = []
    for _ in range(60):
        i, j = torch.randint(len(train), (2, 16), generator=g)
        a, b = train.truth.cam_from_world[i], train.truth.cam_from_world[j]
        x, _ = relation(b, a, frame)
        found, _ = network(frame.encode(a)[0] @ mix, frame.encode(b)[0] @ mix)
        loss = (found - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.2 * sum(losses[:5])


def test_parents_are_asked_for() -> None:
    train = capture().subset(TRAIN)
    with pytest.raises(ResectError, match="teacher"):
        fit(train, TINY)
    with pytest.raises(ResectError, match="decoder"):
        fit(train, DECODED, parents=(posenet(),))
