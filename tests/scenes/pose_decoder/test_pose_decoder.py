import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.captures import TEST, TRAIN, capture
from tests.priors.posenet_networks import posenet
from tests.scenes.pose_decoder.decoders import TINY, fitted, knowing

from resect import zoo
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.nn.encodings import fourier
from resect.refine.linearize import sensitivity
from resect.scenes.pose_decoder.fit import Lessons, Trainee, directions, fit, fit_scenes
from resect.scenes.pose_decoder.network import PoseDecoderNetwork
from resect.scenes.pose_decoder.scene import PIXEL, PoseDecoder
from resect.scenes.pose_decoder.settings import PoseDecoderSettings, PublishedPoseDecoderSettings

POSES = capture().truth.cam_from_world.double()


def test_sizes_are_the_published_ones() -> None:
    """0.22 million parameters; 39 and 52 inputs, 52 and 65 with a scene's index."""
    network = PoseDecoderNetwork(PublishedPoseDecoderSettings(), 512)
    assert network.x_encoder[0].in_features == 39
    assert network.q_encoder[0].in_features == 52
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(0.22e6, rel=0.02)


def test_the_encoding_is_the_published_one() -> None:
    x = torch.tensor([[0.3, -1.2]], dtype=torch.float64)
    expected = torch.cat([x, x.sin(), x.cos(), (2 * x).sin(), (2 * x).cos(), (4 * x).sin(), (4 * x).cos()], -1)
    torch.testing.assert_close(fourier(x, 3), expected)
    assert torch.equal(fourier(x, 0), x)


def test_it_learns_what_its_teacher_thinks() -> None:
    train, teacher = capture().subset(TRAIN), posenet()
    made = fit(train, replace(TINY, widths=(64, 64), steps=60, views=1, pose=0.0, rate=1e-2), parents=(teacher,))
    thought = torch.stack([teacher.latent(train[i]) for i in range(len(train))])
    shown = made.latents(train.truth.cam_from_world)
    left = (shown - thought).square().mean() / (thought - thought.mean(0)).square().mean()
    assert float(left) < 0.6


def test_the_pose_loss_reaches_the_decoder() -> None:
    teacher = replace(posenet(), network=copy.deepcopy(posenet().network))  # others use it too
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PoseDecoderNetwork(TINY, 32)
    trainee = Trainee(network, [teacher], replace(TINY, latents=0.0), 1.0)
    teacher.network.x_reg.weight.data += 0.01  # a teacher that has learned nothing has heads of zeros
    x, q = teacher.frame.encode(POSES[:4])
    trainee(torch.zeros(4, 32), x, q, torch.zeros(4, dtype=torch.long))["loss"].backward()
    gradient = network.x_encoder[0].weight.grad
    assert gradient is not None
    assert float(gradient.abs().max()) > 0


def test_a_render_is_the_same_at_every_pixel_and_a_loop_over_poses() -> None:
    scene = fitted()
    camera = Camera.from_fov(1.0, 4, 3)
    shown = scene.render(camera, POSES[:3]).feature
    assert shown is not None
    assert shown.shape == (3, 12, TINY.channels)
    assert shown.dtype == torch.float64
    one = scene.render(PIXEL, POSES[1:2], ("feature",), torch.zeros(2, 2)).feature
    assert one is not None
    torch.testing.assert_close(one, shown[1:2, :2], atol=1e-5, rtol=1e-5)
    seen = scene.observe(capture()[TEST[0]], camera).feature
    assert seen is not None
    assert seen.shape == (1, 12, TINY.channels)


def test_features_are_the_projected_latents() -> None:
    scene = fitted()
    expected = (scene.latents(POSES).float() - scene.middle) @ scene.project.T
    shown = scene.render(PIXEL, POSES).feature
    assert shown is not None
    torch.testing.assert_close(shown[:, 0].float(), expected, atol=1e-3, rtol=1e-3)


def test_derivatives_are_those_of_central_differences() -> None:
    scene, pose = knowing(), POSES[:3]
    pixels = torch.zeros(1, 2, dtype=torch.float64)
    jacobian = sensitivity(scene, PIXEL, pose, pixels, channel="feature").jacobian
    step = 1e-2
    for k in range(6):
        move = step * torch.eye(6, dtype=torch.float64)[k].expand(3, 6)
        up, down = (scene.render(PIXEL, pose.retract(sign * move)).feature for sign in (1, -1))
        assert up is not None
        assert down is not None
        numeric = (up - down) / (2 * step)
        torch.testing.assert_close(jacobian[..., k], numeric, atol=0.05, rtol=0.2)


