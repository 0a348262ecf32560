"""Training pictures of a camera that was turned about its centre: what it sees is known, and where objects are."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.nn.picture import sampled, source_pixels
from resect.priors.posecnn.frames import Frame, seen_frame
from resect.priors.posecnn.settings import PoseCnnSettings


def turned_frame(frame: Frame, camera: Camera, turn: Float[Tensor, "3 3"], s: PoseCnnSettings) -> Frame:
    """What the camera sees after R' = turn · R.

    Objects of which nothing is left in the picture are gone; those of which too little is left teach no rotation.

    Args:
        frame: before.
        camera: of the pictures.
        turn: rotation, float64.
        s: sizes; and how much must be left.
    """
    pixels = source_pixels(camera, camera, turn[None].float())
    picture = sampled(frame.picture[None].float(), pixels, camera, camera)[0].round().byte()
    owner = _nearest(frame.owner, pixels[0])
    before, left = (torch.bincount(o.flatten().long(), minlength=len(frame.kind) + 1)[1:] for o in (frame.owner, owner))
    asked = frame.asked & (left >= s.asked * before)
    r = turn.to(frame.rotation)
    return seen_frame(picture, owner, frame.kind, r @ frame.rotation, frame.middle @ r.mT, asked, s)


def _nearest(owner: Int[Tensor, "h w"], pixels: Float[Tensor, "n 2"]) -> Int[Tensor, "h w"]:
    """Whose the pixels are that are seen now; nobody's beyond the picture."""
    height, width = owner.shape
    column, row = pixels.floor().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    found = owner[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    return torch.where(inside, found, 0).view(owner.shape)
