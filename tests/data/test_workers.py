"""Work on several processes is the work of one."""

import os

import pytest

from resect.data.workers import each
from resect.errors import ResectError


def square(x: int) -> int:
    if x == 13:
        raise ValueError("thirteen")
    return x * x


def process(x: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_errors_come_out(workers: int) -> None:
    assert list(each(square, range(5), workers)) == [0, 1, 4, 9, 16]
    with pytest.raises(ValueError, match="thirteen"):
        list(each(square, [1, 13, 2], workers))


def test_one_worker_is_this_process() -> None:
    assert list(each(process, [0, 1])) == [os.getpid()] * 2
    assert os.getpid() not in list(each(process, [0, 1], 2))


def test_bounds() -> None:
    for workers in (-1, 5000):
        with pytest.raises(ResectError, match="workers"):
            list(each(square, [1, 2], workers))
    assert list(each(square, [], 4)) == []
