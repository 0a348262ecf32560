"""Is this mesh what it seems? Its size and likely unit, where it lies, which way is up, whether it is whole."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from resect.data.agreement import Finding
from resect.data.mesh.units import guess_units, judge_length
from resect.geometry.mesh import Mesh, diameter, sample_surface
from resect.geometry.mesh_edit import merge_vertices
from resect.geometry.mesh_topology import distinct_rows, edges, parts

_MANY_FACES = 100_000
_STANDS = 0.3
_CLEARLY = 1.5
_FAR = 0.1


@dataclass(frozen=True)
class MeshReport:
    """What `check_mesh` found. Lengths are in the mesh's units; edges and parts are counted with equal vertices merged.

    Attributes:
        name: of the file.
        vertices: how many there are.
        faces: how many there are.
        diameter: largest distance between two vertices.
        bounds: corners (least, greatest) of the box around them.
        meters_per_unit: as declared; `None` if unknown.
        units: what the diameter suggests, as a sentence.
        up: axes that may point up, e.g. ("z",) or ("z", "-z"); empty if it does not show.
        color: "vertices", "texture", "material" or "none".
        textures: (width, height) of each.
        parts: connected ones.
        duplicate_vertices: vertices at the place of another.
        degenerate_faces: faces without area.
        open_edges: edges with one face: borders of holes.
        non_manifold_edges: edges that more than two faces share.
        flipped_edges: edges whose two faces turn opposite ways.
        watertight: every edge has two faces that turn the same way.
        inside_out: watertight, but its faces look inward.
        findings: sentences, the most serious first.
    """

    name: str
    vertices: int
    faces: int
    diameter: float
    bounds: tuple[tuple[float, ...], tuple[float, ...]]
    meters_per_unit: float | None
    units: str
    up: tuple[str, ...]
    color: str
    textures: tuple[tuple[int, int], ...]
    parts: int
    duplicate_vertices: int
    degenerate_faces: int
    open_edges: int
    non_manifold_edges: int
    flipped_edges: int
    watertight: bool
    inside_out: bool
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return asdict(self)


def check_mesh(mesh: Mesh) -> MeshReport:
    """Examines a mesh; nothing is changed."""
    merged = merge_vertices(mesh)
    sides, beside = edges(merged)
    one, two = merged.faces[beside[:, 0]], merged.faces[beside[:, 1].clamp_min(0)]
    paired = beside[:, 1] >= 0
    same_way = ((two == sides[:, :1]) & (two.roll(-1, 1) == sides[:, 1:])).any(1)
    edge = distinct_rows(sides.sort(1).values)[1]
    rows = edge.bincount()
    shared = int((rows > 1).sum())
    flipped = int((paired & same_way & (rows == 1)[edge]).sum())  # where more faces meet, which two belong together?
    size = diameter(merged.vertices)
    watertight = bool(paired.all()) and not flipped and not shared and len(one) > 0
    report = MeshReport(
        name=mesh.name,
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        diameter=size,
        bounds=(tuple(mesh.bounds[0].tolist()), tuple(mesh.bounds[1].tolist())),
        meters_per_unit=mesh.meters_per_unit,
        units=guess_units(size),
        up=likely_up(mesh),
        color=_color(mesh),
        textures=tuple((m.texture.shape[1], m.texture.shape[0]) for m in mesh.materials if m.texture is not None),
        parts=int(parts(merged).max()) + 1,
        duplicate_vertices=len(mesh.vertices) - len(merged.vertices),
        degenerate_faces=int((mesh.to(torch.float64).face_areas() <= (1e-9 * size) ** 2).sum()),
        open_edges=int((~paired).sum()),
        non_manifold_edges=shared,
        flipped_edges=flipped,
        watertight=watertight,
        inside_out=watertight and _volume(mesh) < 0,
        findings=(),
    )
    return MeshReport(**{**vars(report), "findings": tuple(_findings(report, mesh))})


def likely_up(mesh: Mesh) -> tuple[str, ...]:
    """Axes along which the mesh stands: a broad base below, with the middle of its surface above it.

    Returns:
        One axis, e.g. ("z",); an axis both ways, e.g. ("z", "-z"), where it would stand on its head as well; or none.
    """
    if not float(mesh.face_areas().sum()) > 0:
        return ()
    score = _standing(mesh)
    best = max(score, key=lambda name: score[name])
    other = best[1:] if best.startswith("-") else f"-{best}"
    rival = max(s for name, s in score.items() if name not in (best, other))
    if score[best] < max(_STANDS, _CLEARLY * rival):
        return ()
    return (best,) if score[best] >= _CLEARLY * score[other] else tuple(sorted((best, other), reverse=True))


def _standing(mesh: Mesh) -> dict[str, float]:
    """For each way up, the share of the box's ground that lies within the hull of what is lowest; 0 if it would tip."""
    from scipy.spatial import ConvexHull, QhullError

    generator = torch.Generator().manual_seed(0)
    spread = sample_surface(mesh.to("cpu").to(torch.float64), 6000, generator)[0].numpy()
    points = np.concatenate([spread, mesh.vertices[mesh.faces.unique()].double().cpu().numpy()])
    least, size = points.min(0), np.ptp(points, 0)
    size[size == 0] = 1
    points, middle = (points - least) / size, (spread.mean(0) - least) / size
    found = {}
    for axis, name in enumerate("xyz"):
        ground = [i for i in range(3) if i != axis]
        for sign, height in (("", points[:, axis]), ("-", points[:, axis].max() - points[:, axis])):
            found[sign + name] = 0.0
            try:
                hull = ConvexHull(points[height < 0.03][:, ground])
            except (QhullError, ValueError):
                continue
            inside = -(hull.equations[:, :2] @ middle[ground] + hull.equations[:, 2]).max()
            found[sign + name] = float(hull.volume) if inside > 0.05 else 0.0
    return found


