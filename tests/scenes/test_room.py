"""The closed-form room against finite differences, hand-computed hits, and itself in other chunkings."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from resect.data.procedural import ROOM_M, clearance, intersect, make_room
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.scenes.room import Room

CAMERA = Camera.from_fov(1.1, 40, 30)
ROOM = Room()


def poses() -> SE3:
    centers = torch.tensor([[0.9, 0.5, 1.6], [3.2, 1.0, 1.5], [2.0, 2.4, 1.5]], dtype=torch.float64)
    targets = torch.tensor([[2.2, 1.7, 0.7], [1.6, 1.8, 0.8], [2.2, 0.8, 0.7]], dtype=torch.float64)
    return look_at(centers, targets)


def rays(count: int = 400) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    free = torch.rand(4 * count, 3, generator=generator, dtype=torch.float64) * torch.tensor(ROOM_M)
    origins = free[clearance(free) > 0.1][:count]
    directions = torch.randn(len(origins), 3, generator=generator, dtype=torch.float64)
    return origins, torch.nn.functional.normalize(directions, dim=-1)


def unbroken(origins: Tensor, directions: Tensor, step: float) -> Tensor:
    """Rays whose neighbours meet the same smooth surface: away from edges, where a derivative exists."""
    here = intersect(origins, directions)
    same = torch.ones(len(origins), dtype=torch.bool)
    for axis in torch.eye(3, dtype=torch.float64):
        for sign in (-4 * step, 4 * step):
            for o, d in ((origins + sign * axis, directions), (origins, directions + sign * axis)):
                there = intersect(o, d)
                same &= (there.part == here.part) & ((there.normal * here.normal).sum(-1) > 0.999)
    return same & ((here.normal * directions).sum(-1).abs() > 0.05)


def test_ray_jacobian_equals_central_differences() -> None:
    origins, directions = rays()
    step = 1e-6
    keep = unbroken(origins, directions, step)
    assert keep.sum() > 300
    origins, directions = origins[keep], directions[keep]
    colour, by_origin, by_direction = ROOM.ray_jacobian(origins, directions)
    assert torch.equal(colour, ROOM.model.trace(origins, directions)[0])
    for k, axis in enumerate(torch.eye(3, dtype=torch.float64)):
        up, down = (
            ROOM.model.trace(origins + step * axis, directions),
            ROOM.model.trace(origins - step * axis, directions),
        )
        torch.testing.assert_close(by_origin[..., k], (up[0] - down[0]) / (2 * step), atol=2e-6, rtol=1e-5)
        up, down = (
            ROOM.model.trace(origins, directions + step * axis),
            ROOM.model.trace(origins, directions - step * axis),
        )
        torch.testing.assert_close(by_direction[..., k], (up[0] - down[0]) / (2 * step), atol=2e-6, rtol=1e-5)


def test_ray_jacobian_covers_every_kind_of_surface() -> None:
    origins, directions = rays(3000)
    parts = set(intersect(origins, directions).part.tolist())
    assert {0, 1, 2, 3, 4, 5} <= parts
    assert len(parts) > 20


@pytest.mark.parametrize(
    ("origin", "direction", "distance", "normal"),
    [
        ((2.0, 1.5, 1.2), (0.0, 0.0, 1.0), 1.3, (0.0, 0.0, -1.0)),  # ceiling
        ((1.0, 0.4, 1.2), (-1.0, 0.0, 0.0), 1.0, (1.0, 0.0, 0.0)),  # wall x = 0
        ((2.0, 1.5, 1.5), (0.0, 0.0, -1.0), 0.75, (0.0, 0.0, 1.0)),  # table top at z = 0.75
        ((2.22, 1.62, 1.5), (0.0, 0.0, -1.0), 0.47, (0.0, 0.0, 1.0)),  # ball on the table: top at 1.03
        ((3.0, 0.6, 1.72), (0.8, 0.3, 0.0), 0.0, (0.0, 0.0, 0.0)),  # ball on the shelf, distance from the formula below
        ((1.98, 0.5, 0.9), (0.0, 1.0, 0.0), 0.83, (0.0, -1.0, 0.0)),  # vase of radius 0.07 about (1.98, 1.40)
        ((1.98, 1.40, 1.5), (0.0, 0.0, -1.0), 0.47, (0.0, 0.0, 1.0)),  # its lid at 1.03
    ],
)
def test_hits_by_hand(
    origin: tuple[float, ...], direction: tuple[float, ...], distance: float, normal: tuple[float, ...]
) -> None:
    o, d = torch.tensor([origin], dtype=torch.float64), torch.tensor([direction], dtype=torch.float64)
    d = d / d.norm()
    away, radius = o[0] - torch.tensor([3.80, 0.90, 1.72], dtype=torch.float64), 0.12
    if distance == 0:
        b = float(away @ d[0])
        distance = -b - (b * b - float(away @ away) + radius**2) ** 0.5
        normal = tuple(((away + distance * d[0]) / radius).tolist())
    hits = intersect(o, d)
    torch.testing.assert_close(hits.distance[0].item(), distance, atol=1e-12, rtol=0)
    torch.testing.assert_close(hits.normal[0], torch.tensor(normal, dtype=torch.float64), atol=1e-9, rtol=0)


def test_depth_is_along_the_axis_and_points_lie_on_the_walls() -> None:
    pixels = CAMERA.pixels(dtype=torch.float64)
    shown = ROOM.render(CAMERA, poses(), ("depth", "normal", "alpha"), pixels)
    assert shown.depth is not None
    assert shown.normal is not None
    in_cam = CAMERA.rays(pixels)
    points = in_cam * (shown.depth / in_cam[:, 2])[..., None]
    world = poses().inverse().apply(points)
    gap = torch.minimum(world, torch.tensor(ROOM_M) - world).amin(-1)
    assert gap.min() > -1e-12
    assert (gap.abs() < 1e-12).double().mean() > 0.5  # more than half of these pictures is wall
    again, valid = CAMERA.project(poses().apply(world))
    assert valid.all()
    torch.testing.assert_close(again, pixels.expand_as(again), atol=1e-9, rtol=0)
    torch.testing.assert_close(shown.normal.norm(dim=-1), torch.ones_like(shown.depth))
    assert ((shown.normal * (points @ poses().R)).sum(-1) < 0).all()  # every surface faces the camera


@pytest.mark.parametrize("max_rays", [1, 7, 500, 100000])
def test_chunking_changes_nothing(max_rays: int) -> None:
    camera = CAMERA.rescale(12, 9)
    whole = ROOM.render(camera, poses(), ROOM.channels)
    parts = replace(ROOM, max_rays=max_rays).render(camera, poses(), ROOM.channels)
    for name in ROOM.channels:
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), atol=1e-12, rtol=0)


def test_pose_gradient_of_render_equals_the_chain_through_ray_jacobian() -> None:
    # exp(δ) @ cam_from_world moves o = −Rᵀt by −Rᵀv and d = Rᵀ d_c by Rᵀ(d_c × ω).
    pixels = CAMERA.pixels(dtype=torch.float64)[::7]
    start = poses()
    zero = torch.zeros(3, 6, dtype=torch.float64)
    columns = [
        torch.func.jvp(
            lambda delta: ROOM.render(CAMERA, SE3.exp(delta) @ start, ("rgb",), pixels).rgb, (zero,), (e.expand(3, 6),)
        )[1]
        for e in torch.eye(6, dtype=torch.float64)
    ]
    in_cam = CAMERA.rays(pixels)
    directions = in_cam @ start.R
    origins = start.center[:, None].expand_as(directions)
    _, by_o, by_d = ROOM.ray_jacobian(origins.reshape(-1, 3), directions.reshape(-1, 3))
    by_o, by_d = by_o.unflatten(0, directions.shape[:2]), by_d.unflatten(0, directions.shape[:2])
    x, y, z = in_cam.unbind(-1)
    zero_ = torch.zeros_like(x)
    skew = torch.stack([zero_, -z, y, z, zero_, -x, -y, x, zero_], -1).unflatten(-1, (3, 3))
    turned = start.R.mT[:, None]
    chain = torch.cat([-by_o @ turned, by_d @ turned @ skew], -1)
    torch.testing.assert_close(torch.stack(columns, -1), chain, atol=1e-10, rtol=1e-9)


def test_backward_equals_forward() -> None:
    pixels = CAMERA.pixels(dtype=torch.float64)[::11]
    delta = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    rgb = ROOM.render(CAMERA, SE3.exp(delta) @ poses(), ("rgb",), pixels).rgb
    assert rgb is not None
    weight = torch.linspace(-1, 1, rgb.numel(), dtype=torch.float64).view_as(rgb)
    (gradient,) = torch.autograd.grad((rgb * weight).sum(), delta)
    step = 1e-6
    for k in range(6):
        move = step * torch.eye(6, dtype=torch.float64)[k].expand(3, 6)
        up = ROOM.render(CAMERA, SE3.exp(move) @ poses(), ("rgb",), pixels).rgb
        down = ROOM.render(CAMERA, SE3.exp(-move) @ poses(), ("rgb",), pixels).rgb
        change = (up - down).abs().amax(-1)  # a pixel whose ray passes an edge within the step jumps; leave it out
        smooth = (change < 1e-3)[..., None]
        assert smooth.double().mean() > 0.98
        numeric = ((up - down) * weight * smooth).sum((1, 2)) / (2 * step)
        torch.testing.assert_close(gradient[:, k], numeric, atol=1e-4, rtol=1e-4)


def test_float32_follows_float64() -> None:
    few = CAMERA.rescale(20, 15)
    exact, rounded = ROOM.render(few, poses()).rgb, ROOM.render(few, poses().float()).rgb
    assert exact is not None
    assert rounded is not None
    assert exact.dtype == torch.float64
    assert rounded.dtype == torch.float32
    assert ((exact - rounded).abs() < 1e-3).double().mean() > 0.995


def test_outside_the_room_nothing_is_hit_backwards() -> None:
    away = look_at(torch.tensor([[2.0, -3.0, 1.0]]), torch.tensor([[2.0, -9.0, 1.0]]))
    shown = ROOM.render(CAMERA, away, ("rgb", "alpha", "depth"))
    assert shown.rgb is not None
    assert not shown.rgb.any()
    assert not shown.alpha.any()  # type: ignore[union-attr]
    assert not shown.depth.any()  # type: ignore[union-attr]


def test_render_at_the_true_pose_is_the_photo() -> None:
    photos = make_capture(SyntheticSettings(photos=2, width=48, height=36, noise=0.0, samples=1, distortion=True))
    photo = photos[1]
    camera = photo.known_camera()
    shown = ROOM.render(camera, photos.truth.cam_from_world[1:2].float(), ("rgb", "depth"))
    seen = ROOM.observe(photo, camera)
    assert (shown.rgb - seen.rgb).abs().max() < 0.5 / 255 + 1e-6  # type: ignore[operator]
    torch.testing.assert_close(shown.depth, seen.depth)


def test_coarse_level_of_detail_is_nearer_to_the_averaged_photo() -> None:
    fine = CAMERA.rescale(160, 120)
    pose = poses().float()[:1]
    shown = ROOM.render(fine, pose).rgb
    assert shown is not None
    small = CAMERA.rescale(40, 30)
    mean = shown.view(1, 30, 4, 40, 4, 3).mean((2, 4)).reshape(1, -1, 3)
    plain = (ROOM.render(small, pose).rgb - mean).square().mean()
    faded = (ROOM.lod(small.pixel_rad).render(small, pose).rgb - mean).square().mean()  # type: ignore[operator]
    assert faded < 0.8 * plain
    assert ROOM.lod(1e-4) is ROOM


def test_seeds_make_different_rooms_and_the_same_seed_the_same() -> None:
    origins, directions = rays(50)
    one, again, other = (make_room(s).trace(origins, directions)[0] for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert (one - other).abs().mean() > 0.02
