"""Moves a mesh's vertices onto the level set of a field, faces turned along its gradient."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.mesh import Mesh

_NORMAL_WEIGHT = 0.01


def refine(
    mesh: Mesh,
    logit: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]],
    threshold: float,
    steps: int = 30,
    generator: torch.Generator | None = None,
    *,
    rate: float = 1e-4,
) -> Mesh:
    """RMSprop on the vertices, as in Occupancy Networks (CVPR 2019, §3.3).

    The loss is the mean over faces of (occ(p) − threshold)² + 0.01·|n_face − n_field|² at random points p of the faces,
    n_field = −∇occ of unit length.

    Args:
        mesh: from marching cubes; only its vertices change.
        logit: of being inside; differentiable.
        threshold: probability on the surface.
        steps: of RMSprop.
        generator: of the random points; else a fixed seed.
        rate: its learning rate.
    """
    generator = generator or torch.Generator().manual_seed(0)
    vertices = mesh.vertices.clone().requires_grad_(True)
    optimizer = torch.optim.RMSprop([vertices], lr=rate)
    for _ in range(steps):
        a, b, c = vertices[mesh.faces].unbind(1)
        # A Dirichlet(½, ½, ½) sample, as published: squares of three normal numbers over their sum.
        weight = torch.randn(len(mesh.faces), 3, generator=generator).square()
        weight = weight / weight.sum(-1, keepdim=True)
        points = weight[:, :1] * a + weight[:, 1:2] * b + weight[:, 2:] * c
        occupancy = logit(points).sigmoid()
        (gradient,) = torch.autograd.grad(occupancy.sum(), points, create_graph=True)
        faces = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
        field = torch.nn.functional.normalize(-gradient, dim=-1)
        off = (occupancy - threshold).square().mean()
        turned = (faces - field).square().sum(-1).mean()
        optimizer.zero_grad()
        (off + _NORMAL_WEIGHT * turned).backward()
        optimizer.step()
    return replace(mesh, vertices=vertices.detach(), normals=None)
