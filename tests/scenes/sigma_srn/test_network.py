"""σSRN against its formulas written out a ray and a step at a time; its artefact; bad codes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned, Orbit
from resect.scenes.sigma_srn.scene import SigmaSrn, ready
from resect.scenes.sigma_srn.settings import CarsSigmaSrnSettings, PublishedSigmaSrnSettings, SigmaSrnSettings

TINY = SigmaSrnSettings(code=5, width=12, state=4, marches=3, start=0.05, rays_at_once=64, tensorboard=False)
CAMERA = Camera.from_fov(0.7, 8, 6)
POSES = look_at(torch.tensor([[2.0, 0.5, 0.7], [-0.4, 1.8, 0.6]]), torch.zeros(2, 3))


def scene(settings: SigmaSrnSettings = TINY, instances: int = 3) -> SigmaSrn:
    network = SigmaSrnNetwork(settings, instances, 1)
    if network.sigma is not None:  # as it might be after training, not as it begins
        torch.nn.init.normal_(network.sigma.net[-1].weight, std=0.1, generator=torch.Generator().manual_seed(2))
    names = tuple(f"chair-{k}" for k in range(instances))
    learned = Learned(names, ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), Orbit.of(POSES), CAMERA, 0.05)
    return SigmaSrn(ready(network, settings), settings, learned)


def plain(w: dict[str, Tensor], o: Tensor, d: Tensor, start: float, code: Tensor | None, s: SigmaSrnSettings) -> Tensor:
    """Colour of one ray in [−1, 1]."""

    def stack(name: str, x: Tensor, blocks: int) -> Tensor:
        for k in range(blocks):
            x = w[f"{name}.net.{k}.net.0.weight"] @ x + w[f"{name}.net.{k}.net.0.bias"]
            x = layer_norm(x, x.shape, w[f"{name}.net.{k}.net.1.weight"], w[f"{name}.net.{k}.net.1.bias"]).relu()
        return w[f"{name}.net.{blocks}.weight"] @ x + w[f"{name}.net.{blocks}.bias"]

    def phi(x: Tensor) -> Tensor:
        for k in range(4):
            if code is None:
                x = w[f"phi.{k}.net.0.weight"] @ x + w[f"phi.{k}.net.0.bias"]
                x = layer_norm(x, x.shape, w[f"phi.{k}.net.1.weight"], w[f"phi.{k}.net.1.bias"]).relu()
                continue
            flat, inputs = stack(f"hyper.{k}", code, 2), 3 if k == 0 else s.width
            matrix = flat[: inputs * s.width].reshape(s.width, inputs)
            x = matrix @ x + flat[inputs * s.width :]
            x = layer_norm(x, x.shape).relu()
        return x

    h, c, at, total = torch.zeros(s.state), torch.zeros(s.state), start, torch.zeros(s.width)
    for step in range(s.marches + 1):
        x = o + at * d
        if s.weighted:
            total = total + stack("sigma", x, 3) * phi(x)
        if step == s.marches:
            break
        gates = w["ray_marcher.lstm.weight_ih"] @ phi(x) + w["ray_marcher.lstm.bias_ih"]
        gates = gates + w["ray_marcher.lstm.weight_hh"] @ h + w["ray_marcher.lstm.bias_hh"]
        i, f, g, out = gates.split(s.state)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = out.sigmoid() * c.tanh()
        at = at + float(w["ray_marcher.out_layer.weight"] @ h + w["ray_marcher.out_layer.bias"])
    return stack("pixel_generator", total if s.weighted else phi(o + at * d), 5)


@pytest.mark.parametrize("settings", [TINY, replace(TINY, weighted=False), replace(TINY, code=0)])
def test_colours_are_those_of_the_formulas(settings: SigmaSrnSettings) -> None:
    made = scene(settings)
    code = made.codes[[2, 0]] * 50 if settings.code else None
    shown = made.render(CAMERA, POSES, code=code).rgb
    assert shown is not None
    rays = CAMERA.rays(CAMERA.pixels())
    w = dict(made.network.state_dict())
    for h, n in ((0, 0), (0, 20), (1, 33)):
        d, start = rays[n] @ POSES.R[h], settings.start / float(rays[n, 2])
        rgb = plain(w, POSES.center[h], d, start, None if code is None else code[h], settings)
        torch.testing.assert_close(shown[h, n], (0.5 * (rgb + 1)).clamp(0, 1), atol=2e-5, rtol=1e-4)


def test_the_published_sizes() -> None:
    network = SigmaSrnNetwork(PublishedSigmaSrnSettings(), 2, 0)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert round(parts["hyper"] / 1e6, 1) == 51.5
    assert round(parts["pixel_generator"] / 1e6, 2) == 0.33
    assert round(parts["sigma"] / 1e6, 2) == 0.13
    assert round(parts["ray_marcher"] / 1e3) == 18


def test_gradients_reach_pose_and_code() -> None:
    made = scene()
    delta = torch.zeros(2, 6, requires_grad=True)
    code = (made.codes[[0, 1]] * 50).requires_grad_()
    moved = SE3(POSES.R, POSES.t).retract(delta)
    rgb = made.render(CAMERA, moved, code=code).rgb
    assert rgb is not None
    rgb.sum().backward()
    for found in (delta.grad, code.grad):
        assert found is not None
        assert bool((found.abs().sum(1) > 0).all())


def test_memory_is_bounded_without_a_change() -> None:
    made = scene()
    code = made.codes[[0, 1]]
    whole = made.render(CAMERA, POSES, made.channels, code=code)
    made.settings = replace(made.settings, rays_at_once=7)
    parts = made.render(CAMERA, POSES, made.channels, code=code)
    for name in made.channels:
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), atol=1e-6, rtol=1e-6)


def test_the_artefact_is_the_scene(tmp_path: Path) -> None:
    made = scene()
    made.save(tmp_path)
    found = SigmaSrn.load(tmp_path)
    code = made.code_of("chair-1")[None]
    one, other = (x.render(CAMERA, POSES[:1], code=code).rgb for x in (made, found))
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)
    assert found.instances == made.instances


def test_codes_that_do_not_fit_are_refused() -> None:
    made = scene()
    for code in (None, torch.zeros(1, 5), torch.zeros(2, 4)):
        with pytest.raises(ResectError, match="code"):
            made.render(CAMERA, POSES, code=code)
    with pytest.raises(ResectError, match="chair-1"):
        made.code_of("chair-11")
    with pytest.raises(ResectError, match="0 to 2"):
        made.code_of(3)


def test_stages_take_their_shares_of_the_steps() -> None:
    s = replace(TINY, sides=(16, 32), shares=(0.25, 0.75), steps=100)
    assert [s.side_at(k) for k in (0, 24, 25, 99)] == [16, 16, 32, 32]
    cars = CarsSigmaSrnSettings()
    assert [(cars.side_at(k), cars.batch_at(k)) for k in (4_999, 5_000)] == [(64, 64), (128, 16)]
    with pytest.raises(ResectError, match="batches"):
        replace(s, batches=(4,))
    with pytest.raises(ResectError, match="shares"):
        replace(TINY, sides=(16, 32))


def test_derivatives_are_those_of_small_steps() -> None:
    made = scene()
    made.network.double()
    code, pixels = made.codes[[0, 1]] * 50, CAMERA.pixels().double()
    poses = POSES.double()

    def shown(pose: SE3, codes: Tensor) -> Tensor:
        rays = CAMERA.rays(pixels)
        direction = rays @ pose.R
        start = (made.settings.start / rays[:, 2]).expand(direction.shape[:2])
        seen = made.network(pose.center[:, None].expand_as(direction), direction, start, codes)
        return 0.5 * (seen.rgb + 1)

    value, jacobian = (x.double() for x in scene().derivatives(CAMERA, POSES, CAMERA.pixels(), code.float()))
    inside = (value > 0) & (value < 1)
    assert bool(inside.any())
    for k in range(6):
        delta = torch.zeros(2, 6, dtype=torch.float64)
        delta[:, k] = 1e-6
        numeric = (shown(poses.retract(delta), code) - shown(poses.retract(-delta), code)) / 2e-6
        error = (
            ((jacobian[..., k] - numeric) * inside).abs().flatten().quantile(0.98)
        )  # the others lie at a ReLU's kink
        assert float(error) < 1e-4 * float((numeric * inside).abs().max())
    assert float((jacobian * ~inside[..., None]).abs().max()) == 0


def test_one_instance_is_a_scene_of_its_own() -> None:
    made = scene()
    one = made.of("chair-1")
    assert one.code_dim == 0
    code = made.code_of(1).expand(2, 5)
    a, b = one.render(CAMERA, POSES, ("rgb", "depth")), made.render(CAMERA, POSES, ("rgb", "depth"), code=code)
    assert a.rgb is not None
    assert b.rgb is not None
    assert torch.equal(a.rgb, b.rgb)
    value, jacobian = one.linearize(CAMERA, POSES, CAMERA.pixels(), "rgb")
    assert jacobian.shape == (2, 48, 3, 6)
    torch.testing.assert_close(value, a.rgb, atol=1e-6, rtol=1e-5)
    with pytest.raises(ResectError, match="channel"):
        one.linearize(CAMERA, POSES, CAMERA.pixels(), "depth")


def test_an_orbit_is_told_from_its_cameras() -> None:
    azimuth = torch.arange(40) * 0.7
    height = torch.linspace(0.1, 0.9, 40)
    toward = torch.stack([height.cos() * azimuth.cos(), height.sin(), height.cos() * azimuth.sin()], -1)
    middle = torch.tensor([0.2, -0.1, 0.3])
    found = Orbit.of(look_at(middle + 1.5 * toward, middle.expand(40, 3), torch.tensor([0.0, 1.0, 0.0])))
    assert found.radius == pytest.approx(1.5, abs=1e-3)
    assert found.center == pytest.approx(middle.tolist(), abs=1e-3)
    assert found.up == pytest.approx((0, 1, 0), abs=1e-3)
    assert found.elevation_rad == pytest.approx((0.14, 0.86), abs=0.01)
