"""A mesh from masks in posed photos: the visual hull, and colours for it from the same photos.

Laurentini, "The visual hull concept for silhouette-based image understanding", PAMI 1994. Differs: masks are soft, so
the surface runs between voxels; a few photos may be wrong about a point.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_edit import merge_vertices, transformed
from resect.geometry.mesh_topology import parts
from resect.geometry.se3 import SE3
from resect.shape.isosurface import evaluate, marching_cubes
from resect.types import Photo

_POINTS = 1 << 18


def visual_hull(
    photos: Sequence[Photo],
    cam_from_world: SE3,
    bounds: Float[Tensor, "2 3"] | None = None,
    *,
    cells: int = 128,
    forgive: int = 0,
    level: float = 0.5,
) -> Mesh:
    """The largest solid whose silhouettes lie within the masks; of several parts, the one with the most faces.

    Args:
        photos: with a camera and `alpha`, the soft mask.
        cam_from_world: a pose each.
        bounds: corners of a box that holds the object; a cube about its middle is searched. By default that follows
            from the masks.
        cells: along each side of the cube; every second corner is looked at first, so a part thinner than two cells
            that hangs free of the rest may be missed.
        forgive: a point may lie outside of so many masks. The photo from the side that no other shows carves alone: it
            is what is forgiven first.
        level: opacity at the surface. The hull lies within all masks, errors of poses and masks included, so it comes
            out too thin; a lower level makes up for that.

    Raises:
        ResectError: no mask, a grid too large, or nothing that all masks agree on.
    """
    if not 8 <= cells <= 512:
        raise ResectError("visual_hull: cells", "8 to 512", str(cells))
    if not 0 < level < 1:
        raise ResectError("visual_hull: level", "between 0 and 1", f"{level:g}")
    if not 0 <= forgive < len(photos):
        raise ResectError("visual_hull: forgive", f"0 to {len(photos) - 1}", str(forgive))
    for photo in photos:
        if photo.alpha is None:
            raise ResectError(photo.name, "a photo with a mask (alpha)", "none")
    poses = cam_from_world.float()
    box = (mask_bounds(photos, poses) if bounds is None else bounds).float()
    middle, side = box.mean(0), float((box[1] - box[0]).max())

    def field(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        seen = torch.stack([_alpha_at(p, poses[k], points + middle) for k, p in enumerate(photos)])
        # A point that half of the photos cannot see is nowhere; where one does not see it, it says nothing.
        enough = (seen <= 1).sum(0) > 0.5 * len(photos)
        return torch.where(enough, seen.kthvalue(forgive + 1, dim=0).values.clamp_max(1.0), torch.zeros(len(points)))

    value = evaluate(field, level, cells=(cells + 1) // 2, halvings=1, side=side, most=_POINTS)
    mesh = marching_cubes(value, level, side=side)
    part = parts(mesh)
    mesh = replace(mesh, faces=mesh.faces[part == int(torch.bincount(part).argmax())])
    return transformed(merge_vertices(mesh), SE3(torch.eye(3), middle))


def mask_bounds(photos: Sequence[Photo], cam_from_world: SE3) -> Float[Tensor, "2 3"]:
    """A cube that holds what the masks show: about the point nearest to the rays through their middles."""
    rays, spans = [], []
    for k, photo in enumerate(photos):
        assert photo.alpha is not None
        rows, columns = ((photo.alpha > 0.5).any(axis).nonzero()[:, 0].float() + 0.5 for axis in (1, 0))
        if not len(rows):
            raise ResectError(photo.name, "a mask with an object", "an empty one", "Leave this photo out.")
        camera = photo.known_camera()
        middle = torch.stack([columns[0] + columns[-1], rows[0] + rows[-1]])[None] / 2
        rays.append((camera.rays(middle) @ cam_from_world.R[k])[0])
        spans.append(max(float(columns[-1] - columns[0]), float(rows[-1] - rows[0])) * camera.pixel_rad)
    point = nearest_point_to_axes(cam_from_world.center, torch.stack(rays))
    distance = (cam_from_world.center - point).norm(dim=-1)
    half = 0.7 * float((torch.tensor(spans) * distance).median())
    return torch.stack([point - half, point + half])


def _alpha_at(photo: Photo, cam_from_world: SE3, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Opacity where points are seen, 2 elsewhere."""
    assert photo.alpha is not None
    pixels, valid = photo.known_camera().project(cam_from_world.apply(points))
    found = _sampled(photo.alpha[..., None], pixels)[:, 0]
    return torch.where(valid, found, torch.full_like(found, 2.0))


def _sampled(image: Float[Tensor, "h w c"], pixels: Float[Tensor, "n 2"]) -> Float[Tensor, "n c"]:
    """Bilinear; pixel centres at + 0.5."""
    height, width = image.shape[:2]
    grid = pixels.to(image) / torch.tensor([width, height]).to(image) * 2 - 1
    planes = image.permute(2, 0, 1)[None]
    found = torch.nn.functional.grid_sample(planes, grid[None, None], align_corners=False, padding_mode="border")
    return found[0, :, 0].mT


def colored(mesh: Mesh, photos: Sequence[Photo], cam_from_world: SE3, *, tolerance: float = 0.01) -> Mesh:
    """The mesh with a colour at each vertex: the mean over the photos that see it, weighted by how squarely.

    Args:
        mesh: in the world of the poses.
        photos: with cameras; where there is `alpha`, half transparent pixels do not count.
        cam_from_world: a pose each.
        tolerance: a vertex is seen if the surface before it is no nearer than this part of its distance.
    """
    from resect.scenes.mesh.scene import MeshScene

    scene, normals = MeshScene(replace(mesh, colors=None)), mesh.vertex_normals().double()
    vertices = mesh.vertices.double()
    total, weight = torch.zeros(len(vertices), 3), torch.zeros(len(vertices), 1)
    for k, photo in enumerate(photos):
        camera, pose = photo.known_camera(), cam_from_world[k].double()
        depth = scene.render(camera, pose[None].float(), ("depth",)).depth
        assert depth is not None
        inside = pose.apply(vertices)
        pixels, valid = camera.project(inside)
        surface = _sampled(depth.reshape(camera.height, camera.width, 1), pixels)[:, 0]
        toward = torch.nn.functional.normalize(pose.center - vertices, dim=-1)
        square = (normals * toward).sum(-1).clamp_min(0).float()
        seen = valid & (inside[:, 2].float() < surface * (1 + tolerance) + tolerance * inside[:, 2].float())
        solid = torch.ones(len(vertices)) if photo.alpha is None else _sampled(photo.alpha[..., None], pixels)[:, 0]
        w = (square.square() * seen * (solid > 0.99))[:, None] + 1e-6 * (valid & (solid > 0.5)).float()[:, None]
        total, weight = total + w * _sampled(photo.image, pixels), weight + w
    grey = torch.full_like(total, 0.5)
    return replace(mesh, colors=torch.where(weight > 0, total / weight.clamp_min(1e-12), grey).clamp(0, 1))
