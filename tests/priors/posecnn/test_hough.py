"""Votes against centres that are known: directions of all kinds, outliers, centres outside, two instances."""

import torch

from resect.priors.posecnn.hough import find_centres, meet


def cells(centre: tuple[float, float], count: int = 300, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * torch.tensor([60.0, 40.0])
    return at, torch.tensor(centre) - at


def test_rays_meet_where_they_do() -> None:
    p, q = torch.tensor([[0.0, 0.0]]), torch.tensor([[4.0, 0.0]])
    up, left = torch.tensor([[0.0, 1.0]]), torch.nn.functional.normalize(torch.tensor([[-4.0, 3.0]]))
    torch.testing.assert_close(meet(p, up, q, left), torch.tensor([[0.0, 3.0]]))  # a vertical one
    assert len(meet(p, up, q, up)) == 0
    assert len(meet(p, -up, q, left)) == 0  # behind


def test_the_centre_of_exact_directions() -> None:
    for centre in ((30.0, 20.0), (-20.0, 70.0), (30.0, -15.0)):
        at, direction = cells(centre)
        (vote,) = find_centres(at, direction, torch.Generator().manual_seed(1))
        torch.testing.assert_close(vote.centre, torch.tensor(centre), atol=2e-3, rtol=0)
        assert float(vote.voters.float().mean()) > 0.99


def test_wrong_directions_are_outvoted() -> None:
    at, direction = cells((22.0, 31.0))
    wrong = torch.randn(300, 2, generator=torch.Generator().manual_seed(2))
    direction = torch.where((torch.arange(300) % 3 == 0)[:, None], wrong, direction)
    direction = torch.nn.functional.normalize(direction, dim=-1)
    direction = direction + 0.05 * torch.randn(300, 2, generator=torch.Generator().manual_seed(3))
    (vote,) = find_centres(at, direction, torch.Generator().manual_seed(1))
    assert float((vote.centre - torch.tensor([22.0, 31.0])).norm()) < 2.0
    assert 0.6 < float(vote.voters.float().mean()) < 0.85


def test_two_instances_are_two_centres() -> None:
    at, direction = cells((10.0, 10.0), 400)
    other = at[:, 0] > 30
    direction = torch.where(other[:, None], torch.tensor([50.0, 30.0]) - at, direction)
    votes = find_centres(at, direction, torch.Generator().manual_seed(1), most=4)
    assert len(votes) == 2
    found = sorted(vote.centre.tolist() for vote in votes)
    torch.testing.assert_close(torch.tensor(found), torch.tensor([[10.0, 10], [50, 30]]), atol=1.0, rtol=0)
    assert len(find_centres(at, direction, torch.Generator().manual_seed(1), most=1)) == 1


def test_too_few_cells_have_no_centre() -> None:
    at, direction = cells((30.0, 20.0), 5)
    assert find_centres(at, direction, torch.Generator(), least=10) == []
    assert find_centres(at[:0], direction[:0], torch.Generator()) == []
    assert find_centres(at, torch.ones(5, 2), torch.Generator(), least=2) == []  # all parallel


def test_cells_out_of_reach_do_not_vote() -> None:
    near, toward = cells((30.0, 20.0))
    far = near[:60] + torch.tensor([200.0, 0.0])  # of another instance, a fifth of all; some look this way
    at = torch.cat([near, far])
    direction = torch.cat([toward, torch.tensor([230.0, 20.0]) - far])
    reach = torch.full((len(at),), 45.0)
    first, second = find_centres(at, direction, torch.Generator().manual_seed(1), reach=reach, least_share=0.1, most=4)
    torch.testing.assert_close(first.centre, torch.tensor([30.0, 20.0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(second.centre, torch.tensor([230.0, 20.0]), atol=1e-2, rtol=0)
    assert not bool(first.voters[300:].any())
    assert not bool(second.voters[:300].any())
