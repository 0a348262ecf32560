"""An outline does not tell front from back: the other pose that looks the same.

Seen from afar, depth leaves no trace. With v the direction towards the object and M = I − 2 v vᵀ, the points M R X have
the outline of R X. M R is a reflection; but where the object equals its mirror image in a plane with normal n,
S = I − 2 n nᵀ, the rotation M R S shows the object just so: a cow from the left front looks like one from the left
behind. Perspective tells the two apart by as much as the object is large against its distance.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3

_SAME = math.cos(math.radians(5.0))


def mirror_normals(mesh: Mesh) -> Float[Tensor, "k 3"]:
    """Normals of the planes in which an object may equal its mirror image: three to six, unit, float64.

    A plane of symmetry is perpendicular to a principal axis of the surface. Where two principal moments are equal
    their axes are arbitrary; so the axes of the mesh's own frame are added where they are others.
    """
    corners = mesh.vertices.double()[mesh.faces.long()]
    area = 0.5 * torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1)
    middle = (area[:, None] * corners.mean(1)).sum(0) / area.sum()
    off = corners - middle
    # ∫ x xᵀ over a triangle = area / 12 · (Σ xᵢ xᵢᵀ + s sᵀ), s the sum of its corners.
    s = off.sum(1)
    moments = off.mT @ off + s[:, :, None] * s[:, None]
    principal = torch.linalg.eigh((area[:, None, None] / 12 * moments).sum(0)).eigenvectors.T
    own = torch.eye(3, dtype=torch.float64)
    return torch.cat([principal, own[((own @ principal.T).abs() < _SAME).all(1)]])


def reflected(poses: SE3, normals: Float[Tensor, "k 3"], middle: Float[Tensor, "3"]) -> SE3:
    """M R S of each pose and each plane through the object's middle, which stays where it is.

    Args:
        poses: H `cam_from_world`.
        normals: K unit vectors, world.
        middle: of the object, world.

    Returns:
        H·K poses, the planes of the first pose first.
    """
    r, t = poses.R.double(), poses.t.double()
    at = r @ middle.double() + t
    seen = at / at.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    eye = torch.eye(3, dtype=torch.float64, device=r.device)
    front = eye - 2 * seen[:, :, None] * seen[:, None]
    side = eye - 2 * normals.double()[:, :, None] * normals.double()[:, None]
    turned = (front[:, None] @ r[:, None] @ side[None]).flatten(0, 1)
    place = at.repeat_interleave(len(normals), 0) - turned @ middle.double()
    return SE3(turned.to(poses.R.dtype), place.to(poses.t.dtype))
