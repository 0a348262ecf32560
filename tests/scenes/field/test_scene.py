"""A field as a scene: shapes, world frame, gradients, levels of detail, artefacts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from tests.scenes.field.conftest import smooth_grid

from resect import artifact
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.scenes.field.frame import Frame
from resect.scenes.field.scene import Field
from resect.scenes.field.settings import FieldSettings
from resect.types import Photo

CAMERA = Camera(40.0, 41.0, 15.5, 12.2, 32, 24, "opencv", (0.02, 0.01))
TO_LOCAL = Sim3(
    torch.tensor(0.4, dtype=torch.float64),
    torch.eye(3, dtype=torch.float64),
    torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64),
)


def field(backend: str = "auto") -> Field:
    frame = Frame(TO_LOCAL, 0.05, 30.0, 1.0, "common")
    return Field(smooth_grid(), frame, (0.5, 0.5, 0.5), FieldSettings(backend=backend))  # type: ignore[arg-type]


def poses(count: int = 3, dtype: torch.dtype = torch.float32) -> SE3:
    generator = torch.Generator().manual_seed(0)
    center = 3 * torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    return look_at(center.to(dtype), 0.3 * torch.randn(count, 3, generator=generator).to(dtype))


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_shapes_and_ranges(backend: str) -> None:
    shown = field(backend).render(CAMERA, poses(), ("rgb", "depth", "expected_depth", "alpha"))
    assert shown.rgb is not None
    assert shown.rgb.shape == (3, 32 * 24, 3)
    assert ((shown.rgb >= 0) & (shown.rgb <= 1)).all()
    for values in (shown.depth, shown.expected_depth, shown.alpha):
        assert values is not None
        assert values.shape == (3, 32 * 24)
        assert (values >= 0).all()
    part = field(backend).render(CAMERA, poses(), pixels=CAMERA.pixels()[5:9])
    torch.testing.assert_close(part.rgb, shown.rgb[:, 5:9])
    assert part.depth is None


def test_both_backends_show_the_same() -> None:
    want = ("rgb", "alpha", "depth")
    ours, theirs = (field(b).render(CAMERA, poses(), want) for b in ("auto", "torch"))
    for name in want:
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), atol=2e-3, rtol=2e-3)


def test_poses_and_depths_are_of_the_datasets_world() -> None:
    """The same voxels in a world that is turned, scaled and moved: the same picture, depths scaled."""
    generator = torch.Generator().manual_seed(2)
    turn = so3.exp(torch.randn(3, generator=generator, dtype=torch.float64))
    other_from_world = Sim3(torch.tensor(3.0, dtype=torch.float64), turn, torch.tensor([4.0, 5.0, 6.0]).double())
    here = field()
    moved = Field(
        here.grid,
        Frame(TO_LOCAL @ other_from_world.inverse(), 0.05, 30.0, 1.0, "common"),
        here.background,
        here.settings,
    )
    pose = poses(dtype=torch.float64)
    a = here.render(CAMERA, pose, ("rgb", "depth"))
    b = moved.render(CAMERA, other_from_world.move_camera(pose), ("rgb", "depth"))
    torch.testing.assert_close(a.rgb, b.rgb, atol=2e-3, rtol=0)
    assert ((a.depth * 3 - b.depth).abs() < 0.02).double().mean() > 0.97


def test_ray_jacobian_is_in_the_world_frame() -> None:
    generator = torch.Generator().manual_seed(3)
    turn = so3.exp(torch.randn(3, generator=generator, dtype=torch.float64))
    frame = Frame(TO_LOCAL @ Sim3(torch.ones(()).double(), turn, torch.zeros(3).double()), 0.05, 30.0, 1.0, "common")
    turned, exact = (Field(smooth_grid(), frame, (0.5,) * 3, FieldSettings(backend=b)) for b in ("auto", "torch"))
    pose = poses(1, torch.float64)
    direction = CAMERA.rays(CAMERA.pixels(3, torch.float64)) @ pose.R[0]
    origin = pose.center.expand_as(direction)
    ours = turned.ray_jacobian(origin.float(), direction.float())
    theirs = exact.ray_jacobian(origin, direction)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.double() - b).norm() < 3e-3 * b.norm()
    o, d = origin.clone().requires_grad_(), direction.clone().requires_grad_()
    rgb = exact._render_rays(o, d, ("rgb",))[0]
    assert rgb is not None
    rgb[:, 1].sum().backward()
    torch.testing.assert_close(theirs[1][:, 1], o.grad)
    torch.testing.assert_close(theirs[2][:, 1], d.grad)


def test_render_is_differentiable_in_the_pose() -> None:
    gradients = []
    for backend, dtype in (("auto", torch.float32), ("torch", torch.float64)):
        delta = torch.zeros(2, 6, dtype=dtype, requires_grad=True)
        shown = field(backend).render(CAMERA, poses(2, dtype).retract(delta), ("rgb", "alpha"))
        assert shown.rgb is not None
        weight = torch.linspace(0, 1, shown.rgb.numel(), dtype=dtype).reshape(shown.rgb.shape)
        (shown.rgb * weight).sum().backward()
        assert delta.grad is not None
        gradients.append(delta.grad.double())
    assert (gradients[0] - gradients[1]).norm() < 5e-3 * gradients[1].norm()


def test_deterministic_whatever_the_threads() -> None:
    camera = Camera.from_fov(1.0, 128, 96)
    one = field().render(camera, poses()).rgb
    torch.set_num_threads(2)
    try:
        two = field().render(camera, poses()).rgb
    finally:
        torch.set_num_threads(1)
    assert torch.equal(one, two)


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ResectError, match="normal"):
        field().render(CAMERA, poses(), ("normal",))
    with pytest.raises(ResectError, match="code"):
        field().render(CAMERA, poses(), code=torch.zeros(3, 2))


def test_observe_averages_areas_and_lays_on_the_background() -> None:
    image = torch.rand(48, 64, 3)
    alpha = torch.zeros(48, 64)
    alpha[:, :32] = 1
    seen = field().observe(Photo("a", image), CAMERA).rgb
    torch.testing.assert_close(seen.reshape(24, 32, 3), image.reshape(24, 2, 32, 2, 3).mean((1, 3)))
    laid = field().observe(Photo("a", image * alpha[..., None] + 1 - alpha[..., None], alpha=alpha), CAMERA)
    torch.testing.assert_close(laid.rgb.reshape(24, 32, 3)[:, 16:], torch.full((24, 16, 3), 0.5))


def test_coarser_pixels_get_cheaper_copies_that_are_kept() -> None:
    fine = Field(smooth_grid(128), field().frame, (0.5, 0.5, 0.5), FieldSettings())
    voxel_rad = 4 / 128
    assert fine.lod(voxel_rad) is fine
    assert fine.lod(3 * voxel_rad).grid.resolution == 64
    assert fine.lod(6 * voxel_rad).grid.resolution == 32
    assert fine.lod(100 * voxel_rad).grid.resolution == 32
    assert fine.lod(3 * voxel_rad) is fine.lod(4 * voxel_rad)


def test_bounds_hold_the_ball_in_world_units() -> None:
    bounds = field().bounds
    assert bounds.shape == (2, 3)
    assert (bounds[0] < bounds[1]).all()
    assert (bounds.abs() < 2 / 0.4).all()


def test_save_and_load_show_the_same(tmp_path: Path) -> None:
    made = field()
    made.save(tmp_path)
    again = Field.load(tmp_path)
    assert again.settings == made.settings
    assert torch.equal(again.render(CAMERA, poses()).rgb, made.render(CAMERA, poses()).rgb)


def tamper(folder: Path, name: str, change: object) -> None:
    """Rewrites one tensor or fact of a saved field, digest included, as someone hostile would."""
    tensors = load_file(folder / "weights.safetensors")
    facts = json.loads((folder / "artifact.json").read_text())
    if name in tensors:
        tensors[name] = change(tensors[name])  # type: ignore[operator]
    elif name == "frame":
        facts["extra"]["frame"] |= change
    else:
        facts["extra"][name] = change
    artifact.save(folder, facts["kind"], facts["settings"], tensors, extra=facts["extra"])


HOSTILE = {
    "index beyond the pool": ("table", lambda t: t.index_fill(0, torch.tensor([5]), 2 * 10**6)),
    "farther than the cap": ("table", lambda t: t.index_fill(0, torch.tensor([5]), -(2**31))),
    "short table": ("table", lambda t: t[:-1]),
    "table of another type": ("table", lambda t: t.long()),
    "half a block": ("density", lambda t: t[:-3]),
    "no voxels": ("density", lambda t: t[:0]),
    "fewer records": ("colour", lambda t: t[:-64]),
    "wider records": ("colour", lambda t: torch.cat([t, t], 1)),
    "not a number": ("density", lambda t: t * np.nan),
    "infinite colour": ("colour", lambda t: t / 0),
    "larger resolution": ("resolution", 64),
    "huge resolution": ("resolution", 1 << 20),
    "resolution in words": ("resolution", "32"),
    "negative near": ("frame", {"near": -1.0}),
    "endless far": ("frame", {"far": 1e30}),
    "no scale": ("frame", {"scale": 0.0}),
    "two coordinates": ("frame", {"translation": [0.0, 0.0]}),
    "unknown case": ("frame", {"case": "elsewhere"}),
    "background": ("background", [0.5, 2.0, 0.5]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_tampered_artefact_is_refused(tmp_path: Path, case: str) -> None:
    field().save(tmp_path)
    tamper(tmp_path, *HOSTILE[case])
    with pytest.raises(ResectError):
        Field.load(tmp_path)


def test_weights_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    field().save(tmp_path)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResectError):
        Field.load(tmp_path)
    path.write_bytes(save({"table": torch.zeros(1)}))
    with pytest.raises(ResectError):
        Field.load(tmp_path)
