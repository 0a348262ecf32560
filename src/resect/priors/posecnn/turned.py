"""Training pictures of a camera that was turned about its centre: what it sees is known, and where objects are."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.nn.picture import sampled, source_pixels
from resect.priors.posecnn.frames import Frame, seen_frame
from resect.priors.posecnn.settings import PoseCnnSettings


def turned_frames(
    frames: Sequence[Frame], camera: Camera, turns: Float[Tensor, "b 3 3"], s: PoseCnnSettings
) -> list[Frame]:
    """What the camera sees after R' = turn · R, a turn for each frame.

    Objects of which nothing is left in the picture are gone; those of which too little is left teach no rotation.

    Args:
        frames: before.
        camera: of the pictures.
        turns: rotations.
        s: sizes; and how much must be left.
    """
    pixels = source_pixels(camera, camera, turns.float())
    pictures = sampled(torch.stack([f.picture for f in frames]).float(), pixels, camera, camera).round().byte()
    owners = _nearest(torch.stack([f.owner for f in frames]), pixels)
    found = []
    for frame, picture, owner, turn in zip(frames, pictures, owners, turns, strict=True):
        count = len(frame.kind) + 1
        before, left = (torch.bincount(o.flatten(), minlength=count)[1:] for o in (frame.owner, owner))
        asked = frame.asked & (left >= s.asked * before)
        r = turn.to(frame.rotation)
        found.append(seen_frame(picture, owner, frame.kind, r @ frame.rotation, frame.middle @ r.mT, asked, s))
    return found


def _nearest(owners: Int[Tensor, "b h w"], pixels: Float[Tensor, "b n 2"]) -> Int[Tensor, "b h w"]:
    """Whose the pixels are that are seen now; nobody's beyond the picture."""
    height, width = owners.shape[1:]
    column, row = pixels.floor().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    where = row.clamp_(0, height - 1).mul_(width).add_(column.clamp_(0, width - 1))
    return torch.where(inside, owners.flatten(1).gather(1, where), 0).view(owners.shape)
