"""The film of training: some thirty pictures of how densities take shape, and training is not changed by looking."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from resect.evaluation.rotation_film import RotationFilm
from resect.priors.image2sphere.fit import fit
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.synthesis.symsol.make import SolidSettings, make_solids


def test_a_film_is_made_and_looking_changes_nothing(tmp_path: Path) -> None:
    solids = make_solids(SolidSettings(("cube", "cone"), images=8, side=32))
    settings = Image2SphereSettings(side=32, steps=4, batch=4, lmax=2, grid_level=1, encoder_width=8, tensorboard=False)
    film = RotationFilm(solids, height=48)
    seen = fit(solids, settings, peek=film)
    blind = fit(solids, settings)
    for name, value in blind.network.state_dict().items():
        assert torch.equal(seen.network.state_dict()[name], value), name
    assert len(film.frames) == 4
    assert film.write(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as made:
        assert getattr(made, "n_frames", 1) == pytest.approx(len(film.frames), abs=3)  # equal ones are merged
    assert not RotationFilm(solids).write(tmp_path / "none.gif")
