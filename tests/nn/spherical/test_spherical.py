"""The head against direct sums, against its own symmetries, and against e3nn where that is installed."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from resect.geometry import so3
from resect.geometry.harmonics import from_angles, wigner_d
from resect.geometry.so3_series import basis, evaluate, of_product, series_size
from resect.nn.spherical.convolution import RotationConvolution, SphereConvolution, ring_rotations
from resect.nn.spherical.head import SphericalHead
from resect.nn.spherical.lift import OrthographicLift, half_sphere, orthographic_weights
from resect.nn.spherical.rectify import from_grid, quadrature, rectify, rectify_sphere, to_grid

L = 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def about_y(angle: float) -> Tensor:
    a = torch.tensor([angle, 0.0, 0.0], dtype=torch.float64)
    return from_angles(*a)


def turned(harmonics: Tensor, by: Tensor) -> Tensor:
    """The signal turned by S: f(S⁻¹ n)."""
    lmax = round(math.sqrt(harmonics.shape[-1])) - 1
    parts = [harmonics[..., d * d : (d + 1) ** 2] @ wigner_d(by, d).mT for d in range(lmax + 1)]
    return torch.cat(parts, -1)


def make(seed: int = 0, **more: Any) -> SphericalHead:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (
            SphericalHead(6, 7, **{"lmax": L, "features": 5, "hidden": 3, "resolution": 6, **more})
            .double()
            .eval()
            .requires_grad_(False)
        )


def test_values_on_the_grid_are_the_direct_sum_and_come_back() -> None:
    series, n = random(3, series_size(L)), 6
    angle = torch.arange(4 * n, dtype=torch.float64) * (2 * math.pi / (4 * n))
    beta = (torch.arange(2 * n, dtype=torch.float64) + 0.5) * (math.pi / (2 * n))
    a, c, b = torch.meshgrid(angle, angle, beta, indexing="ij")
    direct = torch.einsum("nk,acbk->acnb", series, basis(from_angles(a, b, c), L)) / math.sqrt(series_size(L))
    values = to_grid(series, L, n)
    torch.testing.assert_close(values, direct.flatten(2), atol=1e-12, rtol=0)
    torch.testing.assert_close(from_grid(values, L, n), series, atol=1e-12, rtol=0)


def test_quadrature_integrates_polynomials_of_the_height() -> None:
    height = ((torch.arange(12, dtype=torch.float64) + 0.5) * (math.pi / 12)).cos()
    for power in range(12):
        mean = 1 / (power + 1) if power % 2 == 0 else 0.0
        assert float((quadrature(12) * height**power).sum()) == pytest.approx(mean, abs=1e-14)


def test_rectifying_has_the_derivative_of_finite_differences() -> None:
    series = random(1, 2, series_size(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: rectify(x, 2, 3), series, eps=1e-6, atol=1e-6)


def test_a_positive_function_is_only_scaled() -> None:
    series = 0.01 * random(2, series_size(L))
    series[:, 0] = 5.0
    torch.testing.assert_close(rectify(series, L, 6), math.sqrt(2) * series, atol=1e-12, rtol=0)
    harmonics = 0.01 * random(2, 49)
    harmonics[:, 0] = 5.0
    torch.testing.assert_close(rectify_sphere(harmonics, 6), math.sqrt(2) * harmonics, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "by", [about_y(2 * math.pi * 5 / 24), so3.exp(torch.tensor([math.pi, 0, 0], dtype=torch.float64))]
)
def test_a_turned_signal_turns_the_answer(by: Tensor) -> None:
    """Exactly for turns that take the rectifier's grid to itself."""
    head, signal = make(), random(2, 5, (L + 1) ** 2)
    found = head.turn(turned(signal, by))
    torch.testing.assert_close(found, of_product(head.turn(signal), L, right=by), atol=1e-12, rtol=0)


def test_any_turn_turns_the_convolutions_exactly_and_the_rectifier_nearly() -> None:
    by, signal = so3.exp(torch.tensor([0.3, 0.5, -0.2], dtype=torch.float64)), random(2, 5, (L + 1) ** 2)
    head = make()
    first = head.first(signal)
    torch.testing.assert_close(head.first(turned(signal, by)), of_product(first, L, right=by), atol=1e-12, rtol=0)
    second = head.second(of_product(first, L, right=by))
    torch.testing.assert_close(second, of_product(head.second(first), L, right=by), atol=1e-12, rtol=0)
    errors = []
    for resolution in (6, 24):  # what is left is what the grid does not hold
        head = make(resolution=resolution)
        answer = head.turn(signal)
        errors.append(
            (head.turn(turned(signal, by)) - of_product(answer, L, right=by)).abs().max() / answer.abs().max()
        )
    assert float(errors[0]) < 0.02
    assert float(errors[1]) < 0.001


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_an_image_turned_by_quarters_turns_the_answer(turns: int) -> None:
    """Before training; the weights between map and sphere are learned."""
    head, features = make(), random(2, 6, 7, 7)
    at = so3.exp(random(9, 3))
    found = evaluate(head(torch.rot90(features, turns, (2, 3))), at, L)  # to the left
    expected = evaluate(head(features), at @ about_y(turns * math.pi / 2), L)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_an_equal_signal_everywhere_says_nothing() -> None:
    signal = torch.zeros(1, 5, (L + 1) ** 2, dtype=torch.float64)
    signal[..., 0] = random(1, 5)
    assert float(make().turn(signal)[:, 1:].abs().max()) < 1e-12


