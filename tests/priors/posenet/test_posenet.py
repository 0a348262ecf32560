from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.captures import TEST, TRAIN, capture
from tests.priors.posenet_networks import posenet, tiny
from tests.training.interrupted import interrupt_at

from resect.data.digest import photos_digest
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.nn.training_pictures import TrainingPictures
from resect.priors.posenet.fit import Batches, Source, error_covariance, fit, left_out
from resect.priors.posenet.network import make_network
from resect.priors.posenet.prior import PoseNet
from resect.priors.posenet.settings import PoseNetSettings, PublishedPoseNetSettings
from resect.priors.regressor_settings import in_steps
from resect.training.loop import Turn
from resect.types import Truth


def test_it_learns_its_training_photos() -> None:
    train = capture().subset(TRAIN)
    settings = replace(tiny(), left_out=False, steps=80, side=64, reduce=4, views=1, rate=1e-2)
    made = fit(train, settings, generator=torch.Generator().manual_seed(1))
    found = SE3.stack([made.regress(train[i])[0] for i in range(len(train))])
    truth = train.truth.cam_from_world
    mean = (truth.center - truth.center.mean(0)).norm(dim=-1).median()
    assert float((found.center - truth.center).norm(dim=-1).median()) < 0.3 * float(mean)
    assert float(so3.angle(found.R, truth.R.double()).median()) < 0.1


def test_a_proposal_says_how_far_off_it_may_be() -> None:
    prior = posenet()
    assert prior.covariance is not None
    assert fit(capture().subset(TRAIN[:2]), replace(tiny(), steps=1)).covariance is None  # one photo tells too little
    found = prior.propose(capture()[TEST[0]], 5, torch.Generator())
    assert len(found) == 5
    assert float(found.log_weight[0]) > float(found.log_weight[1])
    assert found.information is not None
    one = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(found.information[0] @ prior.covariance, one, atol=1e-6, rtol=0)


def test_the_covariance_is_that_of_the_errors() -> None:
    g = torch.Generator().manual_seed(0)
    sigma = torch.tensor([0.1, 0.2, 0.05, 0.02, 0.03, 0.01], dtype=torch.float64)
    delta = sigma * torch.randn(4000, 6, generator=g, dtype=torch.float64)
    truth = SE3(so3.random(4000, generator=g, dtype=torch.float64), torch.randn(4000, 3, generator=g).double())
    found = SE3.exp(delta).inverse() @ truth
    covariance = error_covariance(found, truth)
    torch.testing.assert_close(covariance.diagonal().sqrt(), sigma, rtol=0.05, atol=0)
    assert float(torch.linalg.eigvalsh(covariance).min()) > 0


def test_rendered_views_of_left_out_photos_are_left_out_too() -> None:
    photos = capture()
    centers = photos.truth.cam_from_world
    both = replace(
        photos,
        names=(*photos.names, *(f"rendered/{i}" for i in range(len(photos)))),
        cameras=photos.cameras * 2,
        truth=Truth(SE3(centers.R.repeat(2, 1, 1), centers.t.repeat(2, 1))),
    )
    kept, held = left_out(both)
    assert held
    assert all(i < len(photos) for i in held)
    assert not {i + len(photos) for i in held} & set(kept)
    apart = torch.cdist(centers.center, centers.center)
    beside = [i for i in range(len(photos)) if set(apart[i].argsort()[:2].tolist()) & set(held)]
    assert len(beside) > len(held)
    assert len(kept) == 2 * len(photos) - len(held) - len(beside)
    assert len(held) == 4


