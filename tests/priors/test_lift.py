import pytest
import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.lift import lift

CAMERA = Camera(570.0, 572.0, 325.0, 242.0, 640, 480)


def some_rotations(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return so3.exp(2 * torch.randn(count, 3, generator=generator, dtype=torch.float64))


def box_of(points: torch.Tensor, pose: SE3, camera: Camera) -> tuple[float, float, float, float]:
    pixels, _ = camera.project(pose.apply(points))
    return (*pixels.amin(0).tolist(), *pixels.amax(0).tolist())


@pytest.mark.parametrize("lens", [(), (-0.09, 0.03)])
def test_the_true_rotation_and_box_give_the_true_translation(lens: tuple[float, ...]) -> None:
    camera = CAMERA if not lens else Camera(570.0, 572.0, 325.0, 242.0, 640, 480, "opencv", lens)
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.tensor(
        [30, 50, 80]
    )
    for seed in range(5):
        truth = SE3(some_rotations(1, seed)[0], torch.tensor([100.0 * seed - 200, 80.0, 900.0 + 100 * seed]).double())
        found = lift(truth.R[None], points, camera, box_of(points, truth, camera))
        assert bool(found.valid[0])
        assert float((found.cam_from_world.t[0] - truth.t).norm()) < (0.01 if not lens else 4.0)


def test_a_wrong_rotation_fits_worse_and_many_go_at_once() -> None:
    points = torch.tensor([[-20.0, -10, -100], [20, 10, 100], [20, -10, 100], [-20, 10, -100]], dtype=torch.float64)
    truth = SE3(some_rotations(1, 3)[0], torch.tensor([10.0, -40.0, 700.0], dtype=torch.float64))
    others = some_rotations(200, 4)
    found = lift(torch.cat([truth.R[None], others]), points, CAMERA, box_of(points, truth, CAMERA))
    assert float(found.misfit[0]) < 1e-6
    assert float(found.misfit[1:].median()) > 0.02


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ResectError, match="left < right"):
        lift(some_rotations(1, 0), torch.randn(4, 3).double(), CAMERA, (10.0, 10.0, 10.0, 30.0))
