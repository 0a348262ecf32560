"""What every prior keeps to. A new prior adds one line to `PRIORS`."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.priors.captures import TEST, TRAIN, capture, landmarks, retrieval
from tests.priors.ms_transformer_networks import one as ms_transformer
from tests.priors.ms_transformer_networks import tiny as small_ms_transformer
from tests.priors.posenet_networks import posenet
from tests.priors.posenet_networks import tiny as small_posenet
from tests.priors.rotations.untrained import image2sphere, image2sphere_with_translation, ipdf
from tests.priors.viewpoint.crops import network as viewpoint

from resect import zoo
from resect.geometry import so3
from resect.priors.given import Given
from resect.priors.view_sphere import ViewSphere
from resect.protocols import Prior
from resect.types import Hypotheses, Photo


@cache
def given() -> Prior:
    return Given(capture().truth.cam_from_world[0], sigma_deg=5.0, sigma_units=0.1)


@cache
def sphere() -> Prior:
    return ViewSphere.around(torch.tensor([[0.0, 0.0, 0.0], [4.0, 3.0, 2.5]]))


@cache
def places() -> Prior:
    train = capture().subset(TRAIN)
    return ViewSphere.around(torch.tensor([[0.0, 0.0, 0.0], [4.0, 3.0, 2.5]]), train.truth.cam_from_world)


PRIORS: dict[str, Callable[[], Prior]] = {
    "given": given,
    "view-sphere": sphere,
    "view-sphere of a place": places,
    "retrieval": retrieval,
    "landmarks": landmarks,
    "viewpoint": viewpoint,
    "posenet": posenet,
    "ms-transformer": ms_transformer,
    "image2sphere": image2sphere,
    "image2sphere with translation": image2sphere_with_translation,
    "ipdf": ipdf,
}
LOOKS = (
    "retrieval",
    "landmarks",
    "viewpoint",
    "posenet",
    "ms-transformer",
    "image2sphere",
    "image2sphere with translation",
    "ipdf",
)  # those that look at the photo
FITTED: dict[str, Callable[[], Any]] = {
    "retrieval": lambda: None,
    "landmarks": lambda: None,
    "posenet": small_posenet,
    "ms-transformer": small_ms_transformer,
}


def ask(prior: Prior, photo: Photo, count: int = 6, seed: int = 0) -> Hypotheses:
    return prior.propose(photo, count, torch.Generator().manual_seed(seed))


def plain(kind: str) -> Photo:
    g = torch.Generator().manual_seed(1)
    camera = capture().cameras[0]
    shape = (camera.height, camera.width, 3)
    image = {"black": torch.zeros(shape), "white": torch.ones(shape), "noise": torch.rand(shape, generator=g)}[kind]
    return Photo(kind, image, camera)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("count", [1, 6])
def test_shapes_and_rotations(name: str, count: int) -> None:
    found = ask(PRIORS[name](), capture()[TEST[0]], count)
    h = len(found)
    assert 1 <= h <= count
    assert found.cam_from_world.R.shape == (h, 3, 3)
    assert found.cam_from_world.t.shape == (h, 3)
    assert bool(found.log_weight.isfinite().all())
    assert len(found.source) == h
    assert not found.oracle
    rotation = found.cam_from_world.R.double()
    assert torch.allclose(rotation, so3.nearest_rotation(rotation), atol=1e-5)
    if found.information is not None:
        assert found.information.shape == (h, 6, 6)
        assert torch.allclose(found.information, found.information.mT)
        assert float(torch.linalg.eigvalsh(found.information).min()) > -1e-6


@pytest.mark.parametrize("name", PRIORS)
def test_a_seed_fixes_the_answer(name: str) -> None:
    prior, photo = PRIORS[name](), capture()[TEST[1]]
    a, b = ask(prior, photo, seed=3), ask(prior, photo, seed=3)
    assert torch.equal(a.cam_from_world.matrix(), b.cam_from_world.matrix())
    assert torch.equal(a.log_weight, b.log_weight)


@pytest.mark.parametrize("name", PRIORS)
def test_the_photo_is_not_changed(name: str) -> None:
    photo = capture()[TEST[0]]
    before = photo.image.clone()
    ask(PRIORS[name](), photo)
    assert torch.equal(before, photo.image)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_any_photo_is_answered_without_an_exception(name: str, kind: str) -> None:
    for photo in (plain(kind), replace(plain(kind), camera=None)):
        found = ask(PRIORS[name](), photo)
        if name in LOOKS and kind != "noise":
            assert len(found) == 0
        if name == "landmarks":
            assert len(found) == 0


@pytest.mark.parametrize("name", FITTED)
def test_saved_and_loaded_through_the_zoo(name: str, tmp_path: Path) -> None:
    prior: Any = PRIORS[name]()
    prior.save(tmp_path)
    again = zoo.load(tmp_path)
    photo = capture()[TEST[0]]
    a, b = ask(prior, photo), ask(again, photo)
    assert torch.allclose(a.cam_from_world.matrix(), b.cam_from_world.matrix(), atol=1e-6)
    assert a.source == b.source


@pytest.mark.parametrize("name", FITTED)
def test_shuffled_truth_of_the_test_split_changes_no_proposal(name: str) -> None:
    whole = capture()
    poses = whole.truth.cam_from_world.matrix().clone()
    poses[list(TEST)] = poses[list(TEST)].flip(0)
    shuffled = replace(whole, truth=replace(whole.truth, cam_from_world=whole.truth.cam_from_world.from_matrix(poses)))
    again = zoo.resolve(zoo.entry(name, fitted=True).fit)(shuffled.subset(TRAIN), FITTED[name]())
    for i in TEST:
        a, b = ask(PRIORS[name](), whole[i]), ask(again, shuffled[i])
        assert torch.equal(a.cam_from_world.matrix(), b.cam_from_world.matrix())
        assert torch.equal(a.log_weight, b.log_weight)
