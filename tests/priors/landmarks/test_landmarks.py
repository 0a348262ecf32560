import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.priors.captures import TRAIN, capture

from resect.artifact import digest
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.metrics.pose import pose_errors, scene_scale
from resect.priors.landmarks.fit import fit, triangulated_points
from resect.priors.landmarks.prior import Landmarks
from resect.priors.landmarks.settings import LandmarkSettings
from resect.types import Photo, PhotoSet


def test_held_out_photos_are_found(known_landmarks: Landmarks, held_out: PhotoSet, train: PhotoSet) -> None:
    scale = scene_scale(train.truth.cam_from_world)
    for i in range(len(held_out)):
        match = known_landmarks.localize(held_out[i])
        rotation_deg, distance = pose_errors(
            match.hypotheses.cam_from_world[0], held_out.truth.cam_from_world[i].double()
        )
        assert float(rotation_deg) < 0.1
        assert float(distance) < 0.005 * scale
        assert match.inliers > 100
        assert match.share > 0.9


def test_information_expects_errors_of_the_size_that_occur(known_landmarks: Landmarks, held_out: PhotoSet) -> None:
    for i in range(len(held_out)):
        found = known_landmarks.localize(held_out[i]).hypotheses
        assert found.information is not None
        delta = (held_out.truth.cam_from_world[i].double() @ found.cam_from_world[0].inverse()).log()
        assert float(delta @ found.information[0] @ delta) < 40  # six degrees of freedom: 22 in one of a thousand


def test_unknown_focal_length(known_landmarks: Landmarks, held_out: PhotoSet) -> None:
    truth = held_out[0].known_camera()
    match = known_landmarks.localize(replace(held_out[0], camera=None))
    assert match.hypotheses.camera is match.camera
    assert match.camera.fx == pytest.approx(truth.fx, rel=0.06)
    rotation_deg, _ = pose_errors(match.hypotheses.cam_from_world[0], held_out.truth.cam_from_world[0].double())
    assert float(rotation_deg) < 2.0  # the lens bends lines, which an unknown camera is assumed not to do


def test_points_lie_where_the_exact_depth_says(train: PhotoSet) -> None:
    points = triangulated_points(train)
    assert len(points) > 300
    error = []
    for i in range(len(train)):
        mine = points.photo == i
        depth = train[i].depth
        assert depth is not None
        x, y = points.pixels[mine].long().T
        z = train.truth.cam_from_world[i].double().apply(points.xyz[points.track[mine]])[:, 2]
        error.append((z / depth[y, x].double() - 1).abs())
    assert float(torch.cat(error).median()) < 0.01
    assert bool((points.views >= 2).all())
    assert float(points.error_px.median()) < 0.6


def test_saved_and_loaded_gives_the_same_bytes(known_landmarks: Landmarks, held_out: PhotoSet, tmp_path: Path) -> None:
    known_landmarks.save(tmp_path)
    again = Landmarks.load(tmp_path)
    a, b = (m.localize(held_out[0]).hypotheses.cam_from_world.matrix() for m in (known_landmarks, again))
    assert torch.allclose(a, b, atol=1e-7)  # directions and sizes are kept in float32
    size = (tmp_path / "weights.safetensors").stat().st_size
    assert size < 260 * len(known_landmarks) + 2000


def test_the_map_does_not_know_the_truth_of_other_photos(tmp_path: Path) -> None:
    whole = capture()
    order = list(range(len(whole)))
    held = [i for i in order if i not in TRAIN]
    poses = whole.truth.cam_from_world.matrix().clone()
    poses[held] = poses[held].flip(0)
    shuffled = replace(whole, truth=replace(whole.truth, cam_from_world=whole.truth.cam_from_world.from_matrix(poses)))
    few = LandmarkSettings(max_features=300)
    fit(whole.subset(TRAIN), few, out=tmp_path / "a")
    fit(shuffled.subset(TRAIN), few, out=tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_a_cut_out_with_its_camera_is_found_too(known_landmarks: Landmarks, held_out: PhotoSet) -> None:
    photo = held_out[0]
    camera = photo.known_camera().crop(40, 20, 180, 140)
    cut = replace(photo, image=photo.image[20:160, 40:220], camera=camera, depth=None)
    found = known_landmarks.localize(cut).hypotheses
    rotation_deg, _ = pose_errors(found.cam_from_world[0], held_out.truth.cam_from_world[0].double())
    assert float(rotation_deg) < 0.2


def test_a_photo_of_something_else_is_no_answer(known_landmarks: Landmarks) -> None:
    g = torch.Generator().manual_seed(0)
    camera = Camera.from_fov(1.0, 240, 180)
    cloud = torch.nn.functional.interpolate(torch.rand(1, 3, 30, 40, generator=g), (180, 240), mode="bicubic")
    for image in (torch.rand(180, 240, 3, generator=g), cloud[0].permute(1, 2, 0).clamp(0, 1).contiguous()):
        match = known_landmarks.localize(Photo("else", image, camera))
        assert len(match.hypotheses) == 0
        assert match.inliers == 0


def test_too_few_photos_or_points_is_an_error(train: PhotoSet) -> None:
    with pytest.raises(ResectError, match="at least 2"):
        fit(train.subset([0]))
    blank = replace(train.subset([0, 1, 2]), load=lambda i: Photo("blank", torch.full((180, 240, 3), 0.5)))
    with pytest.raises(ResectError, match="landmarks"):
        fit(blank)


@pytest.mark.parametrize("damage", ["nan", "short", "size", "excess", "training", "settings"])
def test_damaged_artefacts_are_refused(known_landmarks: Landmarks, tmp_path: Path, damage: str) -> None:
    known_landmarks.save(tmp_path)
    weights, facts_file = tmp_path / "weights.safetensors", tmp_path / "artifact.json"
    tensors, facts = load_file(weights), json.loads(facts_file.read_text())
    if damage == "nan":
        tensors["points"][0, 0] = float("nan")
    elif damage == "short":
        tensors["descriptors"] = tensors["descriptors"][:-1].clone()
    elif damage == "size":
        tensors["size"][0] = -1.0
    elif damage == "excess":
        facts["extra"]["excess"]["growth"] = -0.1
    elif damage == "training":
        tensors["training"][0, 0] = float("nan")
    else:
        facts["settings"]["ratio"] = "much"
    save_file(tensors, weights)
    import hashlib

    facts["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    facts_file.write_text(json.dumps(facts))
    with pytest.raises(ResectError):
        Landmarks.load(tmp_path)


@pytest.mark.real
def test_fern_beats_a_tenth_of_a_degree() -> None:
    folder = os.environ.get("RESECT_TEST_DATA")
    if not folder:
        pytest.skip("RESECT_TEST_DATA is not set")
    from resect.data import make_split, read

    data = read(Path(folder) / "llff_fern")
    split = make_split(data, "every:8")
    train = data.subset(split.train)
    known = fit(train)
    scale = scene_scale(train.truth.cam_from_world)
    for i in split.test:
        found = known.localize(data[i]).hypotheses
        rotation_deg, distance = pose_errors(found.cam_from_world[0], data.truth.cam_from_world[i].double())
        assert float(rotation_deg) < 0.2
        assert float(distance) < 0.005 * scale
