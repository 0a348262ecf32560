"""Cuts against a camera that truly looks there, and surfaces against rays that meet a mesh."""

from dataclasses import replace

import pytest
import torch
from tests.priors.posecnn.table import CAMERA, MESHES, TINY, poses, table

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.posecnn.batches import Batches
from resect.priors.posecnn.cuts import Cuts, cuts_of, owned, pictures_of, shown_surface, turn_to
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.objects import KnownObject, known_objects, spread_out
from resect.scenes.mesh.scene import MeshScene
from resect.training.loop import Turn

MANY = replace(TINY, points=4096)
SIDE = 16


def objects() -> tuple[KnownObject, ...]:
    return known_objects(table(), MANY.points, MANY.patches, torch.Generator().manual_seed(0))


def cut() -> tuple[Cuts, SE3]:
    """Cuts of the objects of photo 0, rolled, and the objects' poses in the cuts' frames."""
    frame = Frames(table(), objects(), MANY, CAMERA)[0]
    cuts = cuts_of(frame.box, CAMERA, torch.tensor([0.4, -2.0]))
    return cuts, SE3(cuts.turn.mT @ poses()[0].R, (cuts.turn.mT @ poses()[0].t[..., None])[..., 0])


def camera_of(cuts: Cuts, k: int, side: int = 16) -> Camera:
    """As a camera of the library."""
    focal = side / 2 / float(cuts.reach[k])
    return Camera(focal, focal, side / 2, side / 2, side, side)


def test_the_turn_to_a_ray_is_the_shortest() -> None:
    middle = torch.tensor([[0.3, -0.2, 1.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    turn = turn_to(middle)
    torch.testing.assert_close(turn[:, :, 2], torch.nn.functional.normalize(middle, dim=-1))
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).double().expand(2, 3, 3))
    angle = torch.atan2(middle[:, :2].norm(dim=-1), middle[:, 2])
    torch.testing.assert_close(so3.angle(turn, torch.eye(3).double().expand(2, 3, 3)), angle)


def test_a_cut_looks_through_the_middle_of_its_box_which_fills_it() -> None:
    boxes = torch.tensor([[10.0, 20.0, 40.0, 30.0], [70.0, 5.0, 90.0, 65.0]])
    cuts = cuts_of(boxes, CAMERA, torch.tensor([1.0, -3.0]))
    torch.testing.assert_close(cuts.turn @ cuts.turn.mT, torch.eye(3).expand(2, 3, 3))
    ahead, seen = CAMERA.project(cuts.turn[:, :, 2])
    assert bool(seen.all())
    torch.testing.assert_close(ahead, (boxes[:, :2] + boxes[:, 2:]) / 2)
    at = cuts.pixels(CAMERA, 64)  # across the ray, a pixel of the picture is 1 / f of its depth
    span = (at[:, 31, -1] - at[:, 31, 0]).norm(dim=-1) / 63 * 64
    torch.testing.assert_close(span, 1.2 * torch.tensor([30.0, 60.0]), rtol=0.1, atol=0.0)


def test_a_cut_is_what_a_camera_sees_that_looks_there() -> None:
    cuts, moved = cut()
    first = torch.tensor([0])
    for k, mesh in enumerate(MESHES.values()):
        scene, one = MeshScene(mesh, antialias=False), Cuts(cuts.turn[k : k + 1], cuts.reach[k : k + 1])
        seen = scene.render(CAMERA, poses()[0, k : k + 1], ("alpha",)).alpha
        true = scene.render(camera_of(cuts, k), moved[k : k + 1], ("alpha",)).alpha
        assert seen is not None
        assert true is not None
        true = true.view(SIDE, SIDE)
        found = pictures_of(one, seen.view(1, 1, 72, 96).expand(-1, 3, -1, -1), first, CAMERA, SIDE)[0, 0]
        assert float((found - true).abs().mean()) < 0.08  # edges are those of pixels as large as the cut's
        mine = owned(one, (seen > 0.5).view(1, 72, 96).int(), first, first, CAMERA, SIDE)[0]
        assert float((mine ^ (true > 0.5)).float().mean()) < 0.08


def test_shown_surface_is_where_rays_meet_the_mesh() -> None:
    cuts, moved = cut()
    known = objects()
    size, own = torch.tensor([o.diameter for o in known]), torch.stack([o.middle for o in known])
    middle = moved.apply(own[:, None])[:, 0] / size[:, None]
    points = torch.stack([o.seen_from_middle(o.points) for o in known])
    place, shown = shown_surface(cuts, points, moved.R, middle, SIDE)
    for k, mesh in enumerate(MESHES.values()):
        depth = MeshScene(mesh, antialias=False).render(camera_of(cuts, k), moved[k : k + 1], ("depth",)).depth
        assert depth is not None
        both = (depth[0] > 0) & shown[k].flatten()
        assert float(((depth[0] > 0) ^ shown[k].flatten()).float().mean()) < 0.15  # parts that it only touches
        there = (cuts.rays(SIDE)[k].flatten(0, 1) * depth[0][:, None] - moved.t[k]) @ moved.R[k]
        gap = (place[k].flatten(0, 1) - (there - own[k]) / size[k]).norm(dim=-1)[both]
        assert float(gap.median()) < 0.02
        assert float(gap.quantile(0.9)) < 0.06  # at edges a part shows two faces


def test_farthest_points_cover_a_surface() -> None:
    points = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0))
    chosen = spread_out(points, 64)
    assert float(torch.cdist(points, chosen).amin(1).max()) < 0.36
    assert float(torch.cdist(chosen, chosen).fill_diagonal_(9).min()) > 0.1


def test_cuts_show_what_they_tell_at_any_roll() -> None:
    known = objects()
    frames = Frames(table(), known, MANY, CAMERA)
    s = replace(MANY, noise=0.0, blur_px=0.0, colour=(0.0,) * 4, box_jitter=0.0, cuts=3)
    picture, kind, rotation, _, shown = Batches(frames, s, 1.3, known).cuts(frames[0], torch.Generator().manual_seed(0))
    assert picture.shape == (6, 3, s.cut, s.cut)
    roll = cuts_of(frames[0].box[kind], CAMERA).turn.mT @ poses()[0].R[kind] @ rotation.mT
    torch.testing.assert_close(roll[:, 2], torch.tensor([[0.0, 0.0, 1.0]]).expand(6, 3), atol=1e-5, rtol=0.0)
    assert float((roll[:3, 0, 0] - roll[1:4, 0, 0]).abs().max()) > 0.1
    redder = picture[:, 0] - picture[:, 2]
    mine = torch.where(kind[:, None, None] == 0, redder, -redder) > 0.1
    parts = torch.nn.functional.avg_pool2d(mine.float(), s.cut // shown.shape[1]) > 0.5
    assert float((shown ^ parts).float().mean()) < 0.12


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_of_a_gpu_are_those_of_the_cpu() -> None:
    known = objects()
    here, there = (
        Batches(Frames(table(), known, s, CAMERA), s, 1.3, known).batch(Turn(0, 0))
        for s in (MANY, replace(MANY, device="cuda"))
    )
    for name, value in vars(here).items():
        other = getattr(there, name)
        assert other.device.type == "cuda"
        gap = (value.float() - other.cpu().float()).abs()
        assert float((gap > 1e-3).float().mean()) < 0.01, name  # pixels whose place is rounded the other way
