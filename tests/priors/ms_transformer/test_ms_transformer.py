from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.captures import TEST, capture
from tests.priors.ms_transformer_networks import both, places, tiny
from tests.training.interrupted import interrupt_at

from resect import zoo
from resect.errors import ResectError
from resect.nn.backbone.make import Backbone
from resect.nn.transformer import GridPosition, Transformer
from resect.priors.ms_transformer.fit import Batches, Source, fit
from resect.priors.ms_transformer.network import MSTransformerNetwork
from resect.priors.ms_transformer.prior import MSTransformer
from resect.priors.ms_transformer.settings import (
    FinetunedMSTransformerSettings,
    MSTransformerSettings,
    PublishedMSTransformerSettings,
)
from resect.training.loop import Turn


def test_sizes_are_the_published_ones() -> None:
    """6.33 million parameters in six layers of each kind, 4.22 million in four."""
    with torch.device("meta"):
        for layers, published in ((6, 6.33e6), (4, 4.22e6)):
            count = sum(p.numel() for p in Transformer(layers, layers, 256, 8, 256, 0.1).parameters())
            assert count == pytest.approx(published, rel=0.002)
        names = set(Transformer(1, 1, 256, 8, 256, 0.1).state_dict())
    assert {"encoder.layers.0.self_attn.in_proj_weight", "decoder.layers.0.multihead_attn.out_proj.weight"} <= names
    assert {"encoder.norm.weight", "decoder.norm.bias", "decoder.layers.0.norm3.weight"} <= names


def test_published_maps_and_heads() -> None:
    with torch.device("meta"):
        s = PublishedMSTransformerSettings()
        network = MSTransformerNetwork(s, 7, Backbone("efficientnet_b0"))
        x, q = network.see(torch.zeros(1, 3, 224, 224))
    assert (x.shape[1:], q.shape[1:]) == ((112, 14, 14), (40, 28, 28))
    heads = sum(p.numel() for m in (network.x_head, network.q_head) for p in m.parameters())
    assert heads == pytest.approx(0.53e6, rel=0.01)


def test_a_cell_knows_its_column_in_its_first_half_and_its_row_in_its_second() -> None:
    position = GridPosition(8)(3, 5).view(3, 5, 8)
    assert torch.equal(position[0, 2, :4], position[2, 2, :4])
    assert torch.equal(position[1, 0, 4:], position[1, 4, 4:])
    assert not torch.equal(position[0, 2], position[0, 3])


def test_it_tells_places_apart_and_regresses_in_each() -> None:
    prior, data = both(), places()
    assert prior.names == ("attic", "hall")
    for number, name in enumerate(prior.names):
        likely = torch.stack([prior.probabilities(data[name][i]) for i in range(4)])
        torch.testing.assert_close(likely.sum(1), torch.ones(4))
        assert float(likely[:, number].mean()) > 0.5
        found = prior.propose(data[name][0], 3, torch.Generator())
        assert len(found) == 1
        asked = prior.of(name).propose(data[name][0], 3, torch.Generator())
        assert asked.source == (f"ms-transformer:{name}",)
    with pytest.raises(ResectError, match="attic, hall"):
        prior.of("cellar")
    with pytest.raises(ResectError, match="one place"):
        prior.latent(data["hall"][0])


def test_attention_is_a_distribution_over_cells() -> None:
    found = both().attention(capture()[TEST[0]], "hall")
    assert set(found) == {"position", "rotation"}
    for weights in found.values():
        assert weights.shape == (2, 2)
        assert float(weights.sum()) == pytest.approx(1, abs=1e-5)


def test_scenes_are_equalised() -> None:
    s = replace(tiny(), batch=400)
    prior, data = both(), [places()[n] for n in both().names]
    shares = {}
    for equalize in (True, False):
        source = Source(data, [p.frame for p in prior.places.values()], prior.network, replace(s, equalize=equalize), 0)
        *_, scene = Batches(source, [list(range(len(p))) for p in data]).batch(Turn(0, 0))
        shares[equalize] = float((scene == 1).float().mean())
    assert shares[True] == pytest.approx(0.5, abs=0.08)
    assert shares[False] == pytest.approx(12 / 18, abs=0.08)


def test_its_latents_give_its_pose() -> None:
    prior, photo = both().of("hall"), capture()[TEST[0]]
    pose = prior.frame.decode(*prior.regress_latents(prior.latent(photo)[None]))
    found = prior.propose(photo, 1, torch.Generator()).cam_from_world
    torch.testing.assert_close(pose.matrix().double(), found.matrix(), atol=1e-5, rtol=1e-5)


def test_heads_of_their_own(tmp_path: Path) -> None:
    made = fit(places(), replace(tiny(), steps=2, shared=False, left_out=False))
    assert len(made.network.x_head) == 2
    made.save(tmp_path)
    again = zoo.load(tmp_path).of("attic")
    a, b = (p.of("attic").propose(capture()[0], 1, torch.Generator()).cam_from_world for p in (made, again))
    torch.testing.assert_close(a.matrix(), b.matrix())


def test_interrupted_it_goes_on_to_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(tiny(), steps=4, left_out=False)
    whole = fit(places(), settings)
    interrupt_at(2, Batches, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(places(), settings, out=tmp_path)
    made = fit(places(), settings, out=tmp_path, resume=True)
    for a, b in zip(whole.network.state_dict().values(), made.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_second_stage_trains_positions_alone() -> None:
    s = FinetunedMSTransformerSettings()
    settings = replace(tiny(), steps=1, freeze=s.freeze, thaw=s.thaw, learned=False, s_x=1.0, s_q=0.0, left_out=False)
    made = fit(places(), settings, parents=(both(),))
    before, after = both().network.state_dict(), made.network.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"x_head", "x_transformer"} <= moved <= {"x_head", "x_transformer", "x_whiten", "q_whiten"}
    with pytest.raises(ResectError, match="attic, hall"):
        fit({"hall": places()["hall"]}, settings, parents=(both(),))


def test_a_damaged_artefact_is_refused(tmp_path: Path) -> None:
    both().save(tmp_path)
    text = (tmp_path / "artifact.json").read_text()
    (tmp_path / "artifact.json").write_text(text.replace('"width": 16', '"width": 32'))
    with pytest.raises(ResectError, match="shape"):
        MSTransformer.load(tmp_path)


@pytest.mark.parametrize("wrong", [{"width": 30}, {"side": 1024, "x_stride": 8}, {"heads": 0}])
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ResectError, match=next(iter(wrong))):
        MSTransformerSettings(**wrong)  # type: ignore[arg-type]
