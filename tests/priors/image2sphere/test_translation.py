import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.priors.image2sphere.test_image2sphere import TINY
from tests.priors.rotations.blobs import blobs
from tests.priors.rotations.placed import placed

from resect import zoo
from resect.errors import ResectError
from resect.geometry import so3, solids
from resect.priors.image2sphere.fit import fit
from resect.priors.rotations.prior import RotationPrior

SETTINGS = replace(TINY, translation=True, lmax=2, grid_level=1, steps=50)


@cache
def fitted() -> RotationPrior:
    return fit(placed(12), SETTINGS, held_out=placed(12))


def test_it_learns_where_objects_stand_and_how_they_are_turned() -> None:
    prior, data = fitted(), placed(12)
    assert prior.spread is not None
    usual: Any = prior.network.place
    assert all(s < 0.5 * float(u) for s, u in zip(prior.spread, usual.std, strict=True))
    found = [prior.propose(data.photo(i), 1, torch.Generator()) for i in range(len(data))]
    there = torch.cat([f.cam_from_world.t for f in found])
    assert data.translation is not None
    assert float(((there - data.translation).norm(dim=1) / data.translation.norm(dim=1)).median()) < 0.12
    turned = torch.cat([f.cam_from_world.R for f in found])
    assert float(so3.angle(turned, data.rotation).rad2deg().median()) < 25


def test_what_is_known_of_the_place_is_said() -> None:
    """Most of the true places are where the information says that they are."""
    data, inside = placed(12), 0
    for i in range(len(data)):
        found = fitted().propose(data.photo(i), 1, torch.Generator())
        assert found.information is not None
        covariance = torch.linalg.inv(found.information[0])
        assert bool((torch.linalg.eigvalsh(found.information[0]) > 0).all())
        # The object's origin moves by v + ω × t: turning about it leaves it where it is.
        carry = torch.cat([torch.eye(3, dtype=torch.float64), -so3.hat(found.cam_from_world.t[0])], 1)
        assert data.translation is not None
        off = found.cam_from_world.t[0] - data.translation[i]
        inside += int(float(off @ torch.linalg.inv(carry @ covariance @ carry.mT) @ off) < 7.8)  # χ², 95 % of three
    assert inside >= 9


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    photo = placed(12).photo(3)
    a, b = (p.propose(photo, 2, torch.Generator()) for p in (fitted(), zoo.load(tmp_path)))
    assert torch.equal(a.cam_from_world.matrix(), b.cam_from_world.matrix())
    assert torch.equal(a.information, b.information)  # type: ignore[arg-type]
    facts = json.loads((tmp_path / "artifact.json").read_text())
    facts["extra"]["spread"] = [0.1, -0.1, 0.1]
    (tmp_path / "artifact.json").write_text(json.dumps(facts))
    with pytest.raises(ResectError, match="spread"):
        zoo.load(tmp_path)


def test_with_box_and_mesh_rotations_are_laid_into_the_box() -> None:
    photo = placed(12).photo(0)
    assert photo.target is not None
    position = placed(12).translation
    assert position is not None
    (x, y), _ = photo.known_camera().project(position[0])
    beside = float(x) - 5, float(y) - 8, float(x) + 9, float(y) + 6
    boxed = replace(photo, target=replace(photo.target, box=beside))
    prior = fitted().of(solids.box((1.0, 1.0, 1.0)))
    pixels, _ = photo.known_camera().project(prior.propose(boxed, 1, torch.Generator()).cam_from_world.t)
    assert float((pixels[0] - torch.stack([x + 2, y - 1])).norm()) < 0.5
    whole, alone = (p.propose(photo, 1, torch.Generator()) for p in (prior, fitted()))
    assert torch.equal(whole.cam_from_world.t, alone.cam_from_world.t)


def test_without_a_camera_nothing_is_known_of_the_place() -> None:
    found = fitted().propose(replace(placed(12).photo(0), camera=None), 1, torch.Generator())
    assert found.information is not None
    assert float(found.information[:, :3].abs().max()) == 0


def test_what_it_cannot_learn_from_is_refused() -> None:
    data = placed(4)
    assert data.translation is not None
    with pytest.raises(ResectError, match="rotations alone"):
        fit(blobs(), SETTINGS)
    with pytest.raises(ResectError, match="known cameras"):
        fit(replace(data, load=lambda i: replace(data.photo(i), camera=None)), SETTINGS)
    with pytest.raises(ResectError, match="in front"):
        fit(replace(data, translation=-data.translation), SETTINGS)
    with pytest.raises(ResectError, match="translation"):
        replace(SETTINGS, augment=10)
    with pytest.raises(ResectError, match="held-out"):
        fit(data, SETTINGS, held_out=replace(data, translation=None))
