"""Poses and codes of blobs in closed form, from a grid of starts."""

from dataclasses import replace

import pytest
import torch
from tests.refine.category.coded import CAMERA, Blobs, photo_of, truth

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.localizer import Localizer
from resect.priors.view_grid import ViewGrid
from resect.refine.category.codes import CodeSpace
from resect.refine.category.inversion import CategoryInversion
from resect.refine.category.settings import CategorySettings, ImageLoss
from resect.refine.category.term import Codes, photo_term
from resect.refine.levenberg_marquardt import State
from resect.refine.robust import Robust
from resect.refine.view import Meter, view
from resect.types import Hypotheses, Photo, Status, Target

SMALL = CategorySettings(sides=(12, 24), keep=(8, 2), steps=(10, 8), components=4, prototypes=3, closest=12)
GRID = ViewGrid((0.0, 0.0, 0.0), 2.2, elevation_rad=(-1.2, 1.2))


def error(pose: SE3 | None, true: SE3) -> float:
    assert pose is not None
    return float(so3.angle(pose.R[None].float(), true.R).rad2deg())


def starts() -> Hypotheses:
    return GRID.propose(Photo("p", torch.ones(2, 2, 3)), 24, torch.Generator())


def test_a_known_instance_is_posed_from_24_starts() -> None:
    scene = Blobs()
    photo = replace(photo_of(scene, truth(), scene.codes[5]), target=Target("blob-5"))
    found = Localizer(scene, GRID, CategoryInversion(SMALL)).estimate(photo)
    assert found.status is Status.OK
    assert found.modes is not None
    assert found.modes.code is not None
    assert error(found.cam_from_world, truth()) < 0.2
    assert torch.equal(found.modes.code[0], scene.codes[5])
    assert found.loss is not None
    assert found.loss[0] <= found.loss[1]
    assert len(found.trace[0].cam_from_world) == 24
    assert found.covariance is not None


def test_pose_and_code_are_found_together() -> None:
    scene = Blobs()
    code = 0.6 * scene.codes[1] + 0.4 * scene.codes[7]
    found = CategoryInversion(SMALL).refine(scene, photo_of(scene, truth(), code), starts())
    assert error(found.cam_from_world, truth()) < 1.5
    assert found.modes is not None
    assert found.modes.code is not None
    assert float((found.modes.code[0] - code).norm()) < 0.5 * float((scene.codes.mean(0) - code).norm())


@pytest.mark.parametrize("loss", ["mse", "l1", "norm_l1", "norm_l2", "gmsd"])
def test_adam_descends_each_loss(loss: ImageLoss) -> None:
    scene = Blobs()
    settings = replace(SMALL, optimizer="adam", loss=loss, sides=(24,), keep=(4,), steps=(1,), adam_steps=60)
    delta = torch.tensor([[0.0, 0, 0, 0.1, 0, 0], [0, 0, 0, 0, 0.08, 0.05]])
    near = truth(2)[torch.zeros(2, dtype=torch.long)].retract(delta, about=torch.zeros(3))
    photo = replace(photo_of(scene, truth(), scene.codes[2]), target=Target("blob-2"))
    found = CategoryInversion(settings).refine(scene, photo, Hypotheses(near, torch.zeros(2), source=("a", "b")))
    assert found.loss is not None
    assert found.loss[0] < 0.7 * found.loss[1]
    assert error(found.cam_from_world, truth()) < 3
    assert [step.stage for step in found.trace[1:]] == [f"adam {k}" for k in range(60)]


def test_a_mask_stands_for_a_white_background() -> None:
    scene = Blobs()
    photo = photo_of(scene, truth(), scene.codes[5])
    mask = photo.image.amin(-1) < 0.98
    cluttered = torch.where(
        mask[..., None], photo.image, torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0))
    )
    asked = replace(photo, image=cluttered, target=Target("blob-5", mask=mask))
    found = CategoryInversion(SMALL).refine(scene, asked, starts())
    assert error(found.cam_from_world, truth()) < 1


def test_codes_that_hypotheses_carry_are_kept() -> None:
    scene = Blobs()
    near = truth().retract(torch.tensor([[0.0, 0, 0, 0.1, 0, 0]]), about=torch.zeros(3))
    given = Hypotheses(near, torch.zeros(1), code=scene.codes[4:5], source=("given",))
    found = CategoryInversion(SMALL).refine(scene, photo_of(scene, truth(), scene.codes[4]), given)
    assert error(found.cam_from_world, truth()) < 0.2
    assert found.modes is not None
    assert found.modes.code is not None
    assert torch.equal(found.modes.code[0], scene.codes[4])


def test_the_normal_equations_are_those_of_small_steps() -> None:
    scene, pose = Blobs(), truth(2)
    photo = photo_of(scene, truth(), scene.codes[0])
    at = view(scene, photo, 16, Meter(), 256)
    codes = Codes(scene.codes[[3, 6]], CodeSpace.of(scene.codes, 3))
    term = photo_term(scene, at, codes, Robust("cauchy", 0.2), 0.7)
    index, begin = torch.arange(2), codes.start()
    normal = term(State(pose, begin, index, 0))
    for k in range(9):
        losses = []
        for step in (3e-3, -3e-3):
            delta, extra = torch.zeros(2, 6), begin.clone()
            if k < 6:
                delta[:, k] = step
            else:
                extra[:, k - 6] += step
            losses.append(term(State(pose.retract(delta), extra, index, 0)).loss)
        numeric = (losses[0] - losses[1]) / 6e-3
        scale = float(normal.gradient.abs().max())
        assert float((normal.gradient[:, k] - numeric).abs().max()) < 0.02 * scale


def test_photos_that_show_nothing_or_cannot_be_used_get_a_status() -> None:
    scene, refiner = Blobs(), CategoryInversion(SMALL)
    blank = Photo("p", torch.ones(32, 32, 3), CAMERA)
    assert refiner.refine(scene, blank, starts()).status is Status.NO_AGREEMENT
    broken = replace(blank, image=torch.full((32, 32, 3), float("nan")))
    assert refiner.refine(scene, broken, starts()).status is Status.NON_FINITE
    none = starts().take(torch.arange(0))
    assert refiner.refine(scene, blank, none).status is Status.NO_HYPOTHESIS


def test_coordinates_of_codes() -> None:
    codes = Blobs(30).codes
    space = CodeSpace.of(codes, 2)
    at = space.coordinates(codes)
    assert at.shape == (30, 2)
    assert torch.allclose(at.std(0), torch.ones(2), atol=1e-4)
    assert torch.allclose(space.code(codes, at), codes, atol=1e-5)
    moved = space.code(codes, at + 1)
    assert torch.allclose(space.coordinates(moved), at + 1, atol=1e-4)
    assert len(set(space.spread(7).tolist())) == 7
    assert len(CodeSpace.of(codes[:3], 8).axes) == 2
