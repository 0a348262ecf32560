import torch
from tests.priors.planted import LENS, arc, box

from resect.priors.landmarks.matching import best_two, choose_pairs, match_pair, tracks


def units(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.rand(count, 128, generator=generator), dim=-1)


def test_best_two_is_the_sorted_table() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = units(700, g), units(2100, g)  # several blocks
    best, second, index, mutual = best_two(a, b)
    table = a @ b.mT
    ordered = table.sort(dim=1, descending=True)
    assert torch.allclose(best, ordered.values[:, 0], atol=1e-6)
    assert torch.allclose(second, ordered.values[:, 1], atol=1e-6)
    same = index == ordered.indices[:, 0]
    assert bool((same | ((ordered.values[:, 0] - ordered.values[:, 1]) < 1e-6)).all())
    expected = table.argmax(0)[index] == torch.arange(700)
    assert float((mutual == expected).float().mean()) > 0.999


def test_a_pair_keeps_matches_on_epipolar_lines_only() -> None:
    g = torch.Generator().manual_seed(1)
    points, cameras = box(60, g), arc(2)
    rays = [LENS.rays(LENS.project(c.apply(points))[0]) for c in (cameras[0], cameras[1])]
    look = units(60, g)
    swapped = look.clone()
    swapped[[0, 1]] = look[[1, 0]]  # looks right, lies wrong
    relative = cameras[1] @ cameras[0].inverse()
    found = match_pair((look, swapped), (rays[0], rays[1]), relative, (0.003, 0.003), 0.85)
    assert set(map(tuple, found.tolist())) >= {(i, i) for i in range(2, 60)}
    assert (0, 1) not in set(map(tuple, found.tolist()))


def test_repeated_look_fails_the_ratio() -> None:
    g = torch.Generator().manual_seed(2)
    points, cameras = box(20, g), arc(2)
    rays = [LENS.rays(LENS.project(c.apply(points))[0]) for c in (cameras[0], cameras[1])]
    look = units(20, g)
    look[1] = look[0]
    relative = cameras[1] @ cameras[0].inverse()
    found = match_pair((look, look), (rays[0], rays[1]), relative, (1.0, 1.0), 0.85)
    assert sorted(found[:, 0].tolist()) == list(range(2, 20))


def test_tracks_join_what_is_connected() -> None:
    edges = torch.tensor([[0, 3], [3, 7], [1, 4]])
    label = tracks(edges, 9)
    assert label[0] == label[3] == label[7] >= 0
    assert label[1] == label[4] >= 0
    assert label[0] != label[1]
    assert set(label[[2, 5, 6, 8]].tolist()) == {-1}
    assert set(label.tolist()) == {-1, 0, 1}


def test_no_matches_are_no_tracks() -> None:
    assert tracks(torch.zeros(0, 2, dtype=torch.long), 4).tolist() == [-1] * 4


def test_pairs_are_all_or_the_nearest() -> None:
    assert len(choose_pairs(arc(5), 10)) == 10
    near = choose_pairs(arc(40), 4)
    gap = (near[:, 1] - near[:, 0]).tolist()
    assert max(gap) <= 4
    assert all(a < b for a, b in near.tolist())
    assert set(near.flatten().tolist()) == set(range(40))
