"""Places made of a prior alone are quick to make; those with a scene are made in tests/cli."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.split import make_split
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.place import fit_place, learned_priors, open_place, place_digest, read_place
from resect.priors.retrieval import Retrieval, RetrievalSettings
from resect.refine.calibrate import leave_out
from resect.scenes.field.settings import FieldSettings
from resect.types import PhotoSet, Truth


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    return make_capture(SyntheticSettings(photos=10, width=96, height=72, path="forward"))


@pytest.fixture(scope="module")
def scene(photos: PhotoSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("places") / "place"
    fit_place(photos, make_split(photos, "every:8"), "field", FieldSettings.tiny(), out, priors=("retrieval",))
    return out


def fit(photos: PhotoSet, out: Path, *, rule: str = "every:8", seed: int = 0, **settings: int) -> Retrieval:
    chosen, generator = RetrievalSettings(**settings), torch.Generator().manual_seed(seed)
    found = fit_place(photos, make_split(photos, rule), "retrieval", chosen, out, priors=(), generator=generator)
    assert isinstance(found, Retrieval)
    return found


def test_facts_are_those_of_the_training_photos(photos: PhotoSet, tmp_path: Path) -> None:
    fit(photos, tmp_path)
    facts, split = read_place(tmp_path), make_split(photos, "every:8")
    assert facts.names == tuple(photos.names[i] for i in split.train)
    assert facts.camera == photos.cameras[0]
    assert (facts.meters_per_unit, facts.up) == (1.0, (0.0, 0.0, 1.0))
    truth = photos.truth.cam_from_world[list(split.train)].double()
    torch.testing.assert_close(facts.cam_from_world.center, truth.center, atol=1e-5, rtol=0)


def test_held_out_photos_are_never_looked_at(photos: PhotoSet, tmp_path: Path) -> None:
    held_out = make_split(photos, "every:8").test

    def load(i: int) -> object:
        assert i not in held_out
        return photos.load(i)

    poses = photos.truth.cam_from_world.matrix().clone()
    poses[list(held_out)] = torch.eye(4).to(poses)
    guarded = replace(photos, load=load, truth=Truth(SE3.from_matrix(poses)))
    fit(guarded, tmp_path / "a")
    fit(photos, tmp_path / "b")
    for name in ("artifact.json", "weights.safetensors", "place.json", "split.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_same_again_is_nothing_to_do_and_another_is_refused_by_name(photos: PhotoSet, tmp_path: Path) -> None:
    fit(photos, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    fit(photos, tmp_path)
    for named, change in {
        "bins": {"bins": 16},
        "test": {"rule": "every:5"},
        "seed": {"seed": 1},
    }.items():
        with pytest.raises(ResectError, match=f"{named} = ") as said:
            fit(photos, tmp_path, **change)  # type: ignore[arg-type]
        assert "--overwrite" in str(said.value)
    moved = photos.truth.cam_from_world.retract(torch.full((10, 6), 1e-3).to(photos.truth.cam_from_world.t))
    with pytest.raises(ResectError, match="training photos and poses"):
        fit(replace(photos, truth=Truth(moved)), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_another_prior_may_be_added_later(photos: PhotoSet, scene: Path) -> None:
    split = make_split(photos, "every:8")
    assert list(learned_priors(scene)) == ["retrieval"]
    before = (scene / "weights.safetensors").read_bytes()
    fit_place(photos, split, "field", FieldSettings.tiny(), scene, priors=("retrieval", "landmarks"))
    assert sorted(learned_priors(scene)) == ["landmarks", "retrieval"]
    assert (scene / "weights.safetensors").read_bytes() == before


def test_parts_do_not_depend_on_each_others_randomness(photos: PhotoSet, tmp_path: Path) -> None:
    """So that going on after the scene gives the priors that an uninterrupted run gives."""
    generator, drained = (torch.Generator().manual_seed(7) for _ in range(2))
    torch.rand(1000, generator=drained)
    settings, split = FieldSettings.tiny(), make_split(photos, "every:8")
    for name, given in (("a", generator), ("b", drained)):
        fit_place(photos, split, "field", settings, tmp_path / name, priors=("landmarks",), generator=given)
    for file in ("weights.safetensors", "priors/landmarks/weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_cameras_in_one_point_are_refused_before_work(photos: PhotoSet, tmp_path: Path) -> None:
    still = photos.truth.cam_from_world
    turned = SE3(still.R, torch.zeros_like(still.t))
    with pytest.raises(ResectError, match="different places"):
        fit(replace(photos, truth=Truth(turned)), tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_default_priors_are_those_that_were_learned(photos: PhotoSet, scene: Path, tmp_path: Path) -> None:
    assert {type(p).__name__ for p in open_place(scene).priors} <= {"Landmarks", "Retrieval"}
    assert [type(p).__name__ for p in open_place(scene, prior=("view-sphere",)).priors] == ["ViewSphere"]
    assert open_place(scene, prior=()).priors == ()
    fit(photos, tmp_path / "mine")
    assert [type(p).__name__ for p in open_place(scene, prior=(str(tmp_path / "mine"),)).priors] == ["Retrieval"]
    with pytest.raises(ResectError, match="'retrieval'"):
        open_place(scene, prior=("retreival",))
    with pytest.raises(ResectError, match="artefact of a prior"):
        open_place(scene, prior=(str(scene),))


def test_a_place_without_priors_falls_back_to_the_view_sphere(photos: PhotoSet, tmp_path: Path) -> None:
    fit_place(photos, make_split(photos, "none"), "field", FieldSettings.tiny(), tmp_path, priors=())
    assert [type(p).__name__ for p in open_place(tmp_path).priors] == ["ViewSphere"]


def test_a_prior_alone_is_a_localizer(photos: PhotoSet, tmp_path: Path) -> None:
    fit(photos, tmp_path)
    where = open_place(tmp_path)
    assert where.scene is None
    assert where.estimate(photos[0]).ok


def test_the_digest_names_all_that_answers_depend_on(scene: Path) -> None:
    whole = place_digest(scene, ("retrieval", "view-sphere"))
    assert place_digest(scene, ("retrieval",)) != whole
    assert json.loads(json.dumps(whole)) == whole
    (scene / "errors.json").write_text("{}")
    try:
        assert place_digest(scene, ("retrieval", "view-sphere")) != whole
    finally:
        (scene / "errors.json").unlink()


def test_a_scene_comes_with_its_errors_measured_on_training_photos_alone(tmp_path: Path) -> None:
    photos = make_capture(SyntheticSettings(photos=24, width=64, height=48, path="forward"))
    split = make_split(photos, "every:8")
    fit_place(photos, split, "field", FieldSettings.tiny(), tmp_path, priors=())
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert 0 <= errors["photos"] <= len(leave_out(len(split.train))[1])
    assert errors["length"] > 0
    assert open_place(tmp_path, prior=()).refiner.errors.length == errors["length"]  # type: ignore[union-attr]
    assert json.loads((tmp_path / "place.json").read_text())["trained_on"] == [photos.names[i] for i in split.train]
