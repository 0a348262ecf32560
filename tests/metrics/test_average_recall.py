import math

import torch

from resect.metrics.average_recall import MSPD_PIXELS, MSSD_DIAMETERS, average_recall, match


def test_thresholds_are_those_of_bop_2019() -> None:
    assert MSSD_DIAMETERS == (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
    assert MSPD_PIXELS == (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)


def test_better_scored_estimates_choose_first() -> None:
    errors = torch.tensor([[0.2, 0.3], [0.1, 0.4]])
    limits = torch.tensor([0.05, 0.25, 0.5])
    assert match(errors, torch.tensor([0.9, 0.5]), limits).tolist() == [[-1, -1], [0, -1], [0, 1]]
    assert match(errors, torch.tensor([0.5, 0.9]), limits).tolist() == [[-1, -1], [1, -1], [1, 0]]


def test_each_instance_is_found_once_and_the_limit_itself_is_too_far() -> None:
    errors = torch.tensor([[0.1], [0.1], [0.1]])
    assert match(errors, torch.ones(3), torch.tensor([0.1, 0.11])).tolist() == [[-1], [0]]


def test_infinite_errors_no_estimates_and_no_instances_find_nothing() -> None:
    limits = torch.tensor([1.0])
    assert match(torch.full((1, 2), math.inf), torch.ones(1), limits).tolist() == [[-1, -1]]
    assert match(torch.zeros(0, 2), torch.zeros(0), limits).tolist() == [[-1, -1]]
    assert match(torch.zeros(2, 0), torch.zeros(2), limits).shape == (1, 0)


def test_average_recall_is_the_mean_over_thresholds() -> None:
    found = torch.tensor([[True, False, False, False], [True, True, True, False]])
    assert average_recall(found) == 0.5
    assert average_recall(found[:, :0]) == 0
