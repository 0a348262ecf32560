import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries, about


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


POINT = torch.tensor([0.3, -0.2, 5.0], dtype=torch.float64)
Z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
QUARTERS = SE3.stack([about(POINT, so3.exp(Z * (k * torch.pi / 2))) for k in range(4)])
WITH_FLIP = SE3.cat([SE3.identity(1, dtype=torch.float64), about(POINT, FLIP[None])])
GROUPS = {
    "nothing": Symmetries(),
    "quarters": Symmetries(QUARTERS),
    "axis": Symmetries(axes=(Axis(Z, POINT),)),
    "cylinder": Symmetries(WITH_FLIP, (Axis(Z, POINT),)),
    "sphere": Symmetries(axes=(Axis(Z, POINT), Axis(Z.roll(1), POINT))),
}


def poses(count: int, seed: int = 0) -> SE3:
    g = torch.Generator().manual_seed(seed)
    return SE3(so3.random(count, generator=g, dtype=torch.float64), torch.randn(count, 3, generator=g).double())


@pytest.mark.parametrize("name", GROUPS)
def test_the_nearest_pose_is_as_near_as_any_sampled_one_and_looks_the_same(name: str) -> None:
    group, pose, to = GROUPS[name], poses(20), poses(20, 1)
    found = group.nearest(pose, to)
    sampled = group.sampled(0.02 if name != "sphere" else 0.2)
    all_ = pose[:, None] @ sampled[None]
    least = so3.angle(all_.R, to.R[:, None].expand_as(all_.R)).amin(1)
    angle = so3.angle(found.R, to.R)
    assert bool((angle <= least + 1e-6).all())
    if name in ("nothing", "quarters"):
        torch.testing.assert_close(angle, least)
    # the motion between them is of the group: it leaves the fixed point where it was
    between = pose.inverse() @ found
    torch.testing.assert_close(between.apply(POINT.expand(20, 1, 3)), POINT.expand(20, 1, 3))
    if name in ("axis", "cylinder"):
        assert bool(((between.R[:, 2, 2].abs() - 1).abs() < 1e-9).all())


@pytest.mark.parametrize("name", GROUPS)
def test_poses_that_look_alike_have_one_canonical_pose_and_are_duplicates(name: str) -> None:
    group, pose = GROUPS[name], poses(1)
    motions = group.sampled(0.5)
    alike = pose[0] @ motions
    canonical = group.canonical(alike)
    torch.testing.assert_close(canonical.matrix(), canonical.matrix()[:1].expand(len(motions), 4, 4))
    others = SE3.cat([alike, poses(3, 7)])
    kept = group.deduplicate(others, 1e-6, 1e-6)
    assert kept.tolist() == [0, *range(len(motions), len(motions) + 3)]


def test_dtype_is_that_of_the_pose() -> None:
    found = GROUPS["cylinder"].nearest(poses(2).float(), poses(2, 1).float())
    assert found.R.dtype == found.t.dtype == torch.float32


def test_a_sphere_is_sampled_within_bounds_and_densely() -> None:
    found = GROUPS["sphere"].sampled(0.01)
    assert len(found) <= 32_000
    torch.testing.assert_close(found.matrix()[0], torch.eye(4, dtype=torch.float64))
    wanted = poses(50).R
    nearest = so3.angle(found.R[:, None].expand(-1, 50, 3, 3), wanted[None].expand(len(found), 50, 3, 3)).amin(0)
    assert float(nearest.max()) < 0.25


def test_lines_are_those_that_the_motions_turn_about() -> None:
    (line,) = GROUPS["quarters"].lines()
    assert line[1] == 4
    assert abs(float(line[0].direction[2])) == pytest.approx(1)
    torch.testing.assert_close(line[0].offset[:2], POINT[:2])
    axis, flip = GROUPS["cylinder"].lines()
    assert (axis[1], flip[1]) == (None, 2)
    torch.testing.assert_close(flip[0].offset[1:], POINT[1:])  # any point of the line; it runs along x
    assert Symmetries().lines() == []
