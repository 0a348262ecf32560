"""Objectives: what each is blind to, and derivatives of all against central differences."""

import cv2
import numpy as np
import pytest
import torch
from ball import CAMERA, Ball, pose

from resect.geometry.se3 import SE3
from resect.refine.linearize import sensitivity
from resect.refine.objectives import (
    Blurred,
    Difference,
    GradientDomain,
    LocalContrast,
    Zncc,
    blur,
    correlation,
    linearize,
)
from resect.types import Render

SHAPE = (12, 16)
OBJECTIVES = [Difference(), Blurred(*SHAPE, 1.5), GradientDomain(*SHAPE), LocalContrast(*SHAPE), Zncc()]


def image(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 192, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_derivatives_match_central_differences(objective: Difference) -> None:
    camera, scene = CAMERA.rescale(16, 12), Ball()
    at, pixels, h = SE3.stack([pose(0), pose(1)]), CAMERA.rescale(16, 12).pixels(dtype=torch.float64), 1e-5
    rows = linearize(objective, sensitivity(scene, camera, at, pixels), torch.zeros(1, 1, dtype=torch.float64))
    for k, axis in enumerate(torch.eye(6, dtype=torch.float64)):
        plus, minus = (objective.of(scene.render(camera, at.retract(s * h * axis.expand(2, 6))).rgb) for s in (1, -1))
        torch.testing.assert_close(rows.jacobian[..., k], (plus - minus) / (2 * h), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_residual_is_zero_for_equal_images_only(objective: Difference) -> None:
    same, other = Render(rgb=image(0)), Render(rgb=image(1))
    assert objective(same, same).abs().max() == 0
    assert objective(same, other).abs().max() > 0.01


def test_exposure_changes_what_it_should() -> None:
    photo = image()
    darker = 0.5 * photo + 0.2
    assert Zncc().of(darker).sub(Zncc().of(photo)).abs().max() < 1e-4
    shifted = photo + 0.2
    gradients = GradientDomain(*SHAPE)
    torch.testing.assert_close(gradients.of(shifted), gradients.of(photo))
    contrast = LocalContrast(*SHAPE, floor=1e-4)
    torch.testing.assert_close(contrast.of(darker), contrast.of(photo), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sigma", [0.7, 1.5, 3.0])
def test_blur_matches_opencv(sigma: float) -> None:
    picture = image().reshape(12, 16, 3)
    size = 2 * int(np.ceil(4 * sigma)) + 1
    expected = cv2.GaussianBlur(picture.numpy(), (size, size), sigma, borderType=cv2.BORDER_REFLECT_101)
    torch.testing.assert_close(blur(picture, sigma), torch.from_numpy(expected), rtol=0, atol=1e-9)


def test_correlation_matches_numpy_and_survives_a_constant() -> None:
    a, b = image(0).flatten(1), image(1).flatten(1)
    expected = np.corrcoef(a.numpy(), b.numpy())[0, 1]
    assert correlation(a - a.mean(), b - b.mean()).item() == pytest.approx(expected)
    assert correlation(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0
