"""The photo's own depth in the default refiner, on a scene in closed form."""

import math
from dataclasses import replace

import torch
from ball import RayBall, error, photograph, pose

from resect.geometry.camera import Camera
from resect.refine.default import Inversion
from resect.refine.depth import depth_term, linearised
from resect.refine.halving import SearchSettings
from resect.refine.levenberg_marquardt import State
from resect.refine.recipe import RefineSettings
from resect.refine.rows import pose_information
from resect.refine.view import Meter, resize_depth, view
from resect.types import Hypotheses, Photo

CAMERA = Camera(110.0, 110.0, 64.0, 48.0, 128, 96)
SCENE = RayBall(waves=6.0)
TRUTH = pose(3)
QUICK = RefineSettings(
    fine_side=48, match_side=64, polish_side=64, bench_side=96, search=SearchSettings(keep_coarse=2, blur_steps=(4, 3))
)


def photo(noise: float = 0.0, depth_noise: float = 0.0) -> Photo:
    taken = photograph(SCENE, TRUTH, CAMERA, noise, seed=1)
    # The centre off the ball's, so that depth tells every direction but turns about the ball's centre.
    depth = SCENE.render(CAMERA, TRUTH[None], ("depth",)).depth[0].float()
    spoilt = depth * (1 + depth_noise * torch.randn(depth.shape, generator=torch.Generator().manual_seed(2)))
    return replace(taken, depth=spoilt.unflatten(0, (96, 128)))


def start(degrees: float, shift: float, sigma_deg: float, sigma: float) -> Hypotheses:
    off = TRUTH.retract(torch.tensor([shift, -shift, shift, 0, math.radians(degrees), 0], dtype=torch.float64))
    information = torch.diag(torch.tensor([sigma] * 3 + [math.radians(sigma_deg)] * 3, dtype=torch.float64) ** -2)
    return Hypotheses(off[None].float(), torch.zeros(1), information[None])


def errors(photo: Photo, settings: RefineSettings = QUICK) -> tuple[float, float]:
    answer = Inversion(settings).refine(SCENE, photo, start(3.0, 0.05, 2.0, 0.05))
    assert answer.cam_from_world is not None
    return error(answer.cam_from_world, TRUTH)


def test_depth_makes_a_noisy_photos_place_more_exact() -> None:
    taken = photo(noise=0.1, depth_noise=0.005)
    without, with_depth = errors(replace(taken, depth=None)), errors(taken)
    assert with_depth[1] < 0.7 * without[1]
    assert errors(taken, replace(QUICK, depth_side=0)) == without


def test_unknown_and_wrong_depths_do_no_harm() -> None:
    taken = photo(depth_noise=0.005)
    assert taken.depth is not None
    holes = taken.depth.clone()
    holes[:40] = 0.0
    holes[40:50, :64] = 9.0  # a person who walked in
    holes[0, 0] = torch.nan
    plain, holed = errors(replace(taken, depth=None)), errors(replace(taken, depth=holes))
    assert holed[0] < plain[0] + 0.02
    assert holed[1] < plain[1] + 1e-3
    nothing = replace(taken, depth=torch.zeros_like(holes))
    assert errors(nothing) == plain


def test_resizing_depth_is_exact_on_planes_and_knows_no_depth_between_two_surfaces() -> None:
    small, large = Camera(55.0, 55.0, 32.0, 24.0, 64, 48), Camera(110.0, 110.0, 64.0, 48.0, 128, 96)

    def plane(camera: Camera) -> torch.Tensor:
        rays = camera.rays(camera.pixels())
        return (1.0 / (rays / rays[:, 2:] @ torch.tensor([0.2, -0.1, 0.5]))).unflatten(0, (camera.height, camera.width))

    torch.testing.assert_close(resize_depth(plane(large), 64, 48), plane(small), rtol=1e-5, atol=1e-5)
    # Old pixels that are cut have one depth throughout, which moves the mean by up to a tenth of a pixel.
    torch.testing.assert_close(resize_depth(plane(large), 96, 72), plane(large.rescale(96, 72)), rtol=1e-3, atol=0)
    steps = torch.ones(4, 4)
    steps[:, 1:] = 2.0
    steps[3, 3] = 0.0
    found = resize_depth(steps, 2, 2)
    assert found.tolist() == [[0.0, 2.0], [0.0, 0.0]]


def test_the_linearised_term_has_its_minimum_where_newton_says() -> None:
    at = view(SCENE, photo(), 48, Meter(), 64 * 48)
    poses = start(0.2, 0.01, 1.0, 1.0).cam_from_world.double()
    term = depth_term(at, poses, 40.0)
    assert term is not None
    nothing, every = torch.zeros(1, 0, dtype=torch.float64), torch.arange(1)
    here = term(State(poses, nothing, every, 0))
    step = torch.tensor([[0.003, -0.002, 0.001, 0.002, 0.001, -0.003]], dtype=torch.float64)
    there = term(State(poses.retract(step), nothing, every, 0))
    grown = here.loss + (step * (here.gradient + 0.5 * (here.matrix @ step[..., None])[..., 0])).sum(-1)
    torch.testing.assert_close(there.loss, grown)
    # with neither gradient nor loss it is what is known of a pose beforehand
    known = pose_information(poses, here.matrix)(State(poses.retract(step), nothing, every, 0))
    still = replace(here, gradient=torch.zeros_like(here.gradient), loss=torch.zeros_like(here.loss))
    same = linearised(poses, still)(State(poses.retract(step), nothing, every, 0))
    torch.testing.assert_close(same.gradient, known.gradient)


def test_photos_without_enough_depth_have_no_term() -> None:
    bare = view(SCENE, replace(photo(), depth=None), 48, Meter(), 64 * 48)
    assert depth_term(bare, TRUTH[None], 40.0) is None
    little = torch.zeros(96, 128)
    little[:4, :4] = 2.0
    assert depth_term(view(SCENE, replace(photo(), depth=little), 48, Meter(), 64 * 48), TRUTH[None], 40.0) is None
