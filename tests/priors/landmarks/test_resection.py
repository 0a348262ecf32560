import sys

import pytest
import torch
from tests.priors.planted import LENS, arc, box

from resect.errors import NotInstalledError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.landmarks.resection import Seen, first_pose, refine, reprojection_px


def planted(
    count: int, noise_px: float, *, wrong: float = 0.0, camera: Camera = LENS, seed: int = 0
) -> tuple[Seen, SE3]:
    g = torch.Generator().manual_seed(seed)
    points, truth = box(count, g), arc(5)[1]
    pixels, valid = camera.project(truth.apply(points))
    assert bool(valid.all())
    pixels = pixels + noise_px * torch.randn(pixels.shape, generator=g, dtype=torch.float64)
    bad = torch.rand(count, generator=g) < wrong
    anywhere = torch.rand(count, 2, generator=g, dtype=torch.float64) * torch.tensor([camera.width, camera.height])
    return Seen(points, torch.zeros(count, 3, 3).double(), torch.where(bad[:, None], anywhere, pixels), 0.5), truth


def angle_deg(a: SE3, b: SE3) -> float:
    return float(torch.rad2deg(so3.angle(a.R, b.R)))


def test_exact_pixels_through_a_bent_lens_give_the_planted_pose() -> None:
    seen, truth = planted(80, 0.0)
    start = first_pose(seen, LENS, find_focal=False, max_error_px=4.0, trials=500, seed=0)
    assert start is not None
    assert bool(start[2].all())
    found = refine(seen, start[0], LENS, find_focal=False)
    assert angle_deg(found.cam_from_world, truth) < 1e-6
    assert float((found.cam_from_world.center - truth.center).norm()) < 1e-8
    assert float(found.error_px.max()) < 1e-5


def test_half_the_matches_wrong() -> None:
    seen, truth = planted(300, 0.5, wrong=0.5)
    start = first_pose(seen, LENS, find_focal=False, max_error_px=4.0, trials=2000, seed=0)
    assert start is not None
    found = refine(seen.take(start[2]), start[0], LENS, find_focal=False)
    assert angle_deg(found.cam_from_world, truth) < 0.1
    assert int(start[2].sum()) == pytest.approx(150, abs=25)


def test_noise_alone_finds_no_more_than_a_handful() -> None:
    seen, _ = planted(150, 0.0, wrong=1.1)
    start = first_pose(seen, LENS, find_focal=False, max_error_px=4.0, trials=500, seed=0)
    assert start is None or int(start[2].sum()) < 12


def test_same_seed_same_answer() -> None:
    seen, _ = planted(200, 0.5, wrong=0.6)
    runs = [first_pose(seen, LENS, find_focal=False, max_error_px=4.0, trials=500, seed=7) for _ in range(2)]
    assert runs[0] is not None
    assert runs[1] is not None
    assert torch.equal(runs[0][0].R, runs[1][0].R)
    assert torch.equal(runs[0][2], runs[1][2])


def test_refinement_agrees_with_pycolmap() -> None:
    pycolmap = pytest.importorskip("pycolmap")
    camera = Camera(500.0, 500.0, 320.0, 240.0, 640, 480)
    seen, truth = planted(100, 0.5, camera=camera)
    lens = pycolmap.Camera(model="SIMPLE_PINHOLE", width=640, height=480, params=[500.0, 320.0, 240.0])
    start = pycolmap.Rigid3d(truth.matrix().numpy()[:3])
    options = pycolmap.AbsolutePoseRefinementOptions()
    options.loss_function_scale = 1.0
    every = torch.ones(100, dtype=torch.bool).numpy()
    theirs = pycolmap.refine_absolute_pose(start, seen.pixels.numpy(), seen.points.numpy(), every, lens, options)
    oracle = SE3.from_matrix(torch.tensor(theirs["cam_from_world"].matrix()))
    ours = refine(seen, truth, camera, find_focal=False).cam_from_world
    # Both are robust in slightly different ways, so they agree to a fraction of their own uncertainty (0.03°).
    assert angle_deg(ours, oracle) < 0.01


def test_information_matches_the_scatter_of_answers() -> None:
    d2 = []
    for seed in range(150):
        seen, truth = planted(120, 0.5, seed=seed)
        found = refine(seen, truth, LENS, find_focal=False)
        delta = (truth @ found.cam_from_world.inverse()).log()
        d2.append(float(delta @ found.information @ delta))
    assert torch.tensor(d2).mean() == pytest.approx(6.0, rel=0.2)


def test_uncertain_points_weigh_less_and_widen_the_answer() -> None:
    seen, truth = planted(60, 0.5)
    vague = Seen(seen.points, torch.eye(3, dtype=torch.float64).expand(60, 3, 3) * 0.02**2, seen.pixels, 0.5)
    sharp = refine(seen, truth, LENS, find_focal=False)
    wide = refine(vague, truth, LENS, find_focal=False)
    assert float(torch.linalg.eigvalsh(wide.information)[0]) < float(torch.linalg.eigvalsh(sharp.information)[0])


def test_unknown_focal_length_is_found_and_costs_information() -> None:
    camera = Camera(520.0, 520.0, 320.0, 240.0, 640, 480)
    seen, truth = planted(200, 0.3, camera=camera)
    guess = Camera(768.0, 768.0, 320.0, 240.0, 640, 480)
    start = first_pose(seen, guess, find_focal=True, max_error_px=4.0, trials=1000, seed=0)
    assert start is not None
    found = refine(seen.take(start[2]), start[0], start[1], find_focal=True)
    assert found.camera.fx == pytest.approx(520, rel=0.01)
    assert angle_deg(found.cam_from_world, truth) < 0.2
    known = refine(seen, truth, camera, find_focal=False)
    assert float(torch.linalg.det(found.information)) < float(torch.linalg.det(known.information))


def test_error_behind_the_camera_is_infinite() -> None:
    seen, truth = planted(10, 0.0)
    turn = SE3(torch.diag(torch.tensor([-1.0, 1.0, -1.0])).double(), torch.zeros(3).double())
    assert bool(reprojection_px(seen, turn @ truth, LENS).isinf().all())


def test_too_few_points_are_no_answer() -> None:
    seen, _ = planted(5, 0.0)
    assert first_pose(seen, LENS, find_focal=False, max_error_px=4.0, trials=100, seed=0) is None


def test_without_pycolmap_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    seen, _ = planted(50, 0.0)
    with pytest.raises(NotInstalledError, match="pycolmap"):
        first_pose(seen, LENS, find_focal=False, max_error_px=4.0, trials=100, seed=0)
