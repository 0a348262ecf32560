"""For all tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """`pytest -n 2` runs two workers on two cores; more threads, as a test of a command may ask for, only wait."""
    torch.set_num_threads(1)
