"""The colour of a mesh's surface, wherever it comes from: vertices, materials or textures."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.mesh import Mesh

# Points of a face at which its colour is averaged: thirds of its sides, its middle and, with them, its corners.
_THIRDS = [(i / 3, j / 3, (3 - i - j) / 3) for i in range(4) for j in range(4 - i)]


def sample_texture(texture: Float[Tensor, "h w 3"], uv: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """The texture at coordinates, between texels bilinearly; it repeats beyond [0, 1].

    (0, 0) is the picture's lower left corner; the first row of `texture` is its upper edge. Texel centres are half a
    texel from the edges.
    """
    height, width = texture.shape[:2]
    x = uv[:, 0] * width - 0.5
    y = (1 - uv[:, 1]) * height - 0.5
    left, top = x.floor(), y.floor()
    across, down = (x - left)[:, None], (y - top)[:, None]
    x0, y0 = left.long() % width, top.long() % height
    x1, y1 = (x0 + 1) % width, (y0 + 1) % height
    upper = torch.lerp(texture[y0, x0], texture[y0, x1], across)
    lower = torch.lerp(texture[y1, x0], texture[y1, x1], across)
    return torch.lerp(upper, lower, down)


def surface_colors(mesh: Mesh, face: Int[Tensor, "n"], weights: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """RGB at points of the surface.

    Args:
        mesh: any; where it has no colour at all, its material's grey.
        face: the face of each point.
        weights: barycentric coordinates of each point in its face.
    """
    if mesh.colors is not None:
        return (mesh.colors[mesh.faces[face]] * weights[..., None]).sum(1)
    material = torch.zeros_like(face) if mesh.face_material is None else mesh.face_material[face]
    plain = torch.tensor([m.color for m in mesh.materials], dtype=weights.dtype, device=weights.device)
    colors = plain[material]
    if mesh.uv is None or mesh.uv_faces is None:
        return colors
    uv = (mesh.uv[mesh.uv_faces[face]] * weights[..., None]).sum(1)
    for number, one in enumerate(mesh.materials):
        if one.texture is not None:
            here = (material == number).nonzero()[:, 0]
            colors[here] *= sample_texture(one.texture, uv[here])
    return colors


def vertex_colors(mesh: Mesh) -> Float[Tensor, "v 3"]:
    """RGB of the vertices: their own, or the mean of the surface around each, by area and nearness."""
    if mesh.colors is not None:
        return mesh.colors
    areas = mesh.face_areas()
    total = torch.zeros_like(mesh.vertices)
    weight = mesh.vertices.new_zeros(len(mesh.vertices), 1)
    for point in _THIRDS:
        weights = mesh.vertices.new_tensor(point).expand(len(mesh.faces), 3)
        colors = surface_colors(mesh, torch.arange(len(mesh.faces), device=mesh.faces.device), weights)
        for corner in range(3):
            share = (areas * point[corner] ** 2)[:, None]
            total = total.index_add(0, mesh.faces[:, corner], colors * share)
            weight = weight.index_add(0, mesh.faces[:, corner], share)
    grey = mesh.vertices.new_tensor(mesh.materials[0].color).expand_as(total)
    return torch.where(weight > 0, total / weight.clamp_min(torch.finfo(weight.dtype).tiny), grey)
