"""i-σSRN's marcher and inversion as published, to be compared with.

Saxena et al., "Generalizable pose estimation using implicit scene representations", ICRA 2023, written anew from the
published description, layer by layer in the order of the original, with nothing made faster: weights of every layer of
φ are made by their own network at every forward, φ and σ are evaluated afresh on all places of a ray once the march is
over, the march begins at a random depth at every forward, every step differentiates the whole picture, and every start
goes all the way. Weights have the published names, so that a checkpoint is the same for both. What differs: the LSTM
is `nn.LSTMCell`, whose gates are those of the published cell; the batch is over starts instead of photos; and it runs
on any device. Cameras look along +z with y down; poses are world from camera; pixels are integers, u to the right, v
down.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

START, SPREAD, CLIP = 0.05, 0.0005, 10.0
STEPS, RATE, OFFSET = 300, 1e-2, 0.524


class PublishedSigmaSrn(nn.Module):
    """The networks, by their published weights.

    Args:
        weights: of the checkpoint.
        marches: steps of the marcher.
        start: depth at which rays begin, and
        spread: its standard deviation, drawn at every forward.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], marches: int = 10, start: float = START, spread: float = SPREAD
    ) -> None:
        super().__init__()
        self.w = {k: v.float() for k, v in weights.items()}
        self.marches, self.start, self.spread = marches, start, spread
        state, width = self.w["ray_marcher.out_layer.weight"].shape[1], self.w["ray_marcher.lstm.weight_ih"].shape[1]
        self.lstm = nn.LSTMCell(width, state)
        self.lstm.load_state_dict({k: self.w[f"ray_marcher.lstm.{k}"] for k, _ in self.lstm.named_parameters()})
        self.requires_grad_(False)
        self.width, self.weighted = width, any(k.startswith("sigma.") for k in self.w)

    def stack(self, name: str, x: Tensor, blocks: int, last: str) -> Tensor:
        """`blocks` of linear, layer norm, ReLU, then a linear layer."""
        for k in range(blocks):
            x = x @ self.w[f"{name}.{k}.net.0.weight"].T + self.w[f"{name}.{k}.net.0.bias"]
            norm = self.w[f"{name}.{k}.net.1.weight"], self.w[f"{name}.{k}.net.1.bias"]
            x = layer_norm(x, x.shape[-1:], *norm).relu()
        return x @ self.w[f"{last}.weight"].T + self.w[f"{last}.bias"]

    def phi(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weights of the four layers of the field of a code."""
        layers, inputs = [], 3
        for k in range(4):
            name = f"hyper_phi.layers.{k}.hyper_linear.hypo_params.net"
            flat = self.stack(name, z, 2, f"{name}.2")
            weight = flat[..., : inputs * self.width].unflatten(-1, (self.width, inputs))
            layers.append((weight, flat[..., inputs * self.width :]))
            inputs = self.width
        return layers

    def field(self, layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
        """φ at points (B, N, 3)."""
        for weight, bias in layers:
            x = x @ weight.transpose(-1, -2) + bias[..., None, :]
            x = layer_norm(x, x.shape[-1:]).relu()
        return x

    def forward(self, c2w: Tensor, intrinsics: tuple[float, float, float], side: int, z: Tensor) -> Tensor:
        """Pictures (B, side², 3) in [−1, 1] from poses (B, 4, 4), (f, cx, cy) and codes (B, D)."""
        f, cx, cy = intrinsics
        v, u = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        u, v = u.flatten().to(c2w), v.flatten().to(c2w)
        b, n = len(c2w), side * side

        def place(depth: Tensor) -> Tensor:
            local = torch.stack([(u - cx) / f * depth, (v - cy) / f * depth, depth, torch.ones_like(depth)], -1)
            return (local @ c2w.transpose(-1, -2))[..., :3]

        ray = nn.functional.normalize(place(torch.ones(b, n).to(c2w)) - c2w[:, None, :3, 3], dim=-1)
        layers = self.phi(z)
        places = [place(self.start + self.spread * torch.randn(b, n).to(c2w))]
        memory: tuple[Tensor, Tensor] | None = None
        for _ in range(self.marches):
            hidden, cell = self.lstm(self.field(layers, places[-1]).flatten(0, 1), memory)
            if hidden.requires_grad:
                hidden.register_hook(lambda g: g.clamp(-CLIP, CLIP))
            memory = (hidden, cell)
            step = hidden @ self.w["ray_marcher.out_layer.weight"].T + self.w["ray_marcher.out_layer.bias"]
            places.append(places[-1] + step.view(b, n, 1) * ray)
        if self.weighted:
            value = torch.zeros(b, n, self.width).to(c2w)
            for x in places:
                value = value + self.stack("sigma.net", x, 3, "sigma.net.3") * self.field(layers, x)
        else:
            value = self.field(layers, places[-1])
        return self.stack("pixel_generator.net", value, 5, "pixel_generator.net.5")

    def to(self, device: str) -> "PublishedSigmaSrn":  # type: ignore[override]
        """On another device."""
        self.w = {k: v.to(device) for k, v in self.w.items()}
        self.lstm.to(device)
        return self


def euler(abc: Tensor) -> Tensor:
    """R = Rx(a) Ry(b) Rz(c) of (B, 3) angles."""
    (ca, cb, cc), (sa, sb, sc) = abc.cos().unbind(-1), abc.sin().unbind(-1)
    one, zero = torch.ones_like(ca), torch.zeros_like(ca)

    def matrix(*rows: Tensor) -> Tensor:
        return torch.stack(rows, -1).unflatten(-1, (3, 3))

    x = matrix(one, zero, zero, zero, ca, -sa, zero, sa, ca)
    y = matrix(cb, zero, sb, zero, one, zero, -sb, zero, cb)
    return x @ y @ matrix(cc, -sc, zero, sc, cc, zero, zero, zero, one)


def angles(rotation: Tensor) -> Tensor:
    """(a, b, c) of R = Rx(a) Ry(b) Rz(c)."""
    b = rotation[..., 0, 2].clamp(-1, 1).asin()
    a = torch.atan2(-rotation[..., 1, 2], rotation[..., 2, 2])
    return torch.stack([a, b, torch.atan2(-rotation[..., 0, 1], rotation[..., 0, 0])], -1)


def matrix_of(theta: Tensor) -> Tensor:
    """World from camera (B, 4, 4) of (a, b, c, tx, ty, tz)."""
    last = torch.tensor([0.0, 0, 0, 1]).to(theta).expand(len(theta), 1, 4)
    return torch.cat([torch.cat([euler(theta[:, :3]), theta[:, 3:, None]], -1), last], -2)


def loss_of(name: str, shown: Tensor, seen: Tensor) -> Tensor:
    """One number a picture; `seen` has white at +1."""
    difference = shown - seen
    if name == "mse":
        return difference.square().mean((1, 2))
    if name == "l1":
        return difference.abs().mean((1, 2))
    count = 1 + (seen < 1).sum()
    return (difference.abs() if name == "norm_l1" else difference.square()).sum((1, 2)) / count


def invert(
    model: PublishedSigmaSrn,
    seen: Tensor,
    intrinsics: tuple[float, float, float],
    side: int,
    z: Tensor,
    starts: Tensor,
    loss: str = "mse",
    steps: int = STEPS,
    rate: float = RATE,
) -> tuple[Tensor, Tensor]:
    """World from camera (B, 4, 4) after all steps of Adam from B starts, and the loss before the last step."""
    theta = torch.cat([angles(starts[:, :3, :3]), starts[:, :3, 3]], -1).clone().requires_grad_()
    adam, last = torch.optim.Adam([theta], lr=rate), torch.zeros(len(starts))
    codes = z.expand(len(starts), -1)
    for _ in range(steps):
        value = loss_of(loss, model(matrix_of(theta), intrinsics, side, codes), seen[None])
        adam.zero_grad()
        value.sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
        last = value.detach()
    return matrix_of(theta.detach()), last


def four_around(c2w: Tensor, offset: float = OFFSET, up: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Tensor:
    """The published oracle starts: the true pose (4, 4) turned about the world's origin by ± offset about the camera's
    x axis and ± offset about the world's up.
    """
    axes = [c2w[:3, 0], -c2w[:3, 0], torch.tensor(up).to(c2w), -torch.tensor(up).to(c2w)]
    turned = []
    for axis in axes:
        turn = torch.eye(4).to(c2w)
        x, y, w = axis
        hat = torch.tensor([[0, -w, y], [w, 0, -x], [-y, x, 0]]).to(c2w)
        turn[:3, :3] = torch.linalg.matrix_exp(offset * hat)
        turned.append(turn @ c2w)
    return torch.stack(turned)


def twenty_four(radius: float, up: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Tensor:
    """The published grid: azimuth every 45°, elevation −45, 0, 45°, looking at the origin, no roll."""
    from resect.priors.view_grid import ViewGrid

    grid = ViewGrid((0.0, 0.0, 0.0), radius, up, (-math.pi / 4, math.pi / 4))
    return grid.poses().inverse().matrix().float()
