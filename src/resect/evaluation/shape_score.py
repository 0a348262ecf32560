"""Shapes against true ones: IoU, Chamfer distances, normal consistency, of a network or of a folder of meshes."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.mesh import read_mesh
from resect.data.mesh.read import SUFFIXES
from resect.data.mesh_occupancy import inside_mesh
from resect.data.shapes import ShapeSet
from resect.errors import ResectError
from resect.geometry.mesh import Mesh, sample_surface
from resect.metrics.shape import occupancy_iou, surface_distance
from resect.shape.occupancy import Occupancy

COLUMNS = ("iou", "chamfer_l1", "chamfer_l2", "accuracy", "completeness", "normal_consistency")
_MOST_POINTS = 100_000


@dataclass(frozen=True)
class ShapeRow:
    """One shape.

    Attributes:
        name: "category/model".
        values: metric → value; a shape without an answer has IoU 0 and no distances.
    """

    name: str
    values: dict[str, float]


@dataclass(frozen=True)
class ShapeScore:
    """What answers for a set of shapes are worth."""

    rows: tuple[ShapeRow, ...]

    def mean(self, category: str | None = None) -> dict[str, float]:
        """Means over the shapes (of a category) that have the value; and how many shapes there are, how many failed."""
        rows = [r for r in self.rows if category is None or r.name.split("/")[0] == category]
        found: dict[str, float] = {}
        for column in COLUMNS:
            values = [r.values[column] for r in rows if column in r.values]
            if values:
                found[column] = sum(values) / len(values)
        return {**found, "shapes": len(rows), "failed": sum(r.values.get("failed", 0) for r in rows)}

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories of the shapes."""
        return tuple(sorted({r.name.split("/")[0] for r in self.rows}))

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints."""
        return {**self.mean(), "categories": {c: self.mean(c) for c in self.categories}}

    def text(self) -> str:
        """A line a category, and one for all."""
        lines = []
        for name in (*self.categories, "all"):
            found = self.mean(None if name == "all" else name)
            figures = ", ".join(f"{k} {v:.4f}" for k, v in found.items() if k in COLUMNS)
            lines.append(f"{name}: {figures} ({found['shapes']:.0f} shapes, {found['failed']:.0f} failed)")
        return "\n".join(lines)

    def write_csv(self, path: Path) -> None:
        """A row a shape."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["shape", *COLUMNS])
        for row in self.rows:
            writer.writerow([row.name, *(row.values.get(c, "") for c in COLUMNS)])
        write_atomic(path, buffer.getvalue().encode())


Answer = Callable[[int], tuple[Bool[Tensor, "n"] | None, Mesh | None]]
"""Of a shape's number: which of its points are inside, and the mesh; `None` for what is not known or not asked for."""


def score_network(network: Occupancy, shapes: ShapeSet, *, view: int = 0, meshes: bool = False) -> Answer:
    """What a network says of each shape, from one view or from its surface points."""

    def answer(index: int) -> tuple[Tensor | None, Mesh | None]:
        if network.settings.input == "image":
            code = network.encode(shapes.photo(index, view))
        else:
            code = network.encode_points(shapes.surface(index)[0][: network.settings.cloud])
        points, _ = shapes.points(index)
        inside = network.occupancy(points, code) >= network.level
        return inside, network.mesh(code=code) if meshes else None

    return answer


def score_folder(folder: Path, shapes: ShapeSet) -> Answer:
    """What meshes say: CATEGORY/MODEL.ply, MODEL.ply or meshes/CATEGORY/MODEL.off, with any ending that is read."""

    def answer(index: int) -> tuple[Tensor | None, Mesh | None]:
        mesh = read_mesh(_mesh_of(folder, shapes.names[index]))
        return inside_mesh(shapes.points(index)[0], mesh), mesh

    return answer


def _mesh_of(folder: Path, name: str) -> Path:
    for stem in (name, name.split("/")[1], f"meshes/{name}"):
        for suffix in SUFFIXES:
            path = folder / f"{stem}{suffix}"
            if path.is_file():
                return path
    raise ResectError(folder, f"a mesh named {name}{SUFFIXES[0]} or alike", "none")


def score_shapes(
    answer: Answer, shapes: ShapeSet, progress: Callable[[int, int, str], None] | None = None
) -> ShapeScore:
    """Judges an answer for each shape; one that fails counts as IoU 0."""
    return ShapeScore(tuple(_rows(answer, shapes, progress)))


def _rows(answer: Answer, shapes: ShapeSet, progress: Callable[[int, int, str], None] | None) -> Iterator[ShapeRow]:
    for i, name in enumerate(shapes.names):
        try:
            inside, mesh = answer(i)
            yield ShapeRow(name, _values(shapes, i, inside, mesh))
        except ResectError:
            yield ShapeRow(name, {"iou": 0.0, "failed": 1.0})
        if progress is not None:
            progress(i + 1, len(shapes), name)


def _values(shapes: ShapeSet, index: int, inside: Tensor | None, mesh: Mesh | None) -> dict[str, float]:
    values: dict[str, float] = {}
    if inside is not None:
        values["iou"] = float(occupancy_iou(inside, shapes.points(index)[1]))
    if mesh is not None:
        truth, truth_normals = (x[:_MOST_POINTS] for x in shapes.surface(index))
        points, face, _ = sample_surface(mesh, len(truth), torch.Generator().manual_seed(0))
        found = surface_distance(points, truth, mesh.face_normals()[face].to(truth), truth_normals)
        values |= {name: getattr(found, name) for name in COLUMNS[1:]}
    return values
