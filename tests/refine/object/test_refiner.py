from dataclasses import replace

import pytest
import torch
from solids_in_view import CAMERA, apart, disturbed, painted, photograph, pose, wall

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.mesh import Mesh
from resect.geometry.rotation_group import closure, turn
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.geometry.symmetry import Symmetries
from resect.priors.views import Views
from resect.refine.object.refiner import ObjectInversion
from resect.scenes.mesh.scene import MeshScene
from resect.types import Hypotheses, Photo, Status, Target


def known_to(start: SE3, degrees: float, shift: float, center: torch.Tensor) -> Hypotheses:
    """A start with the information its disturbance amounts to, about the object's middle."""
    sigma = torch.tensor([shift / 3**0.5] * 3 + [degrees * torch.pi / 180 / 3**0.5] * 3, dtype=torch.float64)
    back = torch.eye(6, dtype=torch.float64)
    back[:3, 3:] = -so3.hat(start.double().apply(center.double()[None, None])[0, 0])
    information = back.mT @ torch.diag(sigma**-2) @ back
    return Hypotheses(start, torch.zeros(1), information[None], source=("given",))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_disturbed_start_comes_back(seed: int) -> None:
    scene, truth = painted(), pose(seed)
    center = scene.bounds.mean(0)
    start = disturbed(truth, 20.0, 10.0, seed, center)
    answer = ObjectInversion().refine(scene, photograph(scene, truth, gain=0.8), known_to(start, 20.0, 10.0, center))
    assert answer.ok
    assert answer.cam_from_world is not None
    found = SE3(answer.cam_from_world.R[None], answer.cam_from_world.t[None])
    degrees, shift = apart(found, truth)
    assert degrees < 3.0
    assert shift < 6.0
    assert answer.covariance is not None
    assert answer.loss is not None
    assert answer.loss[0] <= answer.loss[1]
    assert answer.cost.rays > 0


def test_a_box_is_enough() -> None:
    scene, truth = painted(), pose(7)
    pixels, _ = CAMERA.project(truth.apply(scene.mesh.vertices[None])[0])
    box = (*pixels.amin(0).tolist(), *pixels.amax(0).tolist())
    photo = photograph(scene, truth)
    photo = Photo(photo.name, photo.image, photo.camera, target=Target("1", box=box))
    starts = Views.of(scene.mesh).propose(photo, 2000, torch.Generator().manual_seed(0))
    answer = ObjectInversion().refine(scene, photo, starts)
    assert answer.cam_from_world is not None
    degrees, _ = apart(SE3(answer.cam_from_world.R[None], answer.cam_from_world.t[None]), truth)
    assert degrees < 4.0


def test_an_answer_that_the_box_contradicts_is_none() -> None:
    scene, truth = painted(), pose(7)
    pixels, _ = CAMERA.project(truth.apply(scene.mesh.vertices[None])[0])
    (left, top), (right, bottom) = pixels.amin(0).tolist(), pixels.amax(0).tolist()
    small = (left, top, left + (right - left) / 8, top + (bottom - top) / 8)  # as of an object eight times as far away
    start = Hypotheses(truth, torch.zeros(1))
    found = {}
    for name, visible in {"right": (left, top, right, bottom), "wrong": small}.items():
        photo = replace(photograph(scene, truth), target=Target("1", box=visible))
        found[name] = ObjectInversion().refine(scene, photo, start).status
    assert found["right"].ok
    assert found["wrong"] is Status.NO_AGREEMENT


def test_a_photo_without_the_object_gets_a_status_and_no_pose() -> None:
    scene = painted()
    start = Hypotheses(pose(0), torch.zeros(1))
    answer = ObjectInversion().refine(scene, Photo("wall", wall(3), CAMERA), start)
    assert answer.status is Status.NO_AGREEMENT
    assert answer.cam_from_world is None


def test_out_of_view_nothing_and_not_finite_are_told_apart() -> None:
    scene, photo = painted(), photograph(painted(), pose(0))
    behind = SE3(torch.eye(3)[None], torch.tensor([[0.0, 0.0, -300.0]]))
    refiner = ObjectInversion()
    assert refiner.refine(scene, photo, Hypotheses(behind, torch.zeros(1))).status is Status.OUT_OF_VIEW
    assert refiner.refine(scene, photo, Hypotheses(pose(0)[:0], torch.zeros(0))).status is Status.NO_HYPOTHESIS
    broken = SE3(pose(0).R * float("nan"), pose(0).t)
    assert refiner.refine(scene, photo, Hypotheses(broken, torch.zeros(1))).status is Status.NON_FINITE


def test_a_scene_without_a_silhouette_is_refused() -> None:
    class Flat:
        channels = ("rgb",)

    with pytest.raises(ResectError, match="alpha"):
        ObjectInversion().refine(Flat(), photograph(painted(), pose(0)), Hypotheses(pose(0), torch.zeros(1)))


def test_what_is_known_of_the_start_holds_where_the_photo_says_something_else() -> None:
    scene, truth = painted(), pose(1)
    center = scene.bounds.mean(0)
    away = SE3(truth.R, truth.t + torch.tensor([25.0, 0.0, -60.0]))  # what the photo shows
    start = known_to(truth, 3.0, 3.0, center)
    answer = ObjectInversion().refine(scene, photograph(scene, away), start)
    assert answer.modes is not None
    _, held = apart(SE3(answer.modes.cam_from_world.R[:1], answer.modes.cam_from_world.t[:1]), truth)
    assert held < 15.0
    assert answer.modes.information is not None
    assert start.information is not None
    assert bool((torch.linalg.eigvalsh(answer.modes.information[0].double() - start.information[0]) > -1e-3).all())


def test_all_poses_of_a_symmetric_solid_are_modes_of_equal_mass() -> None:
    cube = box((40.0, 40.0, 40.0))
    red = torch.tensor([0.8, 0.25, 0.15]).expand(len(cube.vertices), 3).contiguous()
    scene = MeshScene(Mesh(cube.vertices, cube.faces, red), antialias=False)
    truth = pose(4)
    axes = torch.eye(3, dtype=torch.float64)
    group = closure([turn(axes[0], 4), turn(axes[2], 4)])
    assert group is not None
    turns = SE3(group, torch.zeros(24, 3, dtype=torch.float64))
    start = disturbed(truth, 8.0, 4.0, 4, scene.bounds.mean(0))
    # As a density over rotations gives them: some of the 24, with weights and spreads of their own.
    starts = SE3.cat([start, SE3(start.R @ group[5].float(), start.t)])
    spread = [known_to(starts[k : k + 1], 10.0, 6.0, scene.bounds.mean(0)).information for k in range(2)]
    density = Hypotheses(starts, torch.tensor([0.0, -2.0]), torch.cat(spread))  # type: ignore[arg-type]
    answer = ObjectInversion(symmetries=Symmetries(turns)).refine(scene, photograph(scene, truth), density)
    assert answer.status is Status.AMBIGUOUS
    assert answer.modes is not None
    assert len(answer.modes) == 24
    mass = answer.modes.log_weight.exp()
    assert float(mass.max() / mass.min()) < 1.1
    found = answer.modes.cam_from_world.R.double()[:, None].expand(24, 24, 3, 3)
    apart_rad = so3.angle(found, (truth.R.double() @ group)[None].expand(24, 24, 3, 3))
    assert sorted(apart_rad.argmin(1).tolist()) == list(range(24))
    assert float(apart_rad.amin(1).max()) < 0.02
