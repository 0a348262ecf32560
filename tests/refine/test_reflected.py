import math
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
from cube import block

from resect.geometry import so3, solids
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.cutout import Cutout, CutoutSettings
from resect.refine.reflected import mirror_normals, reflected
from resect.scenes.mesh.scene import MeshScene
from resect.types import Hypotheses, Photo, Status, Target


def posed(middle: torch.Tensor, distance: float) -> SE3:
    rotation = so3.exp(torch.tensor([0.9, -0.4, 0.3], dtype=torch.float64))
    return SE3(rotation, torch.tensor([0.0, 0.0, distance], dtype=torch.float64) - rotation @ middle)


def test_points_fall_where_their_mirror_images_did() -> None:
    g = torch.Generator().manual_seed(0)
    normal, middle = torch.tensor([0.0, 1.0, 0.0]).double(), torch.tensor([0.3, 0.1, -0.2]).double()
    half = torch.randn(20, 3, generator=g, dtype=torch.float64)
    other = half - 2 * (half @ normal)[:, None] * normal
    for distance, nearer in ((1e6, 1e-3), (5.0, 1e3)):
        camera = Camera(50 * distance, 50 * distance, 32.0, 32.0, 64, 64)
        true = posed(middle, distance)
        twin = reflected(true[None], normal[None], middle)[0]
        before = camera.project((middle + half) @ true.R.mT + true.t)[0]
        after = camera.project((middle + other) @ twin.R.mT + twin.t)[0]
        assert float((before - after).norm(dim=-1).max()) < nearer
        assert torch.allclose(twin.R @ middle + twin.t, true.R @ middle + true.t)
        assert math.isclose(float(torch.linalg.det(twin.R)), 1.0, abs_tol=1e-12)
        assert float(so3.angle(twin.R, true.R)) > 0.3
        back = reflected(twin[None], normal[None], middle)[0]
        assert torch.allclose(back.R, true.R, atol=1e-6)


def test_planes_are_perpendicular_to_the_axes_of_a_turned_box() -> None:
    turn = so3.exp(torch.tensor([0.3, 0.5, -0.2], dtype=torch.float64))
    mesh = solids.box((1.0, 2.0, 3.0), dtype=torch.float64)
    normals = mirror_normals(replace(mesh, vertices=mesh.vertices @ turn.mT + 4.0))
    assert len(normals) == 6  # the frame's own axes are others
    assert float((normals[:3] @ turn).abs().max(1).values.min()) > 1 - 1e-9


def test_where_axes_are_arbitrary_those_of_the_frame_are_there() -> None:
    normals = mirror_normals(solids.cube(dtype=torch.float64))
    assert float((normals @ torch.eye(3).double()).abs().max(0).values.min()) > math.cos(math.radians(5))


def test_an_outline_far_away_has_two_poses() -> None:
    mesh = block()
    middle = mesh.bounds.double().mean(0)
    camera = Camera(1600.0, 1600.0, 24.0, 24.0, 48, 48)
    true = posed(middle, 50.0)
    scene = MeshScene(mesh)
    alpha = scene.render(camera, true[None].float(), ("alpha",)).alpha
    assert alpha is not None
    mask = alpha.reshape(48, 48) > 0.5
    photo = Photo("a", mask[..., None].float().expand(-1, -1, 3), camera, "test", Target("block", mask=mask))
    start = true.retract(torch.tensor([0, 0, 0, 0.1, -0.1, 0.1]).double(), middle)
    hypotheses = Hypotheses(start[None].float(), torch.zeros(1))
    settings = CutoutSettings(color=0.0, keep=(16, 8, 4), steps=20)
    answer = Cutout(settings, mirrors=mirror_normals(mesh)).refine(scene, photo, hypotheses)
    assert answer.status is Status.AMBIGUOUS
    assert answer.modes is not None
    both = SE3.cat([true[None], reflected(true[None], torch.tensor([[0.0, 1, 0]]).double(), middle)])
    for pose in both:
        off = so3.angle(answer.modes.cam_from_world.R.double(), pose.R.expand(len(answer.modes), 3, 3)).rad2deg()
        assert float(off[:2].min()) < 3
    alone = Cutout(settings).refine(scene, photo, hypotheses)
    assert alone.status is Status.OK  # nothing was said of mirrors
