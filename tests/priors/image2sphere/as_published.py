"""Image2Sphere's head as published, by direct sums: random weights in the layout of its checkpoints, and its answer.

Written from the description of the method; nothing is shared with the separable implementation but the harmonics.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear, relu

from resect.geometry.harmonics import from_angles, spherical_harmonics
from resect.geometry.healpix import ring_centers
from resect.geometry.so3_series import basis
from resect.nn.backbone.resnet import ResNet

CHANNELS, FEATURES, HIDDEN, SIZE = 512, 6, 8, 2
GAIN = 1.4163393446331365


def ring() -> Tensor:
    """The 168 rotations, γ = g − α, in the published order."""
    a = torch.arange(7, dtype=torch.float64) * (2 * math.pi / 7)
    b = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) * (math.pi / 24)
    g = torch.linspace(-2 * math.pi, 2 * math.pi, 8, dtype=torch.float64)
    alpha, beta, gamma = torch.meshgrid(a, b, g, indexing="ij")
    return from_angles(alpha, beta, gamma - alpha).flatten(0, 2)


def points() -> Tensor:
    return ring_centers(4)[:104]


def random_model(lmax: int, *, classes: int = 0, pooled: bool = False, at_points: bool = False) -> dict[str, Tensor]:
    """A state dict with random weights and the constants."""
    g = torch.Generator().manual_seed(0)

    def r(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = ResNet("resnet18").state_dict()
    stage = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    model = {f"encoder.layers.{stage[k.split('.')[0]]}.{k.partition('.')[2]}": v for k, v in body.items()}
    if pooled:
        model |= {"projector.lin1.weight": r(FEATURES, CHANNELS + classes), "projector.lin1.bias": r(FEATURES)}
        size = FEATURES * (lmax + 1) ** 2
        model |= {"projector.lin2.weight": r(size, FEATURES), "projector.lin2.bias": r(size)}
    else:
        model |= {
            "projector.conv1x1.weight": r(FEATURES, CHANNELS + classes, 1, 1),
            "projector.conv1x1.bias": r(FEATURES),
        }
        model |= {"projector.weight": r(1, 1, SIZE, SIZE, 104)}
        model |= {"projector.Y": spherical_harmonics(points(), lmax).float()}
    model |= {"feature_sphere.weight": r(FEATURES, HIDDEN, 48 if at_points else (lmax + 1) ** 2)}
    model |= {"feature_sphere.bias": r(FEATURES, HIDDEN), "so3_conv.w": r(HIDDEN, 1, 168)}
    return model | {"so3_conv.D": basis(ring(), lmax).float()}


def blocks(lmax: int) -> list[slice]:
    """Where each degree's block lies in a series."""
    ends = [sum((2 * k + 1) ** 2 for k in range(d + 1)) for d in range(lmax + 1)]
    return [slice(end - (2 * d + 1) ** 2, end) for d, end in enumerate(ends)]


def answer(model: dict[str, Tensor], features: Tensor, lmax: int, chosen: list[Tensor], label: Tensor | None) -> Tensor:
    """The published series for feature maps, averaged over choices of 20 points."""
    found = [_one(model, features, lmax, c, label) for c in chosen] if chosen else []
    return torch.stack(found).mean(0) if found else _one(model, features, lmax, None, label)


def _one(model: dict[str, Tensor], features: Tensor, lmax: int, chosen: Tensor | None, label: Tensor | None) -> Tensor:
    m = {k: v.double() for k, v in model.items() if v.is_floating_point()}
    b, rows = len(features), features.shape[2]
    classes = (m.get("projector.conv1x1.weight", m.get("projector.lin1.weight"))).shape[1] - CHANNELS  # type: ignore[union-attr]
    x = features.double()
    if classes:
        assert label is not None
        one_hot = torch.nn.functional.one_hot(label, classes).double()
        x = torch.cat([x, one_hot[:, :, None, None].expand(-1, -1, rows, rows)], 1)
    if chosen is None:
        pooled = x.mean((2, 3))
        c = linear(
            relu(linear(pooled, m["projector.lin1.weight"], m["projector.lin1.bias"])),
            m["projector.lin2.weight"],
            m["projector.lin2.bias"],
        )
        signal = _sphere_relu(c.view(b, FEATURES, -1), lmax)
    else:
        mixed = conv2d(x, m["projector.conv1x1.weight"], m["projector.conv1x1.bias"])
        seen = relu((mixed[..., None] * m["projector.weight"][..., chosen]).sum((2, 3)))
        signal = seen @ spherical_harmonics(points()[chosen], lmax) / math.sqrt(len(chosen))
    filter_ = m["feature_sphere.weight"]
    if filter_.shape[-1] == 48:
        filter_ = filter_ @ spherical_harmonics(ring_centers(2), lmax) / math.sqrt(48)
    lifted = []
    for d in range(lmax + 1):
        part = slice(d * d, (d + 1) ** 2)
        lifted.append(
            torch.einsum("xyw,bxi->bywi", filter_[..., part], signal[..., part]).flatten(2) / math.sqrt(FEATURES)
        )
    h = _rotation_relu(torch.cat(lifted, 2), lmax)
    psi = m["so3_conv.w"] @ basis(ring(), lmax) / math.sqrt(168)
    out = []
    for d, part in enumerate(blocks(lmax)):
        n = 2 * d + 1
        left, right = psi[:, 0, part].view(HIDDEN, n, n), h[:, :, part].view(b, HIDDEN, n, n)
        out.append(torch.einsum("xwv,bxwi->bvi", left, right).flatten(1) / math.sqrt(HIDDEN * n))
    return torch.cat(out, 1)


def _quadrature(count: int) -> Tensor:
    b, k = torch.arange(count, dtype=torch.float64), torch.arange(count // 2, dtype=torch.float64)
    inner = (((2 * b[:, None] + 1) * (2 * k + 1) * math.pi / (2 * count)).sin() / (2 * k + 1)).sum(1)
    return (math.pi * (2 * b + 1) / (2 * count)).sin() * inner


def _rotation_relu(h: Tensor, lmax: int) -> Tensor:
    angle = torch.arange(40, dtype=torch.float64) * (2 * math.pi / 40)
    beta = (torch.arange(20, dtype=torch.float64) + 0.5) * (math.pi / 20)
    a, b, c = torch.meshgrid(angle, beta, angle, indexing="ij")
    table = basis(from_angles(a, b, c), lmax)
    q = _quadrature(20)
    q = q / (1600 * q.sum())
    root = math.sqrt(table.shape[-1])
    g = GAIN * relu(torch.einsum("nci,xyzi->ncxyz", h, table) / root)
    return torch.einsum("ncxyz,xyzi,y->nci", g, table, q) * root


def _sphere_relu(c: Tensor, lmax: int) -> Tensor:
    beta = (torch.arange(20, dtype=torch.float64) + 0.5) * (math.pi / 20)
    alpha = torch.arange(19, dtype=torch.float64) * (2 * math.pi / 19)
    b, a = torch.meshgrid(beta, alpha, indexing="ij")
    y = spherical_harmonics(torch.stack([b.sin() * a.sin(), b.cos(), b.sin() * a.cos()], -1), lmax)
    degree = torch.cat([torch.full((2 * d + 1,), float(d)) for d in range(lmax + 1)]).double()
    scale = ((2 * degree + 1) * (lmax + 1)).sqrt()
    q = _quadrature(20)
    q = q / (19 * q.sum())
    g = GAIN * relu(torch.einsum("xyk,nfk->nfxy", y, c / scale))
    return torch.einsum("nfxy,xyk,x->nfk", g, y, q) * scale
