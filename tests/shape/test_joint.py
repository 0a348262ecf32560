"""Code and pose from a mask, with ellipsoids whose outlines are known in closed form."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.shape.joint import Joint, JointSettings, _Outline, fit_jointly
from resect.types import Photo, Target

CAMERA = Camera.from_fov(0.7, 96, 80)
TRUE = torch.log(torch.tensor([0.45, 0.25, 0.2]).double())
POSE = SE3(so3.exp(torch.tensor([0.3, -0.5, 0.2]).double()), torch.tensor([0.1, -0.05, 2.5]).double())


def ellipsoid(points: Tensor, code: Tensor) -> Tensor:
    """Logit of being inside the ellipsoid whose half axes are exp(code)."""
    return 8 * (1 - (points / code.exp()).norm(dim=-1))


def outline(code: Tensor, pose: SE3) -> Tensor:
    """Exact: a ray d from the camera meets the ellipsoid where the discriminant of |D(o + s d)|² = 1 is positive."""
    shrink = torch.diag((-code).exp())
    begin, along = shrink @ -pose.R.mT @ pose.t, CAMERA.rays(CAMERA.pixels(dtype=torch.float64)) @ pose.R @ shrink
    half = along @ begin
    return (half.square() - along.square().sum(-1) * (begin @ begin - 1) > 0).reshape(CAMERA.height, CAMERA.width)


def photo(mask: Tensor | None) -> Photo:
    return Photo("one", torch.ones(CAMERA.height, CAMERA.width, 3), CAMERA, target=Target("object", mask=mask))


def off(found: Joint) -> tuple[float, float]:
    return float((found.code - TRUE).abs().max()), float((found.cam_from_object.t - POSE.t).norm())


def test_the_outline_is_that_of_the_closed_form() -> None:
    mask = outline(TRUE, POSE)
    seen = _Outline.of(ellipsoid, photo(mask), JointSettings(side=96, samples=96))
    assert seen.overlap(seen.most_inside(TRUE, POSE)) > 0.98
    assert seen.overlap(seen.most_inside(TRUE + 0.2, POSE)) < 0.8


def test_code_and_pose_meet_the_outline() -> None:
    start = SE3(so3.exp(torch.tensor([0.0, 0.0, 0.15]).double()) @ POSE.R, POSE.t + torch.tensor([0.05, 0.04, 0.0]))
    begin = TRUE + torch.tensor([-0.15, 0.2, 0.0])
    found = fit_jointly(ellipsoid, begin, start, photo(outline(TRUE, POSE)), JointSettings(hold=0.0))
    assert found.overlap_before < 0.75
    assert found.overlap > 0.96
    assert off(found)[1] < 0.06


def test_a_firm_hold_keeps_the_code_and_moves_the_pose() -> None:
    start = replace(POSE, t=POSE.t + torch.tensor([0.08, 0.0, 0.0]))
    found = fit_jointly(ellipsoid, TRUE, start, photo(outline(TRUE, POSE)), JointSettings(hold=1e3))
    code, away = off(found)
    assert code < 0.01
    assert away < 0.075
    assert float((found.cam_from_object.t - POSE.t)[:2].norm()) < 0.01
    assert found.overlap > 0.95


def test_what_fits_already_does_not_get_worse() -> None:
    found = fit_jointly(ellipsoid, TRUE, POSE, photo(outline(TRUE, POSE)), JointSettings(steps=5))
    assert found.overlap >= found.overlap_before > 0.95


def test_a_photo_without_a_mask_is_refused() -> None:
    for mask in (None, torch.zeros(CAMERA.height, CAMERA.width, dtype=torch.bool)):
        with pytest.raises(ResectError, match="mask"):
            fit_jointly(ellipsoid, TRUE, POSE, photo(mask))
