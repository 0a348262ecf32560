from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.captures import TRAIN, capture

from resect.artifact import digest
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.priors.retrieval import Retrieval, RetrievalSettings, fit
from resect.types import Photo, PhotoSet


def test_a_training_photo_finds_itself(known_photos: Retrieval, train: PhotoSet) -> None:
    for i in range(len(train)):
        found = known_photos.propose(train[i], 1, torch.Generator())
        assert found.source == (f"retrieval:{train.names[i]}",)


def test_held_out_photos_find_photos_from_near_by(known_photos: Retrieval, held_out: PhotoSet, train: PhotoSet) -> None:
    centers = train.truth.cam_from_world.center.double()
    for i in range(len(held_out)):
        found = known_photos.propose(held_out[i], 3, torch.Generator())
        truth = held_out.truth.cam_from_world[i].center.double()
        nearest = (centers - truth).norm(dim=-1).sort().values
        got = (found.cam_from_world.center - truth).norm(dim=-1).min()
        assert float(got) <= float(nearest[2])
        assert found.log_weight.tolist() == sorted(found.log_weight.tolist(), reverse=True)


def test_brightness_and_contrast_do_not_matter(known_photos: Retrieval, held_out: PhotoSet) -> None:
    photo = held_out[0]
    darker = replace(photo, image=0.5 * photo.image + 0.1)
    a, b = known_photos.likeness(photo), known_photos.likeness(darker)
    assert torch.allclose(a, b, atol=0.08)
    assert int(a.argmax()) == int(b.argmax())


def test_another_lens_is_brought_to_the_training_view(known_photos: Retrieval, train: PhotoSet) -> None:
    photo = train[4]
    camera = photo.known_camera().crop(60, 30, 140, 120)
    cut = replace(photo, image=photo.image[30:150, 60:200], camera=camera, depth=None)
    known = known_photos.likeness(cut)
    assert int(known.argmax()) == 4
    # Without the camera the cut-out is taken for a whole view, and is less like its own photo.
    assert float(known[4]) > float(known_photos.likeness(replace(cut, camera=None))[4]) + 0.1


def test_masked_pixels_do_not_count(known_photos: Retrieval, train: PhotoSet) -> None:
    photo = train[2]
    mask = torch.ones(180, 240, dtype=torch.bool)
    mask[:, :100] = False
    spoilt = photo.image.clone()
    spoilt[:, :100] = torch.rand(180, 100, 3, generator=torch.Generator().manual_seed(0))
    masked = known_photos.likeness(replace(photo, image=spoilt, mask=mask))
    assert int(masked.argmax()) == 2
    assert float(masked[2]) > 1.9
    assert float(known_photos.likeness(replace(photo, image=spoilt))[2]) < float(masked[2]) - 0.15


@pytest.mark.parametrize("shape", [(1, 1), (2, 400), (400, 2), (90, 90)])
def test_any_shape_of_photo(known_photos: Retrieval, shape: tuple[int, int]) -> None:
    image = torch.rand(*shape, 3, generator=torch.Generator().manual_seed(0))
    for camera in (None, Camera.from_fov(0.9, shape[1], shape[0])):
        found = known_photos.propose(Photo("odd", image, camera), 3, torch.Generator())
        assert len(found) in (0, 3)
        assert bool(found.log_weight.isfinite().all())


def test_shuffled_truth_of_held_out_photos_changes_no_byte(tmp_path: Path) -> None:
    whole = capture()
    poses = whole.truth.cam_from_world.matrix().clone()
    held = [i for i in range(len(whole)) if i not in TRAIN]
    poses[held] = poses[held].flip(0)
    shuffled = replace(whole, truth=replace(whole.truth, cam_from_world=whole.truth.cam_from_world.from_matrix(poses)))
    fit(whole.subset(TRAIN), out=tmp_path / "a")
    fit(shuffled.subset(TRAIN), out=tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_settings_out_of_bounds_and_no_photos(train: PhotoSet) -> None:
    with pytest.raises(ResectError, match="parts"):
        RetrievalSettings(parts=0)
    with pytest.raises(ResectError, match="at least 1"):
        fit(train.subset([]))


def test_names_that_do_not_fit_the_tensors_are_refused(known_photos: Retrieval, tmp_path: Path) -> None:
    replace(known_photos, names=known_photos.names[:-1]).save(tmp_path)
    with pytest.raises(ResectError):
        Retrieval.load(tmp_path)