def _color(mesh: Mesh) -> str:
    if mesh.colors is not None:
        return "vertices"
    if any(m.texture is not None for m in mesh.materials):
        return "texture"
    return "material" if any(m.color != type(m)().color for m in mesh.materials) else "none"


def _volume(mesh: Mesh) -> float:
    """By the divergence theorem, about the box's middle."""
    a, b, c = (mesh.triangles - mesh.bounds.mean(0)).double().unbind(1)
    return float((a * torch.cross(b, c, dim=-1)).sum() / 6)


def _findings(report: MeshReport, mesh: Mesh) -> list[Finding]:
    """Sentences, the most serious first."""
    found = [*_about_place(report), *_about_surface(report)]
    if report.meters_per_unit is not None:
        found += judge_length(report.diameter, report.meters_per_unit)
    found += [Finding("note", note[:1].upper() + note[1:] + ".") for note in mesh.notes]
    order = ("error", "warning", "note", "ok")
    return sorted(found, key=lambda f: order.index(f.level))


def _about_place(report: MeshReport) -> list[Finding]:
    found = []
    if not report.diameter > 0:
        return [Finding("error", "All vertices are at one place.")]
    low, high = (np.array(corner) for corner in report.bounds)
    away = float(np.linalg.norm(np.maximum(0, np.maximum(low, -high))))
    if away > _FAR * report.diameter:
        sentence = (
            f"The origin is {away:.3g} units outside the box around the mesh ({away / report.diameter:.2g} diameters)."
        )
        hint = " Turning such an object about its origin swings it out of view; poses refer to this origin."
        found.append(Finding("warning" if away > report.diameter else "note", sentence + hint))
    lost = float(np.abs([low, high]).max()) * 2**-24 / report.diameter
    if lost > 1e-5:
        sentence = f"So far from the origin, float32 rounds positions by {lost:.1e} diameters; move the mesh near it."
        found.append(Finding("warning", sentence))
    if len(report.up) == 1 and report.up[0].startswith("-"):
        axis = report.up[0][1:]
        sentence = f"It stands on its +{axis} side: if {axis} should point up, it is upside down."
        found.append(Finding("warning", sentence))
    return found


def _about_surface(report: MeshReport) -> list[Finding]:
    found = []
    if report.inside_out:
        found.append(Finding("warning", "Its faces look inward: it is inside out. Normals will point the wrong way."))
    if report.flipped_edges:
        sentence = (
            f"At {report.flipped_edges} edges the two faces turn opposite ways: which side is outside is unclear."
        )
        found.append(Finding("warning", sentence))
    if report.degenerate_faces == report.faces:
        found.append(Finding("error", "No face has any area: there is nothing to see."))
    elif report.degenerate_faces:
        found.append(Finding("note", f"{report.degenerate_faces} faces have no area; they show nothing."))
    if report.open_edges:
        found.append(Finding("note", f"{report.open_edges} edges have one face only: the surface is not closed there."))
    if report.non_manifold_edges:
        found.append(Finding("note", f"{report.non_manifold_edges} edges are shared by more than two faces."))
    if report.duplicate_vertices:
        sentence = f"{report.duplicate_vertices} vertices lie where another does; they count as one above."
        found.append(Finding("note", sentence))
    if report.faces > _MANY_FACES:
        sentence = f"{report.faces} faces are slow to render; 'resect mesh simplify --faces 20000' keeps the shape."
        found.append(Finding("note", sentence))
    return found
