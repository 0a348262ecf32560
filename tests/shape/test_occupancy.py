from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.shapes import read_shapes
from resect.errors import ResectError
from resect.geometry import solids
from resect.shape.network import OccupancyNetwork, make_network
from resect.shape.occupancy import Occupancy
from resect.shape.published import read_published
from resect.shape.refinement import refine
from resect.shape.settings import OccupancySettings, PublishedOccupancySettings


@pytest.fixture
def made(tiny: OccupancySettings) -> Occupancy:
    return Occupancy(make_network(tiny, 0), tiny, ("chair",))


def test_an_artefact_reads_back_the_same(made: Occupancy, chairs: Path, tmp_path: Path) -> None:
    made.save(tmp_path)
    again = Occupancy.load(tmp_path)
    photo, points = read_shapes(chairs).photo(0, 0), torch.rand(40, 3)
    assert torch.equal(again.occupancy(points, again.encode(photo)), made.occupancy(points, made.encode(photo)))
    assert again.categories == ("chair",)
    assert again.settings == made.settings


def test_the_level_is_the_threshold_as_a_logit(made: Occupancy, tiny: OccupancySettings) -> None:
    assert made.level == 0
    assert torch.tensor(Occupancy(made.network, replace(tiny, threshold=0.2)).level).sigmoid() == pytest.approx(0.2)


def test_occupancy_is_differentiable_in_points_and_code(made: Occupancy) -> None:
    points, code = torch.rand(5, 3, requires_grad=True), torch.randn(2, 8, requires_grad=True)
    torch.nn.init.normal_(made.network.decoder.block0.fc_1.weight)  # type: ignore[union-attr, arg-type]
    torch.nn.init.normal_(made.network.decoder.bn.conv_gamma.weight)
    made.occupancy(points, code).sum().backward()
    assert points.grad is not None
    assert float(points.grad.abs().min()) > 0
    assert code.grad is not None
    assert float(code.grad.abs().min()) > 0
    assert len(made.occupancy(torch.zeros(0, 3), code)) == 0


def test_a_mirrored_photo_shows_the_mirrored_shape(made: Occupancy, chairs: Path) -> None:
    for layer in (made.network.decoder.block0.fc_1.weight, made.network.decoder.bn.conv_gamma.weight):  # type: ignore[union-attr]
        torch.nn.init.normal_(layer)  # type: ignore[arg-type]
    photo, points = read_shapes(chairs).photo(0, 0), torch.rand(40, 3)
    alpha = None if photo.alpha is None else photo.alpha.flip(1)
    flipped = replace(photo, image=photo.image.flip(1), alpha=alpha)
    found = made.occupancy(points, made.encode(photo))
    assert float(found.std()) > 1e-3
    there = made.occupancy(points * torch.tensor([1.0, 1.0, -1.0]), made.encode(flipped))
    assert torch.allclose(there, found, atol=1e-4)
    alone = Occupancy(made.network, replace(made.settings, mirror=False))
    assert alone.encode(photo).shape == (1, 8)
    assert not torch.allclose(alone.occupancy(points, alone.encode(photo)), found, atol=1e-3)


def test_the_mesh_is_where_the_field_says(made: Occupancy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "occupancy", lambda points, code: code[0, 0] - points.norm(dim=-1))
    mesh = made.mesh(code=torch.tensor([[0.3]]), cells=16, halvings=1)
    assert torch.allclose(mesh.vertices.norm(dim=-1), torch.tensor(0.3), atol=2e-3)
    with pytest.raises(ResectError, match="nothing"):
        made.mesh(code=torch.tensor([[-0.3]]), cells=8)
    with pytest.raises(ResectError, match="both or neither"):
        made.mesh()


def test_refinement_moves_vertices_onto_the_surface() -> None:
    rough = solids.icosphere(0.31, 3)

    def logit(points: torch.Tensor) -> torch.Tensor:
        return 20 * (0.3 - points.norm(dim=-1))

    fine = refine(rough, logit, 0.5, 100, rate=5e-4)
    off = (fine.vertices.norm(dim=-1) - 0.3).abs()
    assert float(off.max()) < 0.005
    assert torch.equal(fine.faces, rough.faces)


PUBLISHED = PublishedOccupancySettings()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("settings", [PUBLISHED, replace(PUBLISHED, input="points", pool=False, code=96, width=32)])
def test_a_released_checkpoint_is_read(settings: OccupancySettings, legacy: bool, tmp_path: Path) -> None:
    network = OccupancyNetwork(settings).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    weights = dict(network.state_dict())
    if legacy:
        weights = {
            k.replace("conv_gamma", "fc_gamma").replace("conv_beta", "fc_beta"): v[..., 0]
            if "conv_" in k and v.ndim == 3
            else v
            for k, v in weights.items()
        }
    extras = {"epoch_it": 3, "it": 1000, "loss_val_best": 0.5, "optimizer": {}}
    torch.save({"model": weights, **extras}, tmp_path / "onet.pt")
    made = read_published(tmp_path / "onet.pt")
    assert made.settings == settings
    points, code = torch.rand(1, 20, 3), torch.randn(1, settings.code)
    assert torch.equal(made.occupancy(points[0], code), network.decoder(points, code)[0])
    assert {"encoder", "decoder"} == {name.split(".")[0] for name in made.network.state_dict()}


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    for model in ({"encoder_latent.fc.weight": torch.zeros(1)}, {"decoder.fc_p.weight": torch.zeros(1)}, {"a": 3}):
        torch.save({"model": model}, tmp_path / "x.pt")
        with pytest.raises(ResectError):
            read_published(tmp_path / "x.pt")


def test_damaged_artefacts_are_refused(made: Occupancy, tmp_path: Path) -> None:
    from resect import artifact

    state = dict(made.network.state_dict())
    for spoilt in (
        {**state, "more": torch.zeros(1)},
        {k: v for k, v in state.items() if k != "decoder.fc_out.weight"},
        {**state, "decoder.fc_out.weight": torch.full_like(state["decoder.fc_out.weight"], torch.nan)},
    ):
        artifact.save(tmp_path, "occupancy", made.settings, spoilt, extra={"categories": ["chair"]})
        with pytest.raises(ResectError):
            Occupancy.load(tmp_path)
