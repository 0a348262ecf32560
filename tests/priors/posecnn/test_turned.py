"""Training pictures of a turned camera, against a camera that is truly turned, and against half a turn."""

from dataclasses import replace

import torch
from tests.priors.posecnn.table import CAMERA, MESHES, TINY, poses, table

from resect.data.mask import box_of
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.objects import known_objects
from resect.priors.posecnn.views import Views, joined, owner_of_cells, turned
from resect.scenes.mesh.scene import MeshScene


def frames() -> Frames:
    data = table()
    return Frames(data, known_objects(data, 8, 4, torch.Generator().manual_seed(0)), TINY, CAMERA)


def frame() -> Views:
    return frames()[0]


def test_half_a_roll_is_the_picture_upside_down() -> None:
    before = frame()
    turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    after = turned(before, CAMERA, turn[None], TINY)
    assert torch.equal(after.owner, before.owner.flip(1, 2))
    assert (after.picture.int() - before.picture.flip(2, 3).int()).abs().max() <= 1
    assert torch.equal(after.kind, before.kind)
    width, height = CAMERA.width, CAMERA.height
    flipped = (torch.tensor([width, height, width, height]) - before.box)[:, [2, 3, 0, 1]]
    assert (after.box - flipped).abs().max() <= TINY.cell  # the pixel in the middle of a cell is not its middle
    torch.testing.assert_close(after.middle, before.middle * torch.tensor([-1.0, -1.0, 1.0]))


def test_a_turned_camera_sees_what_is_told() -> None:
    before = frame()
    turn = so3.exp(torch.tensor([0.06, -0.05, 0.7], dtype=torch.float64))
    after = turned(before, CAMERA, turn[None], TINY)
    assert after.kind.tolist() == before.kind.tolist()
    for k, mesh in enumerate(MESHES.values()):
        row = before.kind.tolist().index(k)
        pose = poses()[0, k]
        moved = SE3((turn.float() @ pose.R)[None], (turn.float() @ pose.t)[None])
        torch.testing.assert_close(after.rotation[row], moved.R[0])
        torch.testing.assert_close(after.middle[row], moved[0].apply(mesh.bounds.mean(0)[None])[0])
        alpha = MeshScene(mesh, antialias=False).render(CAMERA, moved, ("alpha",)).alpha
        assert alpha is not None
        mine, true = after.owner[0] == row + 1, alpha.view(72, 96) > 0.5
        assert (mine ^ true).sum() < 0.15 * true.sum()  # each is off by half a pixel at its border
        cells = owner_of_cells(after.owner, TINY)[0] == row + 1
        assert after.box[row].tolist() == [TINY.cell * side for side in box_of(cells)]


def test_what_leaves_the_picture_is_gone_and_what_is_cut_teaches_nothing() -> None:
    before = frame()
    aside = so3.exp(torch.tensor([0.0, 0.35, 0.0], dtype=torch.float64))
    after = turned(before, CAMERA, aside[None], replace(TINY, asked=0.99))
    assert len(after.kind) < len(before.kind) or not bool(after.asked.all())
    far = turned(before, CAMERA, so3.exp(torch.tensor([[0.0, 1.2, 0.0]], dtype=torch.float64)), TINY)
    assert len(far.kind) == len(far.box) == len(far.rotation) == 0
    assert not far.owner.any()


def test_pictures_are_turned_together_as_each_alone() -> None:
    both = [frames()[i] for i in range(2)]
    turns = so3.exp(torch.tensor([[0.05, -0.55, 0.7], [0.0, 0.0, -2.0]], dtype=torch.float64))  # one object leaves
    alone = joined([turned(v, CAMERA, turn[None], TINY) for v, turn in zip(both, turns, strict=True)])
    found = turned(joined(both), CAMERA, turns, TINY)
    assert len(found.kind) < len(joined(both).kind)
    for name, value in vars(found).items():
        torch.testing.assert_close(value, getattr(alone, name), msg=name, check_dtype=False)
