import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tests.priors.rotations.blobs import SIDE, blobs
from tests.training.interrupted import interrupt_at
from torch import Tensor

from resect import zoo
from resect.errors import ResectError
from resect.geometry import so3, so3_grid, solids
from resect.geometry.camera import Camera
from resect.priors.image2sphere.fit import fit, grid_loss, random_loss
from resect.priors.image2sphere.network import make_network
from resect.priors.image2sphere.settings import Image2SphereSettings, PublishedImage2SphereSettings
from resect.priors.rotations.batches import Pictures
from resect.priors.rotations.prior import RotationPrior
from resect.training.checkpoint import checkpoint_path
from resect.types import Photo, Target

TINY = Image2SphereSettings(
    encoder_width=8,
    stages=2,
    side=SIDE,
    lmax=3,
    features=16,
    hidden=4,
    resolution=4,
    grid_level=2,
    density_level=3,
    batch=16,
    steps=30,
    rate=1e-2,
    tensorboard=False,
)


@cache
def fitted() -> RotationPrior:
    return fit(blobs(8), TINY)


def random_code(seed: int = 0) -> Tensor:
    return 2 * torch.randn(1, 84, generator=torch.Generator().manual_seed(seed))


def test_a_turned_picture_gives_the_turned_density() -> None:
    """Exactly for quarter turns and first weights: the resampling to the sphere is learned later."""
    network = make_network(TINY, 1, 0).eval().double()
    network.encoder = torch.nn.AvgPool2d(8)  # type: ignore[assignment]  # turns with its picture
    network.head.lift.mix = torch.nn.Conv2d(3, 16, 1).double()
    picture = torch.rand(2, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    quarter = so3.exp(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    at = so3.random(7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        before, after = network(picture), network(torch.rot90(picture, -1, (2, 3)))  # clockwise
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(network.logits(b, quarter @ at), network.logits(a, at), atol=1e-9, rtol=0)


def test_as_published_the_turn_stands_on_the_other_side() -> None:
    ours, published = (make_network(replace(TINY, equivariant=e), 1, 0).eval() for e in (True, False))
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    axes = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    at = so3.random(5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        a = ours.logits(ours(picture)[0], at)
        b = published.logits(published(picture)[0], (axes @ at).mT)
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_a_level_is_its_cells_one_by_one() -> None:
    network, code = make_network(TINY, 1, 0), random_code()
    cells = torch.arange(so3_grid.cell_count(1))
    one_by_one = network.logits(code[0], so3_grid.cell_center(cells, 1))
    torch.testing.assert_close(network.on_level(code, 1)[0], one_by_one, atol=1e-4, rtol=0)


def test_derivatives_are_finite_differences() -> None:
    network, code, step = make_network(TINY, 1, 0), random_code().double()[0], 1e-4
    at = so3.random(3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, slope, bend = network.local(code, at)

    def value(move: Tensor) -> Tensor:
        return network.logits(code, so3.exp(move) @ at)

    steps = step * torch.eye(3, dtype=torch.float64)
    for i in range(3):
        up, down = value(steps[i]), value(-steps[i])
        torch.testing.assert_close(slope[:, i], (up - down) / (2 * step), atol=1e-4, rtol=1e-4)
        for j in range(3):
            mixed = value(steps[i] + steps[j]) - value(steps[i] - steps[j])
            mixed = mixed - value(steps[j] - steps[i]) + value(-steps[i] - steps[j])
            torch.testing.assert_close(bend[:, i, j], mixed / (4 * step**2), atol=1e-3, rtol=1e-3)


def test_the_loss_is_the_cross_entropy_of_the_cell_that_holds_the_truth() -> None:
    network, code = make_network(TINY, 1, 0), 0.1 * torch.cat([random_code(0), random_code(1)])
    truth = so3.random(2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    logits = network.on_level(code, 2)
    expected = torch.nn.functional.cross_entropy(logits, so3_grid.cell_of(truth, 2))
    torch.testing.assert_close(grid_loss(code, truth, replace(TINY, target="cell")), expected)
    torch.manual_seed(0)
    many = replace(TINY, candidates=4000, include_truth=True)
    near = torch.stack([random_loss(code, truth, many) for _ in range(20)]).mean()
    assert float(near - math.log(4000)) == pytest.approx(float(expected - math.log(4608)), abs=0.2)


def test_the_exact_loss_is_the_density_at_the_truth_itself() -> None:
    """The series is smooth beside the grid, so that its sums are integrals: −log p(truth), wherever the grid stands."""
    code = 0.1 * torch.cat([random_code(0), random_code(1)])
    truth = so3_grid.at(torch.tensor([100, 2000]), 2, torch.full((2, 3), 0.02))  # near the corners of cells
    network = make_network(TINY, 1, 0)
    integral = network.on_level(code, 3).exp().mean(1).log()
    at = torch.stack([network.logits(c, r[None])[0] for c, r in zip(code, truth, strict=True)])
    expected = float((integral - at).mean()) + math.log(so3_grid.cell_count(2))
    for seed in range(3):
        torch.manual_seed(seed)
        assert float(grid_loss(code, truth, replace(TINY, target="exact"))) == pytest.approx(expected, abs=1e-2)
    assert abs(float(grid_loss(code, truth, replace(TINY, target="cell"))) - expected) > 5e-2


def test_it_learns_what_its_pictures_show() -> None:
    prior, data = fitted(), blobs(8)
    found = torch.stack([prior.rotation(data.photo(i)) for i in range(8)])
    assert float(so3.angle(found, data.rotation[:8]).rad2deg().median()) < 15
    density = prior.density(data.photo(0))
    assert float(density.log_prob(data.rotation[:1])) > 3


def test_random_cells_and_equivalents_are_learned_from_too() -> None:
    for more in ({"candidates": 64}, {"equivalents": "random"}, {"roll_deg": 180.0}, {"projection": "pooled"}):
        made = fit(blobs(), replace(TINY, steps=2, **more))  # type: ignore[arg-type]
        assert made.density(blobs().photo(0)).log_density.isfinite().all()


def test_both_of_two_equivalents_are_modes() -> None:
    prior = fit(blobs(8), replace(TINY, equivalents="random", steps=50))
    data, hits = blobs(8), 0
    for i in range(8):
        modes = prior.density(data.photo(i)).modes(2)
        assert data.equivalents is not None
        angle = so3.angle(*torch.broadcast_tensors(modes.rotation[:, None], data.equivalents(i)[None]))
        hits += int((angle.amin(0).rad2deg() < 25).all())
    assert hits >= 6


def test_the_best_on_held_out_images_is_kept_and_logged(tmp_path: Path) -> None:
    settings = replace(TINY, steps=6, validate_every=2)
    fit(blobs(), settings, held_out=blobs(8, seed=1), out=tmp_path)
    assert (tmp_path / "log.jsonl").read_text().count("validation_log_likelihood") == 3
    assert not checkpoint_path(tmp_path).exists()
    with pytest.raises(ResectError, match="category"):
        fit(blobs(), settings, held_out=blobs(8, seed=1, names=("other",)))


def test_interrupted_and_resumed_it_is_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(TINY, steps=5, candidates=64, points=20)
    whole = fit(blobs(), settings)
    interrupt_at(2, Pictures, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(blobs(), settings, out=tmp_path)
    with pytest.raises(ResectError, match="lmax"):
        fit(blobs(), replace(settings, lmax=2), out=tmp_path, resume=True)
    resumed = fit(blobs(), settings, out=tmp_path, resume=True)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor), name


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    again = zoo.load(tmp_path)
    a, b = (p.propose(blobs().photo(2), 4, torch.Generator()) for p in (fitted(), again))
    assert torch.equal(a.cam_from_world.R, b.cam_from_world.R)
    assert again.categories == ("thing",)


def test_the_label_decides_and_unknown_categories_are_named() -> None:
    data = blobs(names=("a", "b"))
    prior = fit(data, replace(TINY, steps=2, class_label=True))
    photo = blobs().photo(0)
    a, b = (replace(photo, target=Target("x", category=c)) for c in "ab")
    assert not torch.equal(prior.codes([a])[0], prior.codes([b])[0])
    named = replace(photo, target=Target("b"))
    assert torch.equal(prior.codes([named])[0], prior.codes([b])[0])  # as --scene b=MESH says it
    with pytest.raises(ResectError, match="one of a, b, got none"):
        prior.propose(replace(photo, target=None), 1, torch.Generator())
    with pytest.raises(ResectError, match="got 'c'"):
        prior.propose(replace(photo, target=Target("c")), 1, torch.Generator())
    one = fit(blobs(names=("a",)), replace(TINY, steps=1, class_label=True))
    assert len(one.codes([replace(photo, target=None)])[0]) == 1


def test_with_mesh_box_and_camera_the_pose_is_laid_into_the_box_and_turned_back() -> None:
    camera = Camera(100.0, 100.0, 60.0, 40.0, 120, 80)
    image = torch.rand(80, 120, 3, generator=torch.Generator().manual_seed(0))
    photo = Photo("a", image, camera, target=Target("x", category="thing", box=(80.0, 20.0, 110.0, 55.0)))
    prior = fitted().of(solids.box((1.0, 0.6, 0.8)))
    found = prior.propose(photo, 3, torch.Generator())
    assert found.information is not None
    assert bool((torch.linalg.eigvalsh(found.information) > 0).all())
    pixels, _ = camera.project(found.cam_from_world.t)
    assert bool(((pixels - torch.tensor([95.0, 37.5])).abs() < 8).all())
    code, views = prior.codes([photo])
    modes = prior.density_of(code[0]).modes(3, 15.0)
    assert torch.allclose(views[0].turn @ found.cam_from_world.R[0], modes.rotation[0], atol=1e-9)
    nowhere = prior.propose(replace(photo, camera=None), 3, torch.Generator())
    assert nowhere.information is not None
    assert float(nowhere.information[:, :3].abs().max()) == 0


def test_a_picture_that_shows_nothing_has_no_answer() -> None:
    assert len(fitted().propose(Photo("white", torch.ones(30, 30, 3)), 4, torch.Generator())) == 0


def test_settings_are_checked() -> None:
    for bad in ({"lmax": 0}, {"resolution": 3}, {"points": 200}, {"pretrained": "x.pth"}, {"stages": 5}):
        with pytest.raises(ResectError, match=next(iter(bad)) if "pretrained" not in bad else "encoder_width"):
            replace(TINY, **bad)  # type: ignore[arg-type]


def test_the_published_preset_has_the_published_head() -> None:
    network = make_network(replace(PublishedImage2SphereSettings(), encoder="resnet18"), 10, 0)
    shapes = {name: tuple(p.shape) for name, p in network.head.named_parameters()}
    assert shapes["lift.resample"] == (49, 104)
    assert shapes["first.filter"] == (512, 8, 49)
    assert float(network.head.first.filter.detach().abs().max()) == pytest.approx(math.sqrt(6 / 392), rel=1e-3)
