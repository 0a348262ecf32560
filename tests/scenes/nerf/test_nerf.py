"""A NeRF against its formulas written out, its artefact, and a fit."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.scenes.nerf.toy import TINY, random_nerf
from torch import Tensor

from resect import zoo
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.metrics.image import psnr
from resect.scenes.nerf.fit import fit
from resect.scenes.nerf.march import march
from resect.scenes.nerf.network import NerfNetwork
from resect.scenes.nerf.scene import Nerf
from resect.scenes.nerf.settings import NerfSettings, PublishedNerfSettings
from resect.types import PhotoSet

CAMERA = Camera.from_fov(0.8, 12, 9)
POSE = look_at(torch.tensor([[3.0, 0.5, 1.0]]), torch.zeros(1, 3))


def encoded(x: Tensor, octaves: int) -> Tensor:
    return torch.cat([x] + [f(2**k * x) for k in range(octaves) for f in (torch.sin, torch.cos)], -1)


@pytest.mark.parametrize("settings", [replace(TINY, depth=8), replace(TINY, view_directions=False), TINY])
def test_the_network_is_the_published_one(settings: NerfSettings) -> None:
    network = NerfNetwork(settings, 0)
    w = network.state_dict()
    g = torch.Generator().manual_seed(0)
    x, d = torch.randn(7, 3, generator=g), torch.nn.functional.normalize(torch.randn(7, 3, generator=g), dim=-1)

    def layer(name: str, v: Tensor) -> Tensor:
        return v @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    place = h = encoded(x, settings.octaves)
    for k in range(settings.depth):
        h = layer(f"pts_linears.{k}", h).relu()
        if k == 4 and settings.depth > 5:
            h = torch.cat([place, h], -1)
    if settings.view_directions:
        seen = torch.cat([layer("feature_linear", h), encoded(d, settings.view_octaves)], -1)
        rgb, density = layer("rgb_linear", layer("views_linears.0", seen).relu()), layer("alpha_linear", h)[:, 0]
    else:
        rgb, density = layer("output_linear", h).split((3, 1), -1)
        density = density[:, 0]
    found = network(x, d)
    torch.testing.assert_close(found[0], rgb.sigmoid())
    torch.testing.assert_close(found[1], density)


def test_the_published_sizes() -> None:
    s = PublishedNerfSettings()
    network = NerfNetwork(s, 0)
    assert sum(p.numel() for p in network.parameters()) == 595_844
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert shapes["pts_linears.0.weight"] == (256, 63)
    assert shapes["pts_linears.5.weight"] == (256, 319)
    assert shapes["views_linears.0.weight"] == (128, 283)


@pytest.mark.parametrize("warp", [None, (1.8, 2.4)])
def test_derivatives_are_those_of_finite_differences(warp: tuple[float, float] | None) -> None:
    """Of one network, whose samples do not move with the ray; the differences are taken in float64."""
    scene = random_nerf(replace(TINY, finer_samples=0), warp)
    exact, behind = deepcopy(scene.networks).double(), torch.tensor(scene.background).double()
    ray = CAMERA.rays(CAMERA.pixels())[::9].double() @ POSE.R[0].double()
    origin, step = POSE.center[0].double().expand_as(ray).contiguous(), 1e-5

    def colour(o: Tensor, d: Tensor) -> Tensor:
        return march(exact, scene.space, *scene.space.local(o, d), behind)[-1][0].rgb

    _, by_origin, by_direction = scene.ray_jacobian(origin.float(), ray.float())
    for axis in range(3):
        move = step * torch.eye(3, dtype=torch.float64)[axis]
        numeric = (colour(origin + move, ray) - colour(origin - move, ray)) / (2 * step)
        torch.testing.assert_close(by_origin[..., axis].double(), numeric, atol=2e-3, rtol=2e-3)
        numeric = (colour(origin, ray + move) - colour(origin, ray - move)) / (2 * step)
        torch.testing.assert_close(by_direction[..., axis].double(), numeric, atol=2e-3, rtol=2e-3)


def test_memory_is_bounded_without_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_nerf()
    whole = scene.render(CAMERA, POSE, scene.channels)
    scene.settings = replace(scene.settings, rays_at_once=7)
    parts = scene.render(CAMERA, POSE, scene.channels)
    for name in scene.channels:
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), atol=1e-5, rtol=1e-5)


def test_the_artefact_is_the_scene(tmp_path: Path) -> None:
    scene = random_nerf(warp=(1.8, 2.4))
    scene.save(tmp_path / "a")
    found = zoo.load(tmp_path / "a")
    assert isinstance(found, Nerf)
    assert torch.equal(found.render(CAMERA, POSE).rgb, scene.render(CAMERA, POSE).rgb)  # type: ignore[arg-type]
    assert torch.equal(found.bounds, scene.bounds)
    text = (tmp_path / "a" / "artifact.json").read_text()
    for bad in (text.replace('"near": 0.0', '"near": 2.0'), text.replace('"s": 0.5', '"s": -1')):
        assert bad != text
        (tmp_path / "a" / "artifact.json").write_text(bad)
        with pytest.raises(ResectError, match="space"):
            Nerf.load(tmp_path / "a")


def test_it_learns_a_room(capture: PhotoSet, tmp_path: Path) -> None:
    made = fit(capture, TINY, out=tmp_path)
    assert {p.name for p in tmp_path.iterdir()} >= {"artifact.json", "weights.safetensors", "log.jsonl"}
    values = []
    for i in (0, 5, 10):
        camera = capture.cameras[i].fit_within(24)
        shown = made.render(camera, capture.truth.cam_from_world[i : i + 1].float()).rgb
        seen = made.observe(capture[i], camera).rgb
        assert shown is not None
        assert seen is not None
        values.append(psnr(shown[0].clamp(0, 1)[None], seen))
    assert sum(values) / 3 > 15
    assert bool((made.bounds[0] < made.bounds[1]).all())


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ResectError, match="near"):
        NerfSettings(near=3.0, far=2.0)
    with pytest.raises(ResectError, match="samples"):
        NerfSettings(samples=1)


def test_photos_that_say_no_depth_are_not_warped(capture: PhotoSet) -> None:
    with pytest.raises(ResectError, match="warped"):
        fit(replace(capture, world=replace(capture.world, depth_range=None)), replace(TINY, warped="yes"))
