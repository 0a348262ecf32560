"""Meshes cut from a NeRF whose density is known."""

from pathlib import Path

import pytest
import torch
from tests.cli.shell import resect
from tests.scenes.nerf.toy import random_nerf

from resect.data.mesh import read_mesh
from resect.errors import ResectError
from resect.scenes.nerf.scene import Nerf
from resect.scenes.nerf.surface import colours, density

CENTER, RADIUS = torch.tensor([0.2, -0.1, 0.3]), 0.6


def ball(monkeypatch: pytest.MonkeyPatch) -> Nerf:
    """A NeRF of a ball of the world, red where it is seen from above."""
    made = random_nerf()
    fine = made.networks.fine
    assert fine is not None
    back = made.space.local_from_world.inverse()

    def forward(points: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        world = back.apply(points.double())
        raw = 40 * (RADIUS - (world - CENTER).norm(dim=-1))
        down = (directions.double() @ made.space.local_from_world.R)[:, 2] < 0
        return torch.stack([down, ~down, down], -1).to(points), raw.to(points)

    monkeypatch.setattr(fine, "forward", forward)
    return made


def test_density_is_per_unit_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ball(monkeypatch)
    points = CENTER + torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.7, 0.0, 0.0]])
    torch.testing.assert_close(density(made, points), torch.tensor([24.0, 4.0, 0.0]) * 0.5, atol=1e-3, rtol=1e-3)
    along = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    assert colours(made, points[:2], along).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_a_mesh_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = ball(monkeypatch)
    monkeypatch.setattr(Nerf, "load", lambda folder, device: made)
    flags = ("--density", 1.0, "--cells", 12, "--halvings", 1, "--threads", 1, "--json")
    said = resect("mesh", "extract", tmp_path, "--out", tmp_path / "ball.ply", *flags)
    assert said.code == 0, said.err
    mesh = read_mesh(tmp_path / "ball.ply")
    away = (mesh.vertices - CENTER).norm(dim=-1)
    torch.testing.assert_close(away, torch.full_like(away, RADIUS - 1 / 20), atol=0.06, rtol=0)
    assert mesh.colors is not None
    above = mesh.vertices[:, 2] > CENTER[2] + 0.3
    assert float(mesh.colors[above, 0].mean()) > 0.9
    assert float(mesh.colors[~above & (mesh.vertices[:, 2] < CENTER[2] - 0.3), 0].mean()) < 0.1


def test_a_density_that_is_nowhere_is_answered_by_the_greatest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = ball(monkeypatch)
    monkeypatch.setattr(Nerf, "load", lambda folder, device: made)
    flags = ("--density", 100.0, "--cells", 8, "--halvings", 0, "--threads", 1)
    said = resect("mesh", "extract", tmp_path, "--out", tmp_path / "ball.ply", *flags)
    assert said.code == 2
    greatest = float(said.err.split("the greatest is ")[1].split(",")[0])
    assert 3 < greatest < 12.1


def test_a_warped_one_has_no_mesh() -> None:
    with pytest.raises(ResectError, match="ahead"):
        density(random_nerf(warp=(1.8, 2.4)), torch.zeros(1, 3))
