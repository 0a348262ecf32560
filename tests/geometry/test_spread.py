import torch

from resect.geometry.spread import farthest_first


def test_each_is_the_farthest_from_those_before() -> None:
    line = torch.tensor([[0.0], [1.0], [4.0], [10.0]])
    assert farthest_first(line, 4, 0).tolist() == [0, 3, 2, 1]
    assert farthest_first(line, 2, 2).tolist() == [2, 3]
