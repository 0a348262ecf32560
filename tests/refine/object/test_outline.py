from dataclasses import replace

import pytest
import torch
from solids_in_view import CAMERA, apart, disturbed, painted, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import LMSettings, State, levenberg_marquardt
from resect.refine.object.outline import Sides, coverage, outline
from resect.refine.object.settings import ObjectSettings
from resect.refine.object.sight import Work
from resect.refine.view import View
from resect.scenes.mesh.scene import MeshScene
from resect.types import Photo

SETTINGS = ObjectSettings()


def one_colour() -> MeshScene:
    mesh = painted().mesh
    colour = torch.tensor([0.8, 0.25, 0.15]).expand(len(mesh.vertices), 3).contiguous()
    return MeshScene(replace(mesh, colors=colour))


def seen(scene: MeshScene, photo: Photo, at: SE3) -> tuple[Work, View]:
    work = Work(scene, photo, SETTINGS)
    sight = work.sight(at, 64)
    assert sight is not None
    return work, replace(sight.view, channel="alpha")


def states(poses: SE3) -> State:
    return State(poses, torch.zeros(len(poses), 0, dtype=torch.float64), torch.arange(len(poses)), 0)


def test_coverage_is_linear_in_small_motions() -> None:
    at = pose(3).double()
    _, view = seen(painted(), photograph(painted(), pose(3)), at)
    _, moves = coverage(view, at, 0.5)
    delta = 1e-4 * torch.tensor([[90.0, -40.0, 120.0, 0.5, -0.3, 0.8]], dtype=torch.float64)
    ahead, behind = (coverage(view, at.retract(sign * delta), 0.5)[0] for sign in (1, -1))
    change = (ahead - behind) / 2
    assert float(change.abs().max()) > 1e-3
    assert torch.allclose((moves * delta[0, :, None, None]).sum(1), change, atol=2e-4)


def test_a_blur_spreads_coverage_and_keeps_its_sum() -> None:
    at = pose(3, distance=500.0).double()
    _, view = seen(painted(), photograph(painted(), pose(3)), at)
    sharp, soft = coverage(view, at, 0.1)[0], coverage(view, at, 1.0)[0]
    assert torch.allclose(sharp.sum(), soft.sum(), rtol=1e-5)
    assert int((soft.frac() > 0.01).sum()) > 2 * int((sharp.frac() > 0.01).sum())


def test_the_gradient_is_that_of_the_loss() -> None:
    scene, at = painted(), pose(3).double()
    photo = photograph(scene, pose(3))
    work, view = seen(scene, photo, at)
    sight = work.sight(at, 64)
    assert sight is not None
    near = at.retract(torch.tensor([[1.5, 0.5, 6.0, 0.005, 0.0, 0.02]], dtype=torch.float64))
    system = outline(view, at, sight.lens.shown(at), sight.region.usable, SETTINGS.outline)
    gradient = system(states(near)).gradient[0]
    delta = 1e-4 * torch.tensor([90.0, -40.0, 120.0, 0.5, -0.3, 0.8], dtype=torch.float64)
    ahead, behind = (float(system(states(near.retract(sign * delta[None]))).loss) for sign in (1, -1))
    assert abs(ahead - behind) > 1e-2
    assert float(gradient @ delta) == pytest.approx((ahead - behind) / 2, rel=0.02)


@pytest.mark.parametrize(("made", "degrees", "depth"), [(one_colour, 0.7, 0.003), (painted, 1.3, 0.005)])
def test_an_outline_is_found_to_a_fraction_of_a_pixel(made: type[MeshScene], degrees: float, depth: float) -> None:
    scene, truth = made(), pose(1)
    soft = MeshScene(scene.mesh)  # the photo averages over its pixels
    photo, center = photograph(soft, truth), scene.bounds.mean(0)
    starts = SE3.cat([disturbed(truth, 2.0, 1.0, k, center) for k in range(2)])
    found, work = starts, Work(scene, photo, SETTINGS)
    for _ in range(3):
        sight = work.sight(found, 160)
        assert sight is not None
        system = sight.fine_system(found)
        steps = LMSettings(5, policy="decrease", trust=0.1, stop=3e-4)
        found = levenberg_marquardt(system, found, steps, length=work.radius, pivot=work.middle).cam_from_world
    for k in range(2):
        assert apart(found[k : k + 1], truth)[0] < degrees
    z, true_z = work.centers(found)[:, 2], work.centers(truth)[:, 2]
    assert float((z / true_z - 1).abs().max()) < depth


def test_where_both_sides_look_alike_the_outline_says_nothing() -> None:
    scene, at = painted(), pose(2)
    grey = replace(photograph(scene, at), image=torch.full((CAMERA.height, CAMERA.width, 3), 0.5))
    work, view = seen(scene, grey, at)
    sight = work.sight(at, 64)
    assert sight is not None
    covered, moves = coverage(view, at, 0.5)
    sides = Sides.of(view, sight.lens.shown(at), covered, sight.region.usable, SETTINGS.outline)
    normal = sides.normal(covered, moves, torch.arange(1), 3.0)
    assert float(normal.matrix.abs().max()) < 1e-3
    assert float(normal.gradient.abs().max()) < 1e-3
