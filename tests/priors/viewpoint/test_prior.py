import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.viewpoint.crops import TINY, crops, network, pattern
from tests.training.interrupted import interrupt_at

from resect import zoo
from resect.errors import ResectError
from resect.geometry import so3, solids
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.lift import lift
from resect.priors.upright import viewpoint_rotation
from resect.priors.viewpoint.fit import Crops, fit
from resect.priors.viewpoint.network import crop
from resect.priors.viewpoint.prior import Viewpoint, rotation_covariance
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.priors.views import hull_points
from resect.training.checkpoint import checkpoint_path
from resect.training.loop import Turn
from resect.types import Photo, Target

CAMERA = Camera(120.0, 120.0, 64.0, 64.0, 128, 128)


def test_its_answers_are_the_learned_ones() -> None:
    prior, data = network(), crops()
    found = torch.stack([prior.viewpoint(data.photo(i))[0] for i in range(len(data))])
    error = so3.angle(viewpoint_rotation(found), viewpoint_rotation(data.viewpoint)).rad2deg()
    assert float(error.median()) < 15


def test_poses_without_a_box_look_at_the_origin_and_know_no_place() -> None:
    photo = pattern(3)
    found = network().propose(photo, 4, torch.Generator())
    assert 1 <= len(found) <= 4
    assert found.information is not None
    assert float(found.cam_from_world.t[:, :2].abs().max()) == 0
    assert found.cam_from_world.t[:, 2].tolist() == pytest.approx([2.0] * len(found))
    assert float(found.information[:, :3].abs().max()) == 0
    assert bool((torch.linalg.eigvalsh(found.information[:, 3:, 3:]) > 0).all())
    assert found.log_weight.tolist() == sorted(found.log_weight.tolist(), reverse=True)
    assert float(found.log_weight.exp().sum()) <= 1 + 1e-5


def test_with_mesh_and_box_the_pose_is_laid_into_the_box() -> None:
    mesh = solids.box((1.0, 0.6, 0.8))
    rotation = viewpoint_rotation(torch.tensor([[0.5, 0.3, 0.0]], dtype=torch.float64))[0]
    truth = SE3(rotation, torch.tensor([0.2, 0.1, 4.0], dtype=torch.float64))
    pixels, _ = CAMERA.project(truth.apply(mesh.vertices.double()))
    box = (*pixels.amin(0).tolist(), *pixels.amax(0).tolist())
    image = torch.rand(128, 128, 3, generator=torch.Generator().manual_seed(0))
    photo = Photo("a", image, CAMERA, target=Target("a", box=box))
    found = network().of(mesh).propose(photo, 2, torch.Generator())
    laid = lift(found.cam_from_world.R, hull_points(mesh.vertices).double(), CAMERA, box)
    assert bool(laid.valid.all())
    assert torch.allclose(found.cam_from_world.t, laid.cam_from_world.t)
    assert found.information is not None
    assert bool((torch.linalg.eigvalsh(found.information) > 0).all())
    no_camera = network().of(mesh).propose(replace(photo, camera=None), 2, torch.Generator())
    assert no_camera.information is not None
    assert float(no_camera.information[:, :3].abs().max()) == 0


def test_the_covariance_of_a_rotation_is_that_of_its_angles() -> None:
    angles = torch.tensor([[0.7, 0.4, -0.3], [4.0, -0.2, 0.2]], dtype=torch.float64)
    spread, step = torch.tensor([[0.05, 0.02, 0.03]] * 2, dtype=torch.float64), 1e-6
    rotation = viewpoint_rotation(angles)
    columns = []
    for axis in range(3):
        moved = viewpoint_rotation(angles + step * torch.eye(3, dtype=torch.float64)[axis])
        columns.append(so3.log(moved @ rotation.mT) / step)
    jacobian = torch.stack(columns, -1) * spread[:, None, :]
    expected = jacobian @ jacobian.mT + math.radians(0.5) ** 2 * torch.eye(3, dtype=torch.float64)
    assert torch.allclose(rotation_covariance(rotation, angles, spread), expected, atol=1e-7)


def test_a_crop_is_the_box_stretched() -> None:
    image = torch.zeros(40, 60, 3)
    image[10:20, 20:50, 0] = 1
    whole = crop(Photo("a", image, target=Target("a", box=(20.0, 10.0, 50.0, 20.0))), 16)
    assert whole.shape == (3, 16, 16)
    assert float(whole[0].min()) == 1
    assert float(crop(Photo("a", image), 16).mean()) == pytest.approx(float(image.mean()), abs=1e-6)
    outside = crop(Photo("a", image, target=Target("a", box=(100.0, 100.0, 120.0, 130.0))), 16)
    assert outside.shape == (3, 16, 16)


def test_a_crop_that_shows_nothing_has_no_answer() -> None:
    assert len(network().propose(Photo("white", torch.ones(30, 30, 3)), 4, torch.Generator())) == 0


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    network().save(tmp_path)
    again = zoo.load(tmp_path)
    assert isinstance(again, Viewpoint)
    a, b = (p.propose(pattern(2), 4, torch.Generator()) for p in (network(), again))
    assert torch.equal(a.cam_from_world.R, b.cam_from_world.R)
    assert again.categories == ("thing",)
    assert again.distance == 2.0


def test_the_category_decides_the_slice() -> None:
    data = crops()
    two = replace(data, models=tuple(f"{'ab'[i % 2]}/m" for i in range(len(data))))
    prior = fit(two, replace(TINY, steps=2))
    assert prior.categories == ("a", "b")
    a, b = (replace(pattern(1), target=Target("x", category=c)) for c in "ab")
    assert not torch.equal(prior.probabilities(a), prior.probabilities(b))
    with pytest.raises(ResectError, match="category"):
        prior.propose(pattern(1), 1, torch.Generator())


def test_interrupted_and_resumed_it_is_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(TINY, steps=6)
    whole = fit(crops(), settings)
    interrupt_at(3, Crops, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(crops(), settings, out=tmp_path)
    with pytest.raises(ResectError, match="rate"):
        fit(crops(), replace(settings, rate=0.5), out=tmp_path, resume=True)
    with pytest.raises(ResectError, match="data"):
        fit(
            replace(crops(), distance=crops().distance * 2, names=crops().names[::-1]),
            settings,
            out=tmp_path,
            resume=True,
        )
    resumed = fit(crops(), settings, out=tmp_path, resume=True)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor), name
    assert not checkpoint_path(tmp_path).exists()


def test_mirrored_crops_have_mirrored_viewpoints() -> None:
    shelf = Crops(crops(), replace(TINY, batch=64))
    seen, _, viewpoint = shelf.batch(Turn(0, 0))
    for image, angles in zip(seen, viewpoint, strict=True):
        turned = torch.where(torch.tensor([True, False, True]), -angles, angles)
        plain = any(
            torch.equal(image, shelf.crop(i)) and torch.equal(angles, v) for i, v in enumerate(shelf.data.viewpoint)
        )
        flipped = any(
            torch.equal(image.flip(-1), shelf.crop(i)) and torch.equal(turned, v)
            for i, v in enumerate(shelf.data.viewpoint)
        )
        assert plain or flipped


def test_settings_are_checked() -> None:
    for bad in ({"bins": 4}, {"azimuth_sigma_deg": 0.0}, {"pretrained": "x.pth"}, {"windows": 100}):
        with pytest.raises(ResectError):
            ViewpointSettings(**bad)  # type: ignore[arg-type]


def test_photos_of_a_place_are_refused() -> None:
    with pytest.raises(ResectError, match="resect data views"):
        fit([])  # type: ignore[arg-type]
