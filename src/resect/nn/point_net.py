"""PointNet with residual blocks: a set of points to a code, whatever their order.

Qi, Su, Mo, Guibas, "PointNet", CVPR 2017, in the form of Occupancy Networks (CVPR 2019), with the released parameter
names.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ResidualLayer(nn.Module):
    """Two layers beside a linear shortcut, each after a ReLU; the second is zero at first."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        inner = min(before, after)
        self.fc_0 = nn.Linear(before, inner)
        self.fc_1 = nn.Linear(inner, after)
        self.shortcut = nn.Linear(before, after, bias=False)
        nn.init.zeros_(self.fc_1.weight)

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        """Another width."""
        return self.shortcut(x) + self.fc_1(functional.relu(self.fc_0(functional.relu(x))))


class PointNet(nn.Module):
    """Five residual layers; after each, every point is told the greatest feature of all points.

    Args:
        code: length of the code.
        hidden: features of a point.
    """

    def __init__(self, code: int = 512, hidden: int = 512) -> None:
        super().__init__()
        self.fc_pos = nn.Linear(3, 2 * hidden)
        for i in range(5):
            setattr(self, f"block_{i}", ResidualLayer(2 * hidden, hidden))
        self.fc_c = nn.Linear(hidden, code)

    def forward(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b c"]:
        """The code."""
        x = self.fc_pos(points)
        for i in range(5):
            x = getattr(self, f"block_{i}")(x)
            most = x.amax(1, keepdim=True)
            if i < 4:
                x = torch.cat([x, most.expand_as(x)], -1)
        return self.fc_c(functional.relu(most[:, 0]))
