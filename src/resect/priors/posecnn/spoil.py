"""Pictures as a worse camera takes them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from resect.nn.picture import Changes
from resect.priors.posecnn.settings import PoseCnnSettings


def spoiled(
    picture: Float[Tensor, "b 3 y x"], changes: Changes, s: PoseCnnSettings, generator: torch.Generator
) -> Float[Tensor, "b 3 y x"]:
    """Recoloured and blurred, half of them by motion, with noise; draws on the CPU, works where the pictures are."""
    if len(picture) == 0:
        return picture
    picture = changes.recolour(picture, generator)
    picture = _moved(picture, round(3 * s.blur_px), generator)
    strength = s.noise * torch.rand(len(picture), 1, 1, 1, generator=generator)
    return (picture + strength.to(picture) * _noise(picture, generator)).clamp(0, 1)


def _noise(like: Float[Tensor, "b 3 y x"], generator: torch.Generator) -> Float[Tensor, "b 3 y x"]:
    """Standard normal; one draw for all, shifted for each, as drawing takes longer than all the rest."""
    count, _, *sides = like.shape
    one = torch.randn(like.shape[1:], generator=generator).to(like)
    y, x = ((torch.arange(n) + torch.randint(n, (count, 1), generator=generator)) % n for n in sides)
    return one[:, y[:, :, None].to(like.device), x[:, None].to(like.device)].transpose(0, 1)


def _moved(picture: Float[Tensor, "b 3 y x"], reach: int, generator: torch.Generator) -> Float[Tensor, "b 3 y x"]:
    """Half of the pictures blurred by a motion along x or y of at most `reach` + 1 pixels."""
    draw = torch.rand(len(picture), 3, generator=generator)
    length = torch.where(draw[:, 0] < 0.5, 1 + (draw[:, 1] * (reach + 1)).long(), 1)
    offset = torch.arange(reach + 1) - reach // 2
    first = -((length - 1) // 2)[:, None]
    kernel = ((offset >= first) & (offset < first + length[:, None])) / length[:, None]
    still = (offset == 0).float().expand_as(kernel)
    across = draw[:, 2:] < 0.5
    kernel, still, across = kernel.to(picture), still.to(picture), across.to(picture.device)
    for side, weights in ((3, torch.where(across, kernel, still)), (2, torch.where(across, still, kernel))):
        picture = _along(picture, weights, side)
    return picture


def _along(picture: Float[Tensor, "b 3 y x"], kernel: Float[Tensor, "b k"], side: int) -> Float[Tensor, "b 3 y x"]:
    """Each picture under its own kernel, whose middle is at k // 2 of an odd or (k − 1) // 2 of an even length."""
    size = kernel.shape[1]
    before = (size - 1) // 2
    pad = (before, size - 1 - before)
    flat = picture.reshape(1, -1, *picture.shape[2:])
    flat = functional.pad(flat, (*pad, 0, 0) if side == 3 else (0, 0, *pad), "replicate")
    weights = kernel.repeat_interleave(3, 0)[:, None]
    weights = weights[:, :, None] if side == 3 else weights[..., None]
    return functional.conv2d(flat, weights, groups=len(weights)).view(picture.shape)
