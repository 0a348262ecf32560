"""Two blocks on nothing, photographed: what a tiny PoseCNN can be told and learn."""

from functools import cache
from pathlib import Path

import torch

from resect.data.mask import box_of
from resect.data.object_set import ObjectSet
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.scenes.mesh.scene import MeshScene
from resect.types import Photo, PhotoSet, Target, Truth, World

CAMERA = Camera.from_fov(0.9, 96, 72)
TINY = PoseCnnSettings(
    width=96, height=72, label_width=8, centre_width=8, cut=32, surface_width=8, patches=8, points=256,
    least_cells=6, batch=2, steps=4, turns=1, mixed=False, tensorboard=False, checkpoint_seconds=1e9,
)  # fmt: skip


def block(sides: tuple[float, float, float], shift: float = 0.0) -> Mesh:
    """A box whose middle is off its origin."""
    corners = torch.cartesian_prod(*(torch.tensor([-0.5, 0.5]) for _ in range(3))) * torch.tensor(sides) + shift
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return Mesh(corners, faces, meters_per_unit=1.0)


MESHES = {"brick": block((0.3, 0.2, 0.1), 0.05), "rod": block((0.5, 0.1, 0.08))}
MIDDLES = torch.tensor([[[-0.25, -0.1, 1.2], [0.25, 0.1, 1.4]], [[0.2, -0.12, 1.1], [-0.2, 0.1, 1.5]]])


@cache
def poses() -> SE3:
    """(photos, objects) poses."""
    turn = so3.random(4, generator=torch.Generator().manual_seed(3)).view(2, 2, 3, 3)
    own = torch.stack([m.bounds.mean(0) for m in MESHES.values()])
    return SE3(turn, MIDDLES - (turn @ own[..., None])[..., 0])


@cache
def table() -> dict[str, ObjectSet]:
    """Two photos of both."""
    return {name: _of(k, name) for k, name in enumerate(MESHES)}


def picture(i: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Photo i and the visible masks."""
    image, nearest, owner = torch.full((72, 96, 3), 0.5), torch.full((72, 96), torch.inf), torch.full((72, 96), -1)
    for k, mesh in enumerate(MESHES.values()):
        shown = MeshScene(mesh, antialias=False).render(CAMERA, poses()[i, k : k + 1], ("depth", "alpha", "normal"))
        assert shown.depth is not None
        assert shown.alpha is not None
        assert shown.normal is not None
        depth = shown.depth.view(72, 96)
        front = (shown.alpha.view(72, 96) > 0.5) & (depth < nearest)
        tint = torch.tensor([0.9, 0.3, 0.2] if k == 0 else [0.2, 0.4, 0.9])
        image = torch.where(front[..., None], tint * (0.6 + 0.4 * shown.normal.view(72, 96, 3)), image)
        nearest, owner = torch.where(front, depth, nearest), torch.where(front, k, owner)
    return image.clamp(0, 1), [owner == k for k in range(len(MESHES))]


def _of(k: int, name: str) -> ObjectSet:
    def load(i: int) -> Photo:
        image, masks = picture(i)
        target = Target(name, box=box_of(masks[k]), mask=masks[k])
        return Photo(f"{i}.png", image, CAMERA, "made", target)

    names = ("0.png", "1.png")
    photos = PhotoSet(Path("table"), "bop", names, (CAMERA,) * 2, Truth(poses()[:, k]), World(1.0), load)
    mesh = MESHES[name]
    return ObjectSet(name, photos, load_mesh=lambda: mesh)


def untrained_information(pose: SE3, turn_known: bool) -> torch.Tensor:
    """Of a pose of the brick whose middle is known to a hundredth of a unit, its turn to a tenth of a radian or not."""
    middle = pose.double().apply(MESHES["brick"].bounds.mean(0).double()[None])[0]
    carry = torch.eye(6, dtype=torch.float64)
    carry[:3, 3:] = -so3.hat(middle)
    diagonal = torch.tensor([1e4] * 3 + [100.0 if turn_known else 0.0] * 3, dtype=torch.float64)
    return carry.mT @ torch.diag(diagonal) @ carry
