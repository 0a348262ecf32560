import torch
from scipy.spatial.transform import Rotation

from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries


def test_nothing_but_the_identity_by_default() -> None:
    assert Symmetries().trivial
    torch.testing.assert_close(Symmetries().sampled().matrix(), torch.eye(4, dtype=torch.float64)[None])


def test_an_axis_is_sampled_as_the_bop_toolkit_does_about_its_own_line() -> None:
    offset = torch.tensor([0.3, -0.2, 5.0], dtype=torch.float64)
    axis = Axis(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), offset)
    found = Symmetries(axes=(axis,)).sampled(0.01)
    assert len(found) == 315
    on_the_line = offset.expand(315, 1, 3)
    torch.testing.assert_close(found.apply(on_the_line), on_the_line)
    expected = Rotation.from_rotvec([0, 0, 2 * torch.pi * 7 / 315]).as_matrix()
    torch.testing.assert_close(found.R[7], torch.from_numpy(expected))


def test_discrete_motions_are_followed_by_every_turn() -> None:
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    discrete = SE3(torch.stack([torch.eye(3, dtype=torch.float64), flip]), torch.zeros(2, 3, dtype=torch.float64))
    axis = Axis(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    found = Symmetries(discrete, (axis,)).sampled(0.5)
    assert len(found) == 2 * 7
    up = found.R[:, 2, 2]
    assert int((up > 0).sum()) == int((up < 0).sum()) == 7
