import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.interrupted import interrupt_at

from resect.data.shapes import ShapeSet, read_shapes
from resect.errors import ResectError
from resect.shape.batches import Shelf
from resect.shape.fit import fit, mean_iou
from resect.shape.network import make_network
from resect.shape.settings import OccupancySettings, PublishedOccupancySettings
from resect.training.checkpoint import checkpoint_path
from resect.training.loop import Turn


def weights(made: object) -> dict[str, torch.Tensor]:
    return made.network.state_dict()  # type: ignore[attr-defined, no-any-return]


def test_it_learns(chairs: Path, tiny: OccupancySettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = replace(tiny, rate=1e-2, final_rate=1.0, steps=150)
    batch = Shelf(read_shapes(chairs), settings).batch(Turn(0, 0))
    monkeypatch.setattr(Shelf, "batch", lambda self, turn: batch)
    fit(read_shapes(chairs), settings, out=tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.6 * losses[0]


def test_the_best_on_held_out_shapes_is_kept_and_logged(chairs: Path, tiny: OccupancySettings, tmp_path: Path) -> None:
    val = read_shapes(chairs, "val")
    made = fit(read_shapes(chairs), replace(tiny, validate_every=2), out=tmp_path, held_out=val)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    found = [line["validation_iou"] for line in lines if "validation_iou" in line]
    assert len(found) == 4
    assert mean_iou(made.network, Shelf(val, tiny)) == pytest.approx(max(found), abs=1e-6)
    assert made.categories == ("chair",)
    assert not checkpoint_path(tmp_path).exists()


def test_interrupted_and_resumed_it_is_the_same_network(
    chairs: Path, tiny: OccupancySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_shapes(chairs)
    whole = fit(data, tiny)

    interrupt_at(4, Shelf, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(data, tiny, out=tmp_path)
    resumed = fit(data, tiny, out=tmp_path, resume=True)
    for name, tensor in weights(whole).items():
        assert torch.equal(weights(resumed)[name], tensor), name


def test_a_run_of_other_settings_or_shapes_is_not_resumed(
    chairs: Path, tiny: OccupancySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_shapes(chairs)
    interrupt_at(1, Shelf, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(data, tiny, out=tmp_path)
    with pytest.raises(ResectError, match="rate"):
        fit(data, replace(tiny, rate=1.0), out=tmp_path, resume=True)
    with pytest.raises(ResectError, match="data"):
        fit(data.take(3), tiny, out=tmp_path, resume=True)


def test_points_as_input(chairs: Path, tiny: OccupancySettings) -> None:
    made = fit(read_shapes(chairs), replace(tiny, input="points", cloud=50))
    code = made.encode_points(torch.rand(30, 3))
    assert code.shape == (1, 8)
    assert made.occupancy(torch.rand(7, 3), code).shape == (7,)
    with pytest.raises(ResectError, match="encode_points"):
        made.encode(read_shapes(chairs).photo(0, 0))


def test_batches_depend_on_seed_and_step_alone(chairs: Path, tiny: OccupancySettings) -> None:
    a, b = Shelf(read_shapes(chairs), tiny), Shelf(read_shapes(chairs), replace(tiny, memory_gb=0.0))
    first = a.batch(Turn(3, 7))
    a.batch(Turn(4, 7))
    for other in (a.batch(Turn(3, 7)), b.batch(Turn(3, 7))):
        assert torch.equal(first.seen, other.seen)
        assert torch.equal(first.points, other.points)
    assert not torch.equal(first.points, a.batch(Turn(3, 8)).points)


def test_a_mirrored_sample_is_true_of_the_mirrored_shape(chairs: Path, tiny: OccupancySettings) -> None:
    plain, both = Shelf(read_shapes(chairs), replace(tiny, mirror=False)), Shelf(read_shapes(chairs), tiny)
    mirrored = 0
    for step in range(10):
        a = plain._sample(1, np.random.default_rng(step))
        b = both._sample(1, np.random.default_rng(step))
        assert torch.equal(a[2], b[2])
        if not torch.equal(a[1], b[1]):
            mirrored += 1
            assert torch.equal(a[0], b[0].flip(-1))
            assert torch.equal(a[1], b[1] * torch.tensor([1.0, 1.0, -1.0]))
    assert 0 < mirrored < 10


def test_empty_data_and_wrong_settings_are_refused(tiny: OccupancySettings, tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="at least one"):
        fit(ShapeSet(tmp_path, (), "train"), tiny)
    with pytest.raises(ResectError, match="threshold"):
        replace(tiny, threshold=1.0)
    with pytest.raises(ResectError, match="encoder_width"):
        replace(tiny, pretrained="weights.pth")
    with pytest.raises(ResectError, match="points"):
        replace(tiny, points=0)


def test_pretrained_weights_go_into_the_encoder(tiny: OccupancySettings, tmp_path: Path) -> None:
    full = replace(tiny, encoder_width=64)
    source = make_network(full, 1)
    torch.save(source.encoder.features.state_dict(), tmp_path / "resnet18.pth")  # type: ignore[union-attr]
    made = make_network(replace(full, pretrained=str(tmp_path / "resnet18.pth")), 2)
    assert torch.equal(made.encoder.features.conv1.weight, source.encoder.features.conv1.weight)  # type: ignore[union-attr]
    assert not torch.equal(made.encoder.fc.weight, source.encoder.fc.weight)  # type: ignore[union-attr]


def test_the_published_preset_takes_a_step(chairs: Path) -> None:
    settings = replace(PublishedOccupancySettings(), batch=2, points=128, steps=1, tensorboard=False)
    made = fit(read_shapes(chairs), settings)
    assert made.encode(read_shapes(chairs).photo(0, 0)).shape == (1, 256)


def test_it_begins_from_another_network_of_the_same_sizes(chairs: Path, tiny: OccupancySettings) -> None:
    data = read_shapes(chairs)
    before = fit(data, tiny)
    after = fit(data, replace(tiny, rate=1e-12, steps=1), parents=(before,))
    weight = "encoder.fc.weight"
    assert torch.allclose(weights(after)[weight], weights(before)[weight], atol=1e-8)
    with pytest.raises(ResectError, match="code"):
        fit(data, replace(tiny, code=2 * tiny.code), parents=(before,))
    with pytest.raises(ResectError, match="occupancy network"):
        fit(data, tiny, parents=("a folder",))
