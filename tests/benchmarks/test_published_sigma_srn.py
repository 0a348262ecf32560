"""The port of the published marcher shows what resect shows from the same checkpoint, and descends."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned, Orbit
from resect.scenes.sigma_srn.published import published_names, read_published
from resect.scenes.sigma_srn.settings import SigmaSrnSettings

SIDE, FOCAL = 8, 9.0
CAMERA = Camera(FOCAL, FOCAL, 4.5, 4.5, SIDE, SIDE)  # pixel 4 at the optical axis, as the published grid has it
POSES = look_at(torch.tensor([[1.2, 0.3, 0.4], [-0.8, 1.0, 0.2], [0.2, -1.2, 0.6]]), torch.zeros(3, 3))


@pytest.fixture
def port() -> Any:
    return import_module("published_sigma_srn")


def checkpoint(folder: Path, *, weighted: bool = True) -> Path:
    settings = SigmaSrnSettings(code=6, width=16, state=5, marches=10, weighted=weighted, start=0.05)
    network = SigmaSrnNetwork(settings, 3, 4)
    g = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(network.latent_codes.weight, generator=g)
    if network.sigma is not None:
        torch.nn.init.normal_(network.sigma.net[-1].weight, std=0.1, generator=g)  # type: ignore[arg-type]
    path = folder / "epoch_0000_iter_000000.pth"
    torch.save({"model": published_names(network), "optimizer": {}}, path)
    return path


def learned(count: int = 3) -> Learned:
    names = tuple(f"car-{k}" for k in range(count))
    return Learned(names, ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), Orbit.of(POSES), CAMERA, 0.05)


@pytest.mark.parametrize("weighted", [True, False])
def test_a_published_checkpoint_shows_the_same(port: Any, tmp_path: Path, weighted: bool) -> None:
    path = checkpoint(tmp_path, weighted=weighted)
    scene = read_published(path, learned())
    model = port.PublishedSigmaSrn(torch.load(path, weights_only=True)["model"], spread=0.0)
    assert scene.settings.weighted == model.weighted == weighted
    codes = scene.codes[[2, 0, 1]]
    ours = scene.render(CAMERA, POSES, code=codes).rgb
    theirs = model(POSES.inverse().matrix(), (FOCAL, 4.0, 4.0), SIDE, codes)
    assert ours is not None
    assert float(theirs.std()) > 1e-3
    torch.testing.assert_close(ours, (0.5 * (theirs + 1)).clamp(0, 1), atol=1e-4, rtol=1e-3)


def test_its_checkpoints_hold_what_the_published_ones_hold(tmp_path: Path) -> None:
    names = set(torch.load(checkpoint(tmp_path), weights_only=True)["model"])
    for layer in range(4):
        hyper = f"hyper_phi.layers.{layer}.hyper_linear.hypo_params.net"
        assert {f"{hyper}.{k}.net.{m}.{w}" for k in (0, 1) for m in (0, 1) for w in ("weight", "bias")} <= names
        assert f"{hyper}.2.weight" in names
    assert {"latent_codes.weight", "sigma.net.2.net.1.bias", "sigma.net.3.weight"} <= names
    assert {"ray_marcher.lstm.bias_hh", "ray_marcher.out_layer.bias", "pixel_generator.net.5.bias"} <= names


def test_other_counts_of_instances_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="codes"):
        read_published(checkpoint(tmp_path), learned(4))
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(ResectError, match="σSRN"):
        read_published(tmp_path / "other.pth", learned())


def test_the_published_inversion_goes_towards_the_pose(port: Any, tmp_path: Path) -> None:
    model = port.PublishedSigmaSrn(torch.load(checkpoint(tmp_path), weights_only=True)["model"], spread=0.0)
    z, true = model.w["latent_codes.weight"][1], POSES[:1].inverse().matrix()
    seen = model(true, (FOCAL, 4.0, 4.0), SIDE, z[None])[0]
    starts = port.four_around(true[0], 0.1)[2:]
    ended, loss = port.invert(model, seen, (FOCAL, 4.0, 4.0), SIDE, z, starts, steps=60)
    before = port.loss_of("mse", model(starts, (FOCAL, 4.0, 4.0), SIDE, z.expand(2, -1)), seen[None])
    assert bool((loss < 0.9 * before).all())
    assert ended.shape == (2, 4, 4)


def test_its_starts_and_angles(port: Any) -> None:
    g = torch.Generator().manual_seed(1)
    some = so3.exp(torch.randn(20, 3, generator=g))
    assert torch.allclose(port.euler(port.angles(some)), some, atol=1e-5)
    true = POSES[:1].inverse().matrix()[0]
    four = port.four_around(true)
    turned = so3.angle(four[:, :3, :3], true[:3, :3].expand(4, 3, 3))
    assert torch.allclose(turned, torch.full((4,), 0.524), atol=1e-4)
    assert torch.allclose(four[:, :3, 3].norm(dim=1), true[:3, 3].norm().expand(4), atol=1e-5)
    grid = port.twenty_four(1.3)
    assert grid.shape == (24, 4, 4)
    assert float(grid[:, 2, 0].abs().max()) < 1e-6
