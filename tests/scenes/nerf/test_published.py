"""Released checkpoints of random weights: equal to a plain NeRF written out, and what is no NeRF is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.cli.shell import resect
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.scenes.nerf.network import NerfNetwork
from resect.scenes.nerf.published import Lying, read_published
from resect.scenes.nerf.scene import Nerf
from resect.scenes.nerf.settings import NerfSettings
from resect.types import PhotoSet

SIZES = NerfSettings(depth=8, width=32, octaves=10, view_octaves=4)
LYING = Lying(samples=16, finer_samples=0)
CAMERA = Camera.from_fov(0.7, 6, 5)
POSE = look_at(torch.tensor([[3.0, 1.5, 2.0]]), torch.zeros(1, 3))


def checkpoint(path: Path, settings: NerfSettings = SIZES, *, fine: bool = True) -> dict[str, Tensor]:
    """Weights as the released code saves them; those of the coarse network are returned."""
    coarse, second = (NerfNetwork(settings, seed).state_dict() for seed in (0, 1))
    if not settings.view_directions:
        for weights in (coarse, second):
            for kind in ("weight", "bias"):
                row = weights[f"output_linear.{kind}"]
                weights[f"output_linear.{kind}"] = torch.cat([row, row[:1]])
            weights["views_linears.0.weight"] = torch.zeros(16, 32)
    found = {"global_step": 7, "network_fn_state_dict": coarse, "optimizer_state_dict": {"state": {}}}
    torch.save(found | ({"network_fine_state_dict": second} if fine else {}), path)
    return coarse


def plain(w: dict[str, Tensor], origin: Tensor, ray: Tensor, samples: int) -> Tensor:
    """Coarse NeRF from 2 to 6 on white, a sample at a time."""

    def layer(name: str, v: Tensor) -> Tensor:
        return v @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def encoded(x: Tensor, octaves: int) -> Tensor:
        return torch.cat([x] + [f(2**k * x) for k in range(octaves) for f in (torch.sin, torch.cos)], -1)

    light, colour = torch.ones(len(ray), 1), torch.zeros(len(ray), 3)
    at = torch.linspace(2, 6, samples)
    for k in range(samples):
        place = h = encoded(origin + at[k] * ray, 10)
        for n in range(8):
            h = layer(f"pts_linears.{n}", h).relu()
            h = torch.cat([place, h], -1) if n == 4 else h
        gap = at[k + 1] - at[k] if k + 1 < samples else 1e10
        opacity = 1 - torch.exp(-layer("alpha_linear", h).relu() * gap)
        seen = torch.cat([layer("feature_linear", h), encoded(ray, 4)], -1)
        rgb = layer("rgb_linear", layer("views_linears.0", seen).relu()).sigmoid()
        colour, light = colour + light * opacity * rgb, light * (1 - opacity + 1e-10)
    return colour + light


def test_its_colours_are_those_of_the_formulas_written_out(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path / "a.tar", fine=False)
    weights["alpha_linear.bias"].fill_(0.5)
    torch.save({"network_fn_state_dict": weights}, tmp_path / "a.tar")
    made = read_published(tmp_path / "a.tar", LYING)
    shown = made.render(CAMERA, POSE).rgb
    assert shown is not None
    ray = CAMERA.rays(CAMERA.pixels()) @ POSE.R[0]
    expected = plain(weights, POSE.center, ray, LYING.samples)
    torch.testing.assert_close(shown[0], expected, atol=1e-5, rtol=1e-4)
    assert float((expected - 1).abs().max()) > 0.05
    assert made.bounds.tolist() == [[-2.0] * 3, [2.0] * 3]


def test_networks_without_directions_are_read_too(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.tar", replace(SIZES, view_directions=False))
    made = read_published(tmp_path / "a.tar")
    assert not made.settings.view_directions
    assert made.networks.fine is not None
    assert tuple(made.networks.fine.output_linear.weight.shape) == (4, 32)


def test_photos_that_look_ahead_say_where_it_lies(capture: PhotoSet, tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.tar")
    made = read_published(tmp_path / "a.tar", LYING, capture)
    assert made.space.warp is not None
    assert float(made.space.local_from_world.s) > 0


def test_import_makes_an_artefact(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.tar")
    said = resect("import", tmp_path / "a.tar", "--out", tmp_path / "made", "--samples", 16, 8, "--json")
    assert said.code == 0, said.err
    assert said.json["kind"] == "nerf"
    made = Nerf.load(tmp_path / "made")
    assert torch.equal(
        made.render(CAMERA, POSE).rgb,  # type: ignore[arg-type]
        read_published(tmp_path / "a.tar", Lying(samples=16, finer_samples=8)).render(CAMERA, POSE).rgb,  # type: ignore[arg-type]
    )


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path / "a.tar")
    for change, words in (
        ({"pts_linears.0.weight": torch.zeros(32, 64)}, "3 \\+ 6 L"),
        ({"pts_linears.3.weight": torch.zeros(32, 31)}, "shape"),
        ({"rgb_linear.bias": torch.tensor([0.0, float("nan"), 0.0])}, "finite"),
        ({"density_grid": torch.zeros(3)}, "unknown density_grid"),
    ):
        torch.save({"network_fn_state_dict": weights | change}, tmp_path / "b.tar")
        with pytest.raises(ResectError, match=words):
            read_published(tmp_path / "b.tar")
    with pytest.raises(ResectError, match="near"):
        read_published(tmp_path / "a.tar", Lying(near=6.0, far=2.0))
