"""The temperature against labels drawn from a density of known sharpness."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.image2sphere.test_image2sphere import TINY, fitted
from tests.priors.rotations.blobs import blobs
from torch import Tensor, nn

from resect.artifact import write_json
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.geometry import so3_grid
from resect.geometry.rotation_density import RotationDensity
from resect.priors.image2sphere.fit import fit
from resect.priors.image2sphere.prior import load_image2sphere
from resect.priors.rotations import temperature
from resect.priors.rotations.prior import RotationPrior
from resect.types import Photo

SHARP = 3.0


class Fisher(nn.Module):
    """f(R) = SHARP tr R, whatever the picture."""

    def code(self, picture: Tensor, label: Tensor | None = None) -> Tensor:
        return picture.new_zeros(len(picture), 1)

    def on_level(self, code: Tensor, level: int) -> Tensor:
        cells = torch.arange(so3_grid.cell_count(level))
        return self.logits(code[0], so3_grid.cell_center(cells, level)).expand(len(code), -1)

    def logits(self, code: Tensor, rotation: Tensor) -> Tensor:
        return SHARP * rotation.diagonal(dim1=-2, dim2=-1).sum(-1)


def labels(at: float, count: int = 60) -> RotationSet:
    """Rotations that come as often as the density of this temperature says."""
    centers = so3_grid.cell_center(torch.arange(so3_grid.cell_count(4)), 4)
    density = RotationDensity.of_logits(Fisher().logits(torch.zeros(1), centers) / at, level=4)
    rotation = density.sample(count, torch.Generator().manual_seed(0))
    names = tuple(map(str, range(count)))
    return RotationSet("labels", names, ("a",) * count, rotation, lambda i: Photo(names[i], torch.zeros(16, 16, 3)))


@pytest.mark.parametrize("truth", [0.5, 2.5])
def test_the_temperature_is_that_of_the_labels(truth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temperature, "_LEVEL", 3)
    prior = RotationPrior("image2sphere", Fisher(), replace(TINY, density_level=2), ("a",))
    data = labels(truth)
    found = temperature.calibrated(replace(prior, temperature=7.0), data)
    assert found.temperature == pytest.approx(truth, rel=0.15)

    def inside(asked: RotationPrior) -> float:
        density = asked.density(data.photo(0))
        low, high = density.region_mass(data.rotation)
        return float((high <= 0.5).double().mean() + low.lt(0.5).logical_and(high > 0.5).double().mean() / 2)

    assert inside(found) == pytest.approx(0.5, abs=0.1)
    assert abs(inside(prior) - 0.5) > 0.15


def test_it_is_fitted_where_images_are_held_out_and_kept(tmp_path: Path) -> None:
    assert fitted().temperature == 1.0
    made = fit(blobs(8), replace(TINY, steps=4, density_level=2), out=tmp_path / "made", held_out=blobs(6, 3))
    assert made.temperature != 1.0
    again = load_image2sphere(tmp_path / "made")
    assert again.temperature == made.temperature
    photo = blobs(6, 3).photo(0)
    assert torch.equal(again.density(photo).log_density, made.density(photo).log_density)


def test_a_temperature_out_of_range_is_refused(tmp_path: Path) -> None:
    fitted().save(tmp_path / "made")
    file = tmp_path / "made" / "artifact.json"
    facts = json.loads(file.read_text())
    assert facts["extra"]["temperature"] == 1.0
    for bad in (0.0, -1.0, 1e9, "hot", None):
        write_json(file, {**facts, "extra": {**facts["extra"], "temperature": bad}})
        with pytest.raises(ResectError, match="temperature"):
            load_image2sphere(tmp_path / "made")
