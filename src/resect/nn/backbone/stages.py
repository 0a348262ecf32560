"""A network as a row of blocks, and its features at each stride."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn


def maps_by_stride(
    blocks: Iterable[nn.Module], image: Float[Tensor, "b 3 h w"], deepest: int = 32
) -> dict[int, Float[Tensor, "b c i j"]]:
    """The last features at each stride that a row of blocks goes through: {2: …, 4: …, …}.

    Args:
        blocks: each of which keeps the size of the image or halves it.
        image: of which a side is at least the largest stride.
        deepest: stride that is gone to.
    """
    found: dict[int, Tensor] = {}
    x, stride = image, 1
    for block in blocks:
        y: Tensor = block(x)
        stride = stride * 2 if y.shape[-1] < x.shape[-1] else stride
        if stride > deepest:
            break
        found[stride] = x = y
    found.pop(1, None)
    return found
