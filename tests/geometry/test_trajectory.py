import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.geometry.trajectory import Trajectory, associate, nearest

TIMES = st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True).map(sorted)


def greedy(seconds: list[float], others: list[float], most: float) -> list[tuple[int, int]]:
    """The published rule, word by word: all close pairs, nearest first, each time stamp once."""
    pairs = itertools.product(range(len(seconds)), range(len(others)))
    close = sorted((abs(seconds[i] - others[j]), i, j) for i, j in pairs if abs(seconds[i] - others[j]) < most)
    found: list[tuple[int, int]] = []
    for _, i, j in close:
        if all(i != a and j != b for a, b in found):
            found.append((i, j))
    return sorted(found)


@settings(max_examples=300, deadline=None)
@given(a=TIMES, b=TIMES, most=st.integers(1, 30))
def test_associate_pairs_the_nearest_first(a: list[int], b: list[int], most: int) -> None:
    # Irrational steps keep distances from being equal, where the published order is arbitrary.
    seconds = [x + 0.1 * (2**0.5 * k % 1) for k, x in enumerate(a)]
    others = [x + 0.1 * (3**0.5 * k % 1) + 0.013 for k, x in enumerate(b)]
    i, j = associate(torch.tensor(seconds).double(), torch.tensor(others).double(), float(most))
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == greedy(seconds, others, most)


def test_associate_has_an_end_and_takes_equal_times_at_no_difference() -> None:
    t = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    assert [x.tolist() for x in associate(t, t[1:], 0.0)] == [[1, 2], [0, 1]]
    assert [x.tolist() for x in associate(t, t[:0])] == [[], []]


def test_nearest_is_the_first_of_a_tie() -> None:
    others = torch.tensor([0.0, 1.0, 1.0, 1.0, 2.0])
    assert nearest(torch.tensor([-3.0, 0.5, 0.51, 1.2, 9.0]), others).tolist() == [0, 0, 1, 1, 4]


def test_moved_carries_centres_over_and_turns_axes() -> None:
    g = torch.Generator().manual_seed(0)
    pose = SE3.exp(torch.randn(5, 6, generator=g, dtype=torch.float64))
    turn = torch.from_numpy(Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix())
    other = Sim3(torch.tensor(2.5, dtype=torch.float64), turn, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    moved = Trajectory(torch.arange(5.0).double(), pose).moved(other)
    torch.testing.assert_close(moved.positions, 2.5 * pose.t @ turn.mT + other.t)
    torch.testing.assert_close(moved.world_from_cam.R, turn @ pose.R)


def test_take_keeps_stamps_with_their_rows() -> None:
    pose = SE3.identity(3, dtype=torch.float64)
    path = Trajectory(torch.tensor([0.0, 0.5, 1.0]).double(), pose, ("0.00", "0.50", "1.00"))
    taken = path.take(torch.tensor([2, 0]))
    assert (taken.stamps, taken.seconds.tolist(), taken.timed) == (("1.00", "0.00"), [1.0, 0.0], True)
    assert not Trajectory(torch.arange(3.0).double(), pose).take(torch.tensor([1])).timed
