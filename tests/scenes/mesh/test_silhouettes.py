"""The classic silhouettes beside the exact one."""

import pytest
import torch
from tests.scenes.mesh.solids import ball, ring, views
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.mesh.silhouettes import Kind, _signed_square, silhouette

CAMERA = Camera.from_fov(0.8, 32, 32)
KINDS: tuple[Kind, ...] = ("antialias", "soft", "nmr")


def square() -> MeshScene:
    corners = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]]).double()
    return MeshScene(Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]])))


def facing(x: float = 0.0, y: float = 0.0) -> SE3:
    return SE3(torch.eye(3).double()[None], torch.tensor([[x, y, 3.0]]).double())


def pulled(scene: MeshScene, pose: SE3, target: Tensor, kind: Kind) -> tuple[float, Tensor]:
    delta = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    loss = 0.5 * (silhouette(scene, CAMERA, pose.retract(delta), kind) - target).square().sum()
    (gradient,) = torch.autograd.grad(loss, delta)
    return float(loss.detach()), gradient[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("x", "y"), [(0.12, 0.0), (-0.12, 0.0), (0.0, 0.15), (0.0, -0.15)])
def test_a_shifted_square_is_pulled_back(kind: Kind, x: float, y: float) -> None:
    target = silhouette(square(), CAMERA, facing(), "antialias")
    _, gradient = pulled(square(), facing(x, y), target, kind)
    along, across = (gradient[0], gradient[1]) if x else (gradient[1], gradient[0])
    assert float(along) * (x + y) > 0
    assert float(along.abs()) > 5 * float(across.abs())


@pytest.mark.parametrize("kind", KINDS)
def test_going_down_fits_the_silhouette(kind: Kind) -> None:
    """Translations by the sign of the gradient, halved when the loss rises; the overlap tends to 1."""
    scene, truth = MeshScene(ring()), views(1, distance=2.5)
    target = silhouette(scene, CAMERA, truth, "antialias")
    pose, step = truth.retract(torch.tensor([[0.25, -0.2, 0.0, 0, 0, 0]]).double()), 0.06
    before, gradient = pulled(scene, pose, target, kind)
    for _ in range(25):
        move = torch.zeros(1, 6, dtype=torch.float64)
        move[0, :2] = -step * torch.nn.functional.normalize(gradient[:2], dim=0)
        trial = pose.retract(move)
        loss, slope = pulled(scene, trial, target, kind)
        if loss < before:
            pose, before, gradient = trial, loss, slope
        else:
            step *= 0.5
    shown = silhouette(scene, CAMERA, pose, "antialias")
    overlap = torch.minimum(shown, target).sum() / torch.maximum(shown, target).sum()
    assert float(overlap) > 0.93


def test_soft_is_the_published_formula_over_all_faces() -> None:
    scene, pose, sigma = MeshScene(ball(1)), views(1), 0.5
    found = silhouette(scene, CAMERA, pose, "soft", sigma_px2=sigma)
    p = pose.apply(scene.mesh.vertices[None])
    xy = CAMERA.project(p)[0]
    pixels, faces = CAMERA.pixels(dtype=torch.float64), scene.mesh.faces
    pairs = [_signed_square(pixels, xy[0, f].expand(len(pixels), 3, 2)) for f in faces]
    clear = torch.stack([1 - torch.sigmoid(d / sigma) for d in pairs]).prod(0)
    torch.testing.assert_close(found[0], 1 - clear, atol=0.01, rtol=0)
    less = silhouette(scene, CAMERA, pose, "soft", sigma_px2=sigma, max_pairs=500)
    torch.testing.assert_close(less, found)


def test_soft_has_the_gradient_of_its_differences() -> None:
    scene, pose = MeshScene(ball(1)), views(1)
    target = silhouette(scene, CAMERA, views(1, seed=1))
    _, gradient = pulled(scene, pose, target, "soft")
    for k in range(6):
        move = 1e-6 * torch.eye(6, dtype=torch.float64)[k : k + 1]
        up, down = (pulled(scene, pose.retract(m), target, "soft")[0] for m in (move, -move))
        assert float(gradient[k]) == pytest.approx((up - down) / 2e-6, rel=2e-2, abs=0.5)


def test_distance_to_a_triangle() -> None:
    corners = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]]).double().expand(4, 3, 2)
    points = torch.tensor([[1.0, 1.0], [-3.0, -4.0], [2.0, -1.5], [3.0, 3.0]]).double()
    torch.testing.assert_close(_signed_square(points, corners), torch.tensor([1.0, -25.0, -2.25, -2.0]).double())


def test_a_hard_silhouette_is_pulled_by_a_single_pixel_as_published() -> None:
    """A pixel three columns outside a vertical edge: −g / Δ shared by the edge's ends; nothing without a wish."""
    scene, pose = square(), facing()
    wanted = torch.zeros(1, 1024, dtype=torch.float64)
    edge = 16 + 0.5 * CAMERA.fx / 3  # 22.3: the last pixel inside has its centre at 21.5
    wanted[0, 16 * 32 + 25] = -2.0
    shift = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    alpha = silhouette(scene, CAMERA, SE3(pose.R, pose.t + shift), "nmr")
    (gradient,) = torch.autograd.grad(alpha, shift, wanted)
    # Both ends move together: each is pulled by −2 (share) / (25.5 − edge), so the x of the object by their sum.
    expected = -2.0 / (25.5 - edge) * CAMERA.fx / 3
    assert float(gradient[0, 0]) == pytest.approx(expected, rel=1e-6)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ResectError, match="antialias"):
        silhouette(square(), CAMERA, facing(), "sharp")  # type: ignore[arg-type]
    with pytest.raises(ResectError, match="distortion"):
        silhouette(square(), Camera(20.0, 20.0, 8.0, 8.0, 16, 16, "opencv", (0.1,)), facing(), "soft")