def test_points_lie_on_the_near_half_and_look_where_they_are_seen() -> None:
    points = half_sphere()
    assert len(points) == 104
    assert int((points[:, 1].abs() < 1e-9).sum()) == 16
    weights = orthographic_weights(9).double()
    assert float(weights.sum(0).max()) <= 1 + 1e-6
    cell = torch.linspace(-1, 1, 9, dtype=torch.float64)
    seen = torch.stack([(cell[None, :, None] * w).sum((0, 1)) for w in (weights.view(9, 9, -1),)])[0] / weights.sum(0)
    inner = points[:, 1] > 0.5
    torch.testing.assert_close(seen[inner], 0.9 * points[inner, 0], atol=0.03, rtol=0)  # right is +x


def test_random_points_on_average_are_all_points_before_the_rectifier() -> None:
    lift = OrthographicLift(6, 5, 7, L, points=20).double().requires_grad_(False)
    features = random(1, 6, 7, 7)
    g = generator()
    mean = torch.stack([lift(features, None, lift.choose(g)) for _ in range(400)]).mean(0)
    whole = lift(features)
    assert float((mean - whole).abs().max()) < 0.15 * float(whole.abs().max())


def test_evaluation_with_random_points_is_deterministic_and_training_is_not() -> None:
    head, features = make(points=20), random(1, 6, 7, 7)
    assert torch.equal(head(features), head(features))
    head.train()
    assert not torch.equal(head(features), head(features))


@pytest.mark.parametrize("projection", ["orthographic", "pooled"])
def test_a_label_decides(projection: str) -> None:
    head = make(classes=3, projection=projection)
    features = random(1, 6, 7, 7)
    one, other = (head(features, torch.tensor([k])) for k in (0, 2))
    assert one.shape == (1, series_size(L))
    assert not torch.allclose(one, other)


def test_lower_precision_around_it_changes_nothing() -> None:
    head, features = make().float(), random(1, 6, 7, 7).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(features), head(features))
        assert head(features).dtype == torch.float32


def _oracle(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason="e3nn is not installed; it is an oracle of these tests alone")


@pytest.fixture
def e3nn_rectifier() -> Callable[[Tensor], Tensor]:
    nn = _oracle("e3nn.nn")
    found = nn.SO3Activation(3, 3, torch.relu, 5)
    return lambda x: found(x) * (math.sqrt(2) / found.act.cst)


@pytest.mark.filterwarnings("ignore")
def test_the_rectifier_is_e3nns(e3nn_rectifier: Callable[[Tensor], Tensor]) -> None:
    series = random(4, series_size(3)).float()
    torch.testing.assert_close(rectify(series, 3, 5), e3nn_rectifier(series), atol=2e-5, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_the_rectifier_on_the_sphere_is_e3nns() -> None:
    nn, o3 = _oracle("e3nn.nn"), _oracle("e3nn.o3")
    act = nn.S2Activation(o3.Irreps([(1, (d, 1)) for d in range(7)]), torch.relu, 20)
    series = random(4, 49).float()
    expected = act(series) * (math.sqrt(2) / act.act.cst)
    torch.testing.assert_close(rectify_sphere(series, 6), expected, atol=2e-5, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_the_convolutions_are_e3nns() -> None:
    """In values: Σ over filters and signals of their product with e3nn's D."""
    o3 = _oracle("e3nn.o3")
    first = SphereConvolution(5, 3, L).double()
    signal = random(2, 5, (L + 1) ** 2)
    at = so3.exp(random(7, 3))
    d_of = [o3.matrix_to_angles(r) for r in at]
    found = evaluate(first(signal), at, L)
    for k, angles in enumerate(d_of):
        total = torch.zeros(2, 3, dtype=torch.float64)
        for d in range(L + 1):
            part = slice(d * d, (d + 1) ** 2)
            turn = math.sqrt(2 * d + 1) * o3.wigner_D(d, *angles)
            total += torch.einsum("xyw,wi,bxi->by", first.filter[..., part], turn, signal[..., part])
        torch.testing.assert_close(found[..., k], total / math.sqrt(5), atol=1e-5, rtol=0)


def test_a_filter_at_one_rotation_shifts() -> None:
    """The convolution with a point at g is R ↦ f(g R), but for a factor for each degree."""
    layer, series = RotationConvolution(1, 1, L).double(), random(1, 1, series_size(L))
    with torch.no_grad():
        layer.filter.zero_()
        layer.filter[0, 0, 40] = math.sqrt(len(ring_rotations()))
    found = layer(series)
    expected = of_product(series, L, left=ring_rotations()[40])
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
