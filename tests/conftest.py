"""For all tests."""

import torch

torch.set_num_threads(1)  # pytest -n 2 runs two workers on two cores; more threads only wait for each other