def test_a_batch_is_fixed_by_seed_and_step_and_its_poses_belong_to_its_pictures() -> None:
    train = capture().subset(TRAIN)
    settings = replace(tiny(), freeze=(), turn_deg=0.0, roll_deg=0.0, colour=(0, 0, 0, 0), blur_px=0.0)
    pictures = TrainingPictures(train, settings.side, settings.share)
    network = make_network(settings, pictures.poses, 0)
    batch = Batches(Source(pictures, network, settings, 0), range(len(train))).batch
    seen, x, q = batch(Turn(3, 5))
    again = batch(Turn(3, 5))
    assert torch.equal(seen, again[0])
    assert not torch.equal(x, batch(Turn(4, 5))[1])
    poses = network.frame.decode(x, q)
    plain = pictures.plain(range(len(train)))
    for k in range(4):
        i = int((plain - seen[k]).abs().mean((1, 2, 3)).argmin())
        torch.testing.assert_close(poses[k].t, pictures.poses[i].t.float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("freeze", [("backbone",), ("backbone.body.features.0", "x_"), ()])
def test_frozen_parts_stay_and_others_learn(freeze: tuple[str, ...]) -> None:
    train = capture().subset(TRAIN[:4])
    settings = replace(tiny(), steps=2, batch=4, left_out=False, freeze=freeze, stride=32)
    first = make_network(settings, train.truth.cam_from_world, settings.seed)
    made = fit(train, settings)
    for (name, before), after in zip(first.named_parameters(), made.network.parameters(), strict=True):
        if name.startswith(freeze) if freeze else False:
            assert torch.equal(before, after), name
    assert not torch.equal(first.q_latent.weight, made.network.q_latent.weight)
    moved = first.backbone.body.features[18][0].weight, made.network.backbone.body.features[18][0].weight  # type: ignore[index, union-attr]
    assert torch.equal(*moved) == ("backbone" in freeze)
    mean = first.backbone.body.features[0][1].running_mean, made.network.backbone.body.features[0][1].running_mean  # type: ignore[index, union-attr]
    assert torch.equal(*mean) == bool(freeze)


def test_an_unknown_name_to_freeze_is_refused() -> None:
    with pytest.raises(ResectError, match="backbone"):
        fit(capture().subset(TRAIN), replace(tiny(), freeze=("head",)))


def test_epochs_become_steps() -> None:
    s = in_steps(PublishedPoseNetSettings(), 100)
    assert (s.steps, s.drop_every) == (300 * 4, 100 * 4)
    assert in_steps(PoseNetSettings(steps=7), 100).steps == 7


def test_an_interrupted_run_goes_on_to_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, settings = capture().subset(TRAIN[:6]), replace(tiny(), steps=6, batch=4, left_out=False)
    whole = fit(train, settings)
    interrupt_at(3, Batches, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(train, settings, out=tmp_path)
    made = fit(train, settings, out=tmp_path, resume=True)
    for a, b in zip(whole.network.state_dict().values(), made.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_stage_begins_from_the_one_before() -> None:
    train = capture().subset(TRAIN)
    settings = replace(tiny(), steps=1, rate=1e-12, weight_decay=0.0, left_out=False)
    made = fit(train, settings, parents=(posenet(),))
    torch.testing.assert_close(made.network.q_latent.weight, posenet().network.q_latent.weight)


def test_a_damaged_artefact_is_refused(tmp_path: Path) -> None:
    prior = posenet()
    broken = replace(prior, covariance=-torch.eye(6, dtype=torch.float64))
    broken.save(tmp_path)
    with pytest.raises(ResectError, match="positive definite"):
        PoseNet.load(tmp_path)
    replace(prior, settings=replace(prior.settings, hidden=8)).save(tmp_path)
    with pytest.raises(ResectError, match="shape"):
        PoseNet.load(tmp_path)


@pytest.mark.parametrize("wrong", [{"side": 8}, {"share": 0.1}, {"colour": (1.0, 0, 0, 0)}, {"dropout": 1.0}])
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ResectError, match=next(iter(wrong))):
        PoseNetSettings(**wrong)  # type: ignore[arg-type]


def test_training_data_have_a_digest() -> None:
    assert photos_digest(capture().subset(TRAIN)) != photos_digest(capture().subset(TEST))