def test_derivatives_are_those_of_forward_tangents() -> None:
    for scene in (knowing(), fitted()):
        pose = POSES[:3]
        shown, jacobian = scene.linearize(PIXEL, pose, torch.zeros(2, 2), "feature")
        assert jacobian.shape == (3, 2, len(scene.project), 6)

        def features(delta: torch.Tensor, scene: PoseDecoder = scene, pose: SE3 = pose) -> torch.Tensor:
            found = scene.render(PIXEL, pose.retract(delta)).feature
            assert found is not None
            return found[:, 0]

        zero = torch.zeros(3, 6, dtype=torch.float64)
        torch.testing.assert_close(shown[:, 0], features(zero), atol=1e-5, rtol=1e-4)
        for k in range(6):
            tangent = torch.func.jvp(features, (zero,), (torch.eye(6).double()[k].expand(3, 6),))[1]
            torch.testing.assert_close(jacobian[:, 0, :, k], tangent, atol=1e-3, rtol=1e-3)


def test_projected_residuals_have_unit_variance_and_the_first_directions_tell_most() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = PoseDecoderNetwork(PoseDecoderSettings(octaves=1, widths=(8,)), 12)
    g = torch.Generator().manual_seed(0)
    x, q = torch.randn(500, 3, generator=g), torch.nn.functional.normalize(torch.randn(500, 4, generator=g), dim=-1)
    with torch.no_grad():
        decoded = network(x, q)
    noise = torch.randn(500, 12, generator=g) * torch.linspace(0.1, 2, 12)
    project, middle = directions(network, Lessons(decoded + noise, x, q, torch.zeros(500).long(), 8), 4, False)
    assert float((noise @ project.T).var(0).max()) < 1.3
    signal = ((decoded - middle) @ project.T).var(0)
    assert signal.tolist() == sorted(signal.tolist(), reverse=True)


def test_true_poses_rank_high_among_many() -> None:
    scene, g = knowing(0.02), torch.Generator().manual_seed(0)
    photos = capture()
    for k in range(4):
        delta = torch.randn(400, 6, generator=g, dtype=torch.float64) * torch.tensor([0.5] * 3 + [0.3] * 3)
        others = POSES[[k]].retract(delta)
        poses = type(others)(torch.cat([POSES.R[k : k + 1], others.R]), torch.cat([POSES.t[k : k + 1], others.t]))
        distance = scene.distance2(replace(photos[k], name=str(k)), poses)
        assert int((distance < distance[0]).sum()) <= 4


def test_saved_with_its_teacher_and_loaded_through_the_zoo(tmp_path: Path) -> None:
    scene = fitted()
    scene.save(tmp_path)
    again = zoo.load(tmp_path, role="scene")
    assert isinstance(again, PoseDecoder)
    photo = capture()[TEST[0]]
    torch.testing.assert_close(again.distance2(photo, POSES), scene.distance2(photo, POSES), rtol=1e-4, atol=1e-4)
    (tmp_path / "teacher" / "artifact.json").unlink()
    with pytest.raises(ResectError, match="teacher"):
        zoo.load(tmp_path)


def test_several_places_have_codes_of_their_own(tmp_path: Path) -> None:
    train = capture().subset(TRAIN)
    scenes, teachers = {"b": train, "a": train.subset(range(5))}, {"a": posenet(), "b": posenet()}
    made = fit_scenes(scenes, teachers, replace(TINY, steps=4, pose=1.0))
    assert made.scenes == ("a", "b")
    assert not torch.equal(made.of("a").latents(POSES), made.of("b").latents(POSES))
    made.save(tmp_path)
    again = PoseDecoder.load(tmp_path).of("b")
    torch.testing.assert_close(again.latents(POSES), made.of("b").latents(POSES))
    with pytest.raises(ResectError, match="a, b"):
        made.of("c")


def test_nonsense_is_refused() -> None:
    scene = fitted()
    with pytest.raises(ResectError, match="rgb"):
        scene.render(PIXEL, POSES, ("rgb",))
    with pytest.raises(ResectError, match="code"):
        scene.render(PIXEL, POSES, code=torch.zeros(len(POSES), 2))
    with pytest.raises(ResectError, match="teacher"):
        replace(scene, teacher=None).observe(capture()[0], PIXEL)
    with pytest.raises(ResectError, match="teacher"):
        fit(capture(), TINY)
    with pytest.raises(ResectError, match="widths"):
        PoseDecoderSettings(widths=(0,))
