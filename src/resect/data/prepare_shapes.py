"""Points, surfaces and views of a folder of meshes, watertight or not; no external programs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import as_json, read_json, write_json
from resect.data.mesh import read_mesh
from resect.data.mesh.read import SUFFIXES
from resect.data.mesh_occupancy import inside_mesh
from resect.data.prepare_settings import Axis, PrepareSettings
from resect.data.procedural_shapes.views import View, draw_view
from resect.data.shapes import CUBE_SIDE, VIEWS_FOLDER, stored, write_points, write_surface, write_views
from resect.errors import ResectError
from resect.geometry.mesh import Mesh, sample_surface
from resect.geometry.mesh_edit import normalized, transformed
from resect.geometry.se3 import SE3

Picture = Callable[[Mesh, Sequence[View]], Sequence[Float[Tensor, "h w 4"]]]
"""Renders views of a mesh: RGB laid on white, and opacity. Handed in, because data do not know scenes."""

_NEAR = 0.03  # standard deviation of the points near the surface


def find_meshes(folder: Path | str) -> list[Path]:
    """Mesh files in a folder and below it, sorted; a mesh file itself is taken as it is."""
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise ResectError(folder, f"mesh files ({', '.join(SUFFIXES)})", "none")
    return found


def prepare_shapes(
    meshes: Sequence[Path],
    category: str,
    settings: PrepareSettings,
    out: Path,
    picture: Picture,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[str]:
    """Writes `out/category` in the layout of `data/shapes`; meshes that are there are not made again.

    Each mesh is turned to y up and +x front, and its box centred and scaled to a longest side of 1.

    Args:
        meshes: files; each model is named after its file, or its folder where files share a name.
        category: name of the folder to make.
        settings: what to keep.
        out: folder of categories.
        picture: renders the views.
        progress: called with (done, total, name).

    Returns:
        Sentences about meshes that could not be used; they are left out.
    """
    if Path(category).name != category or category in ("", ".", ".."):
        raise ResectError("category", "a folder name", repr(category))
    names, folder = model_names(meshes), out / category
    facts = {"resect_shapes": "meshes", "settings": as_json(settings), "models": names}
    record = folder / "made.json"
    if folder.exists() and (not record.is_file() or read_json(record) != facts):
        raise ResectError(folder, "no folder, or these meshes prepared so", "something else", "Choose another --out.")
    write_json(record, facts)
    problems, made = [], []
    for i, (path, name) in enumerate(zip(meshes, names, strict=True)):
        try:
            if not (folder / name / "pointcloud.npz").is_file():  # the last of a model's files
                _write_shape(folder / name, path, settings, i, picture)
            made.append(name)
        except ResectError as error:
            problems.append(f"{name} is left out: {error}")
        if progress is not None:
            progress(i + 1, len(meshes), name)
    if not made:
        raise ResectError(folder, "at least one mesh that can be used", "; ".join(problems[:3]))
    for split, part in _split(made, settings).items():
        (folder / f"{split}.lst").write_text("".join(f"{name}\n" for name in part))
    return problems


def model_names(meshes: Sequence[Path]) -> list[str]:
    """A name for each file that no other has: its own, that of its folder, or with its number."""
    stems = [p.stem for p in meshes]
    if len(set(stems)) < len(stems):  # model.obj in a folder for each
        stems = [f"{p.parent.name}_{p.stem}" for p in meshes]
    if len(set(stems)) < len(stems):
        stems = [f"{i:06d}_{stem}" for i, stem in enumerate(stems)]
    return stems


def _split(names: Sequence[str], settings: PrepareSettings) -> dict[str, list[str]]:
    order = np.random.default_rng([settings.seed, 4]).permutation(len(names))
    test = round(settings.test * len(names))
    val = round(settings.val * len(names))
    parts = {"test": order[:test], "val": order[test : test + val], "train": order[test + val :]}
    return {split: sorted(names[i] for i in part) for split, part in parts.items()}


def canonical(mesh: Mesh, up: Axis = "+y", front: Axis = "+x") -> Mesh:
    """The mesh turned to y up and +x front, its box centred on the origin, the longest side 1."""
    y, x = _unit(up), _unit(front)
    turn = torch.stack([x, y, torch.linalg.cross(x, y)])
    turned = transformed(mesh, SE3(turn, torch.zeros(3, dtype=torch.float64)))
    return normalized(turned)[0]


def _unit(axis: Axis) -> Float[Tensor, "3"]:
    return torch.eye(3, dtype=torch.float64)["xyz".index(axis[1])] * (1 if axis[0] == "+" else -1)


def _write_shape(folder: Path, path: Path, settings: PrepareSettings, index: int, picture: Picture) -> None:
    mesh = canonical(read_mesh(path), settings.up, settings.front)
    g = np.random.default_rng([settings.seed, 5, index])
    generator = torch.Generator().manual_seed(int(g.integers(2**62)))
    views = [draw_view(g, settings.side) for _ in range(settings.views)]
    poses = SE3.stack([view.cam_from_obj for view in views])
    write_views(folder / VIEWS_FOLDER, picture(mesh, views), [view.camera for view in views], poses)
    count = max(settings.surface, settings.near)
    surface, face, _ = sample_surface(mesh.to(torch.float64), count, generator)
    uniform = torch.from_numpy(g.uniform(-CUBE_SIDE / 2, CUBE_SIDE / 2, (settings.points, 3)))
    near = surface[: settings.near] + torch.from_numpy(g.normal(0, _NEAR, (settings.near, 3)))
    for name, points in (("points", stored(uniform)), ("points_near", stored(near))):
        if len(points):
            inside = inside_mesh(points, mesh, lines=settings.lines, thickness=settings.thickness)
            write_points(folder / f"{name}.npz", points, inside)
    rows = slice(settings.surface)
    write_surface(folder / "pointcloud.npz", surface[rows], mesh.face_normals()[face[rows]])
