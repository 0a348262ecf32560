import torch
from tests.priors.planted import LENS, arc, box

from resect.priors.landmarks.features import Features
from resect.priors.landmarks.guided import Look, Points, chance_matches, guided_matches

LOOK = Look(radius_px=4.0, least_cosine=0.8, ratio=0.9, size_factor=1.5)


def planted(count: int = 150) -> tuple[Features, Points]:
    """A photo from arc(5)[2] that shows every landmark, features in another order than the landmarks."""
    g = torch.Generator().manual_seed(0)
    xyz, pose = box(count, g), arc(5)[2]
    look = torch.nn.functional.normalize(torch.randn(count, 128, generator=g), dim=-1)
    distance = (xyz - pose.center).norm(dim=-1)
    toward = torch.nn.functional.normalize(pose.center - xyz, dim=-1)
    size = torch.full((count,), 0.05, dtype=torch.float64)
    pixels = LENS.project(pose.apply(xyz))[0] + 0.3 * torch.randn(count, 2, generator=g, dtype=torch.float64)
    order = torch.arange(count - 1, -1, -1)
    sizes = (size / (distance * LENS.pixel_rad)).float()
    found = Features(pixels.float()[order], sizes[order], 1.0, look[order])
    return found, Points(xyz, torch.zeros(count, 3, 3).double(), toward, size, look)


def test_every_landmark_finds_its_feature() -> None:
    found, known = planted()
    landmark, feature = guided_matches(found, known, LENS, arc(5)[2], LOOK)
    assert sorted(landmark.tolist()) == list(range(150))
    assert torch.equal(feature, 149 - landmark)


def test_wrong_size_wrong_side_or_wrong_look_is_no_match() -> None:
    found, known = planted()
    large = Features(found.pixels, 2 * found.sizes, 1.0, found.descriptors)
    assert len(guided_matches(large, known, LENS, arc(5)[2], LOOK)[0]) == 0
    behind = Points(known.xyz, known.covariance, -known.toward, known.size, known.descriptors)
    assert len(guided_matches(found, behind, LENS, arc(5)[2], LOOK)[0]) == 0
    strange = Features(found.pixels, found.sizes, 1.0, found.descriptors.flip(0))
    assert len(guided_matches(strange, known, LENS, arc(5)[2], LOOK)[0]) < 5


def test_no_feature_is_used_twice() -> None:
    found, known = planted()
    twice = Points(
        *(torch.cat([x, x]) for x in (known.xyz, known.covariance, known.toward, known.size, known.descriptors))
    )
    _, feature = guided_matches(found, twice, LENS, arc(5)[2], LOOK)
    assert len(feature.unique()) == len(feature) == 150


def test_chance_finds_next_to_nothing_among_distinct_looks_and_much_where_all_look_alike() -> None:
    found, known = planted()
    assert chance_matches(found, known, LENS, arc(5)[2], LOOK, 16.0) < 2
    alike = torch.nn.functional.normalize(torch.ones(150, 128), dim=-1)
    crowd = Features(found.pixels, found.sizes, 1.0, alike)
    same = Points(known.xyz, known.covariance, known.toward, known.size, alike)
    loose = Look(20.0, 0.8, 1.1, 3.0)
    assert chance_matches(crowd, same, LENS, arc(5)[2], loose, 16.0) > 30


def test_nothing_in_view_or_no_features() -> None:
    found, known = planted()
    away = Points(known.xyz + 100, known.covariance, known.toward, known.size, known.descriptors)
    assert len(guided_matches(found, away, LENS, arc(5)[2], LOOK)[0]) == 0
    none = Features(torch.zeros(0, 2), torch.zeros(0), 1.0, torch.zeros(0, 128))
    assert len(guided_matches(none, known, LENS, arc(5)[2], LOOK)[0]) == 0
