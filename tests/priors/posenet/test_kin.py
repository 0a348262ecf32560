"""What a regressor remembers: whose poses, how much of them, and what is saved of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.captures import TEST, capture
from tests.priors.posenet_networks import posenet

from resect import artifact
from resect.errors import ResectError
from resect.geometry import so3
from resect.nn.pose_loss import PoseFrame
from resect.priors.posenet.kin import Kin
from resect.priors.posenet.prior import PoseNet

POSES = capture().truth.cam_from_world.double()
FRAME = PoseFrame(POSES)
N = len(POSES)


def kin(share: tuple[float, float] = (0.5, 0.5)) -> Kin:
    """Pictures that look like nothing else: code k is an axis."""
    return Kin(torch.eye(N).half(), POSES, torch.arange(N), share)


def test_a_picture_that_is_known_has_its_own_pose() -> None:
    found = FRAME.decode(*kin().answer(torch.eye(N)[3:5], FRAME))
    torch.testing.assert_close(found.center.double(), POSES.center[3:5], atol=1e-3, rtol=0)
    assert float(so3.angle(found.R.double(), POSES.R[3:5]).max()) < 1e-3


def test_between_pictures_poses_follow_their_looks() -> None:
    """Looks that change evenly with the position give positions far nearer than any picture's own."""
    g = torch.Generator().manual_seed(0)
    moved = POSES[[0]].t + torch.randn(260, 3, generator=g).double()
    poses = replace(POSES, R=POSES.R[:1].expand(260, 3, 3), t=moved)
    x, _ = FRAME.encode(poses)
    codes = torch.nn.functional.normalize(torch.cat([torch.ones(260, 1), 0.1 * x], 1), dim=1)
    remembered = Kin(codes[:200], poses[:200], torch.arange(200))
    found, turned = remembered.answer(codes[200:], FRAME)
    nearest = torch.cdist(x[200:], x[:200]).min(1).values
    assert float((found - x[200:]).norm(dim=1).median()) < 0.1 * float(nearest.median())
    assert float(so3.angle(FRAME.decode(found, turned).R.double(), poses.R[200:]).max()) < 1e-3


def test_beyond_the_pictures_an_answer_is_not_believed() -> None:
    """A look ten times as far off as theirs differ gives no position farther than theirs."""
    x = torch.linspace(-1, 1, 9)[:, None] * torch.eye(3)[:1]
    poses = FRAME.decode(x, torch.tensor([[1.0, 0, 0, 0]]).expand(9, 4)).double()
    codes = torch.nn.functional.normalize(torch.cat([torch.ones(9, 1), 0.03 * x[:, :1]], 1), dim=1)
    far = torch.nn.functional.normalize(torch.tensor([[1.0, 0.3]]), dim=1)
    found, _ = Kin(codes, poses, torch.arange(9)).answer(far, FRAME)
    assert 0 < float(found[0, 0]) < 1.5


def test_pictures_that_look_the_same_give_their_mean() -> None:
    same = Kin(torch.eye(N)[:1].expand(4, N), POSES[:4], torch.arange(4))
    found, _ = same.answer(torch.eye(N)[[0, 7]], FRAME)
    torch.testing.assert_close(found, FRAME.encode(POSES[:4])[0].mean(0).expand(2, 3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_shares_run_from_the_regressed_to_the_remembered(sign: int) -> None:
    x, q = FRAME.encode(POSES[[0]])
    code = torch.eye(N)[[5]]
    for share in (0.0, 1.0):
        found = FRAME.decode(*kin((share, share)).blend(code, x, sign * 3 * q, FRAME))
        expected = POSES[[5 if share else 0]]
        torch.testing.assert_close(found.center.double(), expected.center, atol=1e-3, rtol=0)
        assert float(so3.angle(found.R.double(), expected.R)) < 1e-3


def test_photos_that_were_left_out_choose_the_shares() -> None:
    """Positions are told by the regressor, rotations by what is remembered."""
    g = torch.Generator().manual_seed(0)
    truth, code = POSES[:6], torch.eye(N)[:6]
    x, _ = FRAME.encode(truth)
    noise = torch.nn.functional.normalize(torch.randn(6, 4, generator=g), dim=-1)
    wrong = replace(kin(), cam_from_world=replace(POSES, t=POSES.t + 3 * torch.randn(N, 3, generator=g).double()))
    made = wrong.shared(code, x, noise, truth, FRAME)
    assert made.share[0] == 0
    found = FRAME.decode(*made.blend(code, x, noise, FRAME))
    torch.testing.assert_close(found.center.double(), truth.center, atol=1e-3, rtol=0)
    assert float(so3.angle(found.R.double(), truth.R).max()) < 1e-2


def test_an_answer_stays_near_those_most_alike() -> None:
    x, q = FRAME.encode(POSES[[0]])
    code, limit = torch.eye(N)[[5]], (0.25, 0.05)
    found_x, found_q = replace(kin((0.0, 0.0)), limit=limit).blend(code, x + 5, q, FRAME)
    own_x, own_q = FRAME.encode(POSES[[5]])
    assert float((found_x - own_x).norm()) == pytest.approx(limit[0], abs=1e-3)
    assert float(torch.minimum((found_q - own_q).norm(), (found_q + own_q).norm())) <= limit[1] + 1e-3


def test_poses_are_of_different_photos_the_most_alike_first() -> None:
    twice = Kin(torch.eye(N).half(), POSES, torch.arange(N) // 2)
    code = torch.nn.functional.normalize(torch.arange(N, 0.0, -1.0), dim=0)
    assert torch.equal(twice.poses(code, 3).t, POSES.t[[0, 2, 4]])


def test_it_is_saved_and_checked(tmp_path: Path) -> None:
    prior = posenet()
    assert prior.kin is not None
    prior.save(tmp_path / "a")
    again = PoseNet.load(tmp_path / "a")
    assert again.kin is not None
    assert again.kin.share == prior.kin.share
    photo = capture()[TEST[0]]
    a, b = (p.propose(photo, 4, torch.Generator()).cam_from_world for p in (prior, again))
    torch.testing.assert_close(a.matrix(), b.matrix(), atol=1e-5, rtol=0)
    replace(prior, kin=replace(prior.kin, share=(2.0, 0.0))).save(tmp_path / "b")
    with pytest.raises(ResectError, match="shares"):
        PoseNet.load(tmp_path / "b")
    assert artifact.read_json(tmp_path / "a" / "artifact.json")["extra"]["kin_share"] == list(prior.kin.share)
