import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
from cube import block, opacity, photograph, ring

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.views import Views
from resect.refine.cutout import Cutout, CutoutSettings
from resect.refine.rows import up_direction
from resect.scenes.mesh.scene import MeshScene
from resect.tracking.ground import camera_height
from resect.types import Hypotheses, Photo, Status, Target


def cut(pose: SE3) -> Photo:
    alpha = opacity(pose)
    photo = photograph(pose)
    return replace(photo, alpha=alpha, image=photo.image * alpha[..., None] + 1 - alpha[..., None])


def error(found: SE3 | None, true: SE3) -> tuple[float, float]:
    assert found is not None
    turn = so3.angle(found.R.double(), true.R).rad2deg()
    return float(turn), float((found.center.double() - true.center).norm())


def disturbed(true: SE3, turn_deg: float, shift: float) -> Hypotheses:
    step = torch.tensor([shift, -shift, shift, 0.0, 0.0, 0.0], dtype=torch.float64)
    step[3:] = torch.tensor([0.6, 0.64, 0.48]).double() * torch.deg2rad(torch.tensor(turn_deg))
    return Hypotheses(true.retract(step, torch.tensor([0.0, 0.0, 0.45]))[None].float(), torch.zeros(1))


def test_a_disturbed_pose_is_found_again_with_its_covariance() -> None:
    true = ring(1)[0]
    estimate = Cutout().refine(MeshScene(block()), cut(true), disturbed(true, 12.0, 0.05))
    assert estimate.status is Status.OK
    turn, shift = error(estimate.cam_from_world, true)
    assert turn < 0.3
    assert shift < 0.01
    assert estimate.covariance is not None
    assert 0 < float(estimate.covariance.diagonal().sqrt().max()) < 0.05


def test_from_the_mask_alone() -> None:
    true = ring(1)[0]
    mask = opacity(true) > 0.5
    photo = replace(photograph(true), target=Target("block", mask=mask))
    guesses = Views.of(block()).propose(photo, 64, torch.Generator().manual_seed(0))
    estimate = Cutout().refine(MeshScene(block()), photo, guesses)
    turn, shift = error(estimate.cam_from_world, true)
    assert turn < 1.5
    assert shift < 0.05


def test_what_else_is_known_is_held_to() -> None:
    true = ring(1)[0]
    up = torch.tensor([0.0, 0.0, 1.0])
    known = (
        up_direction(up, (true.R @ up.double()).float(), 1e-4),
        camera_height(up, 0.0, float(true.center[2]) + 0.03, 1e-4),
    )
    found = Cutout(known=known).refine(MeshScene(block()), cut(true), disturbed(true, 3.0, 0.02)).cam_from_world
    assert found is not None
    assert abs(float(found.center[2]) - float(true.center[2]) - 0.03) < 2e-3


def test_what_else_is_known_ranks_starts_too() -> None:
    """Only one start is kept; the one that looks a little better is upside down."""
    true = ring(1)[0]
    up = torch.tensor([0.0, 0.0, 1.0])
    flip = SE3(so3.exp(torch.tensor([math.pi, 0.0, 0.0]).double()), torch.tensor([0.0, 0.0, 0.9]).double())
    starts = Hypotheses(
        SE3.stack([true @ flip, disturbed(true, 25.0, 0.1).cam_from_world[0].double()]).float(), torch.zeros(2)
    )
    settings = CutoutSettings(keep=(1, 1, 1))
    known = (up_direction(up, (true.R @ up.double()).float(), 0.02),)
    turn, _ = error(Cutout(settings, known).refine(MeshScene(block()), cut(true), starts).cam_from_world, true)
    assert turn < 1.0


def test_another_object_does_not_agree() -> None:
    true = ring(1)[0]
    photo = photograph(true)
    mask = torch.zeros(72, 96, dtype=torch.bool)
    mask[::3, ::3] = True
    estimate = Cutout().refine(
        MeshScene(block()), replace(photo, target=Target("x", mask=mask)), disturbed(true, 3.0, 0.0)
    )
    assert estimate.status is Status.NO_AGREEMENT
    empty = replace(photo, target=Target("x", mask=torch.zeros_like(mask)))
    assert Cutout().refine(MeshScene(block()), empty, disturbed(true, 3.0, 0.0)).status is Status.NO_HYPOTHESIS


def test_bad_input_is_named() -> None:
    true = ring(1)[0]
    photo = photograph(true)
    with pytest.raises(ResectError, match="neither alpha nor mask"):
        Cutout().refine(MeshScene(block()), photo, disturbed(true, 1.0, 0.0))
    wrong = replace(photo, target=Target("x", mask=torch.ones(5, 5, dtype=torch.bool)))
    with pytest.raises(ResectError, match="96x72"):
        Cutout().refine(MeshScene(block()), wrong, disturbed(true, 1.0, 0.0))
