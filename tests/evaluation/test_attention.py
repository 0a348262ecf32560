import torch

from resect.evaluation.attention import overlay


def test_it_is_brightest_where_the_weight_is_greatest() -> None:
    weights = torch.zeros(4, 4)
    weights[1, 2] = 0.7
    shown = overlay(torch.full((40, 60, 3), 0.5), weights)
    assert shown.shape == (40, 60, 3)
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    brightest = int(shown.sum(-1).argmax())
    row, column = divmod(brightest, 60)
    assert (row * 4 // 40, column * 4 // 60) == (1, 2)
