"""Training pictures of a turned camera, against a camera that is truly turned, and against half a turn."""

from dataclasses import replace

import torch
from tests.priors.posecnn.table import CAMERA, MESHES, TINY, poses, table

from resect.data.mask import box_of
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.posecnn.frames import Frame, Frames, known_objects, owner_of_cells
from resect.priors.posecnn.turned import turned_frames
from resect.scenes.mesh.scene import MeshScene


def frame() -> Frame:
    data = table()
    return Frames(data, known_objects(data, 8, torch.Generator().manual_seed(0)), TINY, CAMERA)[0]


def test_half_a_roll_is_the_picture_upside_down() -> None:
    before = frame()
    turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    after = turned_frames([before], CAMERA, turn[None], TINY)[0]
    assert torch.equal(after.owner, before.owner.flip(0, 1))
    assert (after.picture.int() - before.picture.flip(1, 2).int()).abs().max() <= 1
    assert torch.equal(after.kind, before.kind)
    width, height = CAMERA.width, CAMERA.height
    flipped = (torch.tensor([width, height, width, height]) - before.box)[:, [2, 3, 0, 1]]
    assert (after.box - flipped).abs().max() <= TINY.cell  # the pixel in the middle of a cell is not its middle
    torch.testing.assert_close(after.middle, before.middle * torch.tensor([-1.0, -1.0, 1.0]))


def test_a_turned_camera_sees_what_is_told() -> None:
    before = frame()
    turn = so3.exp(torch.tensor([0.06, -0.05, 0.7], dtype=torch.float64))
    after = turned_frames([before], CAMERA, turn[None], TINY)[0]
    assert after.kind.tolist() == before.kind.tolist()
    for k, mesh in enumerate(MESHES.values()):
        row = before.kind.tolist().index(k)
        pose = poses()[0, k]
        moved = SE3((turn.float() @ pose.R)[None], (turn.float() @ pose.t)[None])
        torch.testing.assert_close(after.rotation[row], moved.R[0])
        torch.testing.assert_close(after.middle[row], moved[0].apply(mesh.bounds.mean(0)[None])[0])
        alpha = MeshScene(mesh, antialias=False).render(CAMERA, moved, ("alpha",)).alpha
        assert alpha is not None
        mine, true = after.owner == row + 1, alpha.view(72, 96) > 0.5
        assert (mine ^ true).sum() < 0.15 * true.sum()  # each is off by half a pixel at its border
        cells = owner_of_cells(after.owner, TINY) == row + 1
        assert after.box[row].tolist() == [TINY.cell * side for side in box_of(cells)]


def test_what_leaves_the_picture_is_gone_and_what_is_cut_teaches_nothing() -> None:
    before = frame()
    aside = so3.exp(torch.tensor([0.0, 0.35, 0.0], dtype=torch.float64))
    after = turned_frames([before], CAMERA, aside[None], replace(TINY, asked=0.99))[0]
    assert len(after.kind) < len(before.kind) or not bool(after.asked.all())
    far = turned_frames([before], CAMERA, so3.exp(torch.tensor([[0.0, 1.2, 0.0]], dtype=torch.float64)), TINY)[0]
    assert len(far.kind) == len(far.box) == len(far.rotation) == 0
    assert not far.owner.any()
