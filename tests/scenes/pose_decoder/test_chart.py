"""The closed form against the network itself, in float64, and finite differences of it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.priors.captures import TRAIN, capture
from tests.priors.posenet_networks import posenet
from tests.scenes.pose_decoder.decoders import TINY, fitted, knowing
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.scenes.pose_decoder.fit import fit_scenes
from resect.scenes.pose_decoder.network import PoseDecoderNetwork
from resect.scenes.pose_decoder.scene import PoseDecoder

POSES = capture().truth.cam_from_world.double()
XI = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def features(scene: PoseDecoder, poses: SE3) -> Tensor:
    """In float64, through the network."""
    frame, network = scene.frames[scene.scene], copy.deepcopy(scene.network).double()
    x = (poses.center - frame.origin.double()) / frame.scale.double()
    q = so3.to_quaternion(poses.R @ frame.reference.double().mT)
    which = torch.full((len(x),), scene.scene) if scene.scenes else None
    return (network(x, q, which) - scene.middle.double()) @ scene.project.double().mT


def untrained(**changes: object) -> PoseDecoder:
    scene, settings = knowing(), replace(TINY, **changes)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = PoseDecoderNetwork(settings, 32).eval().requires_grad_(False)
    return replace(scene, network=network, settings=settings, project=torch.randn(5, 32), middle=torch.randn(32))


def several() -> PoseDecoder:
    train = capture().subset(TRAIN)
    teachers = {"a": posenet(), "b": posenet()}
    return fit_scenes({"a": train, "b": train.subset(range(5))}, teachers, replace(TINY, steps=2)).of("b")


@pytest.mark.parametrize("far", [0.0, 1e-4, 0.05, 0.5, 2.0])
def test_features_and_derivatives_are_those_of_the_network(far: float) -> None:
    for scene in (knowing(), fitted(), untrained(widths=()), untrained(octaves=0), untrained(octaves=9), several()):
        start, xi = POSES[:4], far * XI
        shown, slope = scene.chart(start)(xi.numpy())
        expected = features(scene, SE3.exp(xi) @ start)
        torch.testing.assert_close(torch.from_numpy(shown), expected, rtol=1e-6, atol=1e-6)  # frames are float32
        step = 1e-7 * torch.eye(6, dtype=torch.float64)
        up, down = (
            torch.stack([features(scene, SE3.exp(xi + sign * e) @ start) for e in step], -1) for sign in (1, -1)
        )
        numeric = (up - down) / 2e-7
        scale = float(numeric.abs().max())
        np.testing.assert_allclose(slope, numeric.numpy(), rtol=1e-4, atol=1e-5 * scale)


def test_a_whole_turn_comes_back() -> None:
    """The series hold as far as a refinement goes."""
    scene, axis = knowing(), torch.nn.functional.normalize(XI[:, 3:], dim=1)
    turned = torch.cat([torch.zeros(4, 3).double(), 2 * torch.pi * axis], 1)
    there, here = (scene.chart(POSES[:4])(xi.numpy())[0] for xi in (turned, torch.zeros_like(turned)))
    np.testing.assert_allclose(there, here, atol=1e-8)
