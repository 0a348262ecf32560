"""Which symmetries are found in a mesh, with what evidence, in how many seconds.

Specification, fixed before the first number was taken with it:

- "made": solids whose group is known (Schoenflies: C1, Cn, Dn, T, O, I; Coo is an axis, Doo an axis and a flip, K all
  rotations about a point). Each is turned by a random rotation, moved by up to two diameters, its faces cut unevenly
  (every face whose centre lies on one side of a random plane into 16), seed 0; with no noise and with noise of 0.05 %
  and 0.15 % of the diameter (standard deviation, normal to the surface, on vertices at most 4 % of the diameter apart).
- "nearly": solids with one thing that breaks a symmetry: a side 5 % longer, a bump 6 % of the diameter wide and 4 %
  high, a hole 12 % wide in a sheet, one leg of a table 10 % thicker; and the largest group that is left.
- "painted": the same shape with colours that leave a smaller group; expected with colour and without.
- "files": meshes given on the command line; nothing is expected, but where a `models_info.json` stands beside the
  file its symmetries are printed too. With colour and without, at the default tolerances, and the least tolerance at
  which each found or rejected motion would pass ("residual", in diameters).
- Default tolerances are chosen on made, nearly and painted solids alone: halfway, on a logarithmic scale, between the
  largest residual of a true symmetry with noise and the smallest of a broken one, rounded.
- "looser": the groups, with colour and of the shape, at 5 % and 10 % where they are others, with the shape's residual.
- Right means the group's name, and its motions within 1° and 1 % of the diameter of the true ones.
- Seconds: one thread, wall clock, one run a mesh, the median and greatest over a kind.

    python benchmarks/symmetries.py [FILE…] [--tolerance 0.01]
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from record import RESULTS, Stopwatch, save, table, use_threads

from resect.data.mesh import read_mesh
from resect.data.models_info import read_models_info
from resect.geometry import rotation_group, so3, solids
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.symmetry import Symmetries
from resect.shape.symmetry import COLOR_TOLERANCE, TOLERANCE, SymmetryReport, find_symmetries

NOISES = (0.0, 0.0005, 0.0015)
COLUMNS = {
    "kind": "kind",
    "mesh": "mesh",
    "faces": "faces",
    "expected": "expected",
    "group": "found",
    "right": "right",
    "shape_group": "shape",
    "residual": "residual",
    "color_residual": "colour",
    "nearest_rejected": "rejected",
    "looser": "looser",
    "listed": "listed",
    "seconds": "s",
    "cpu_seconds": "CPU s",
}
X, Y, Z = torch.eye(3, dtype=torch.float64)
LARGE, GOLDEN = 1000, (1 + math.sqrt(5)) / 2


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Meshes; without any, only made ones."""
    tolerance: float = TOLERANCE
    """Of the shape, in diameters."""
    color_tolerance: float = COLOR_TOLERANCE
    """Of colours."""
    made: bool = True
    """Measure the made, nearly symmetric and painted solids too."""
    threads: int = 1
    """CPU threads."""
    quick: bool = False
    """Two solids only."""
    out: Path | None = RESULTS / "symmetries.json"
    """JSON file to write."""


@dataclass(frozen=True, eq=False)
class Case:
    """A mesh whose group is known, in the frame it is built in.

    Attributes:
        kind: made, nearly or painted.
        name: of the row.
        mesh: about the origin.
        group: Schoenflies symbol, with colour.
        generators: of its finite part.
        shape_group: without colour, if another.
    """

    kind: str
    name: str
    mesh: Mesh
    group: str
    generators: tuple[torch.Tensor, ...] = ()
    shape_group: str = ""


def made() -> list[Case]:
    four, flip = rotation_group.turn(Z, 4), rotation_group.turn(X, 2)
    third = rotation_group.turn(unit(1, 1, 1), 3)
    fifths = tuple(rotation_group.turn(unit(-1 * s, GOLDEN, 0), 5) for s in (1, -1))
    solid = [
        ("cube", solids.cube(), "O", (four, rotation_group.turn(X, 4))),
        ("cylinder", solids.cylinder(), "D∞", (flip,)),
        ("cone", solids.cone(), "C∞", ()),
        ("box", solids.box((1, 0.7, 0.4)), "D2", (rotation_group.turn(Z, 2), flip)),
        ("square box", solids.box((1, 1, 0.4)), "D4", (four, flip)),
        ("tetrahedron", solids.tetrahedron(), "T", (third, rotation_group.turn(unit(1, -1, -1), 3))),
        ("icosahedron", solids.icosphere(level=0), "I", fifths),
        ("sphere", solids.icosphere(level=4), "K", ()),
        ("torus", solids.torus(), "D∞", (flip,)),
        ("open tube", solids.revolve([(0.4, -0.5), (0.4, 0.5)]), "D∞", (flip,)),
        ("bowl", solids.revolve([(0.1, 0), (0.4, 0.1), (0.5, 0.4)]), "C∞", ()),
    ]
    for n in (3, 5, 6, 7, 8, 12):
        turned = rotation_group.turn(Z, n)
        solid.append((f"prism {n}", solids.cylinder(segments=n), f"D{n}", (turned, flip)))
        solid.append((f"pyramid {n}", solids.cone(segments=n), f"C{n}", (turned,)))
    for n in (17, 24):
        solid.append((f"gear {n}", gear(n), f"D{n}", (rotation_group.turn(Z, n), flip)))
    return [Case("made", *item) for item in solid]


def nearly() -> list[Case]:
    four, flip = rotation_group.turn(Z, 4), rotation_group.turn(X, 2)
    bump = moved(solids.box((0.114, 0.085, 0.085)), (0.5, 0, 0))
    legs = [(0.35 * x, 0.35 * y, -0.3) for x in (-1, 1) for y in (-1, 1)]
    top, leg = solids.box((1, 1, 0.1)), solids.box((0.3, 0.3, 0.6))
    thick = moved(solids.box((0.33, 0.33, 0.6)), (0.335, 0.335, -0.3))
    return [
        Case("nearly", "cube, a side 5 % longer", solids.box((1, 1, 1.05)), "D4", (four, flip)),
        Case("nearly", "cylinder with a bump", together(solids.cylinder(), bump), "C2", (flip,)),
        Case("nearly", "sheet", sheet(0.0), "D4", (four, flip)),
        Case("nearly", "sheet with a hole", sheet(0.17), "C2", (flip,)),
        Case("nearly", "table", together(top, *(moved(leg, t) for t in legs)), "C4", (four,)),
        Case("nearly", "table, a leg thicker", together(top, *(moved(leg, t) for t in legs[:3]), thick), "C1"),
    ]


def painted() -> list[Case]:
    four, flip = rotation_group.turn(Z, 4), rotation_group.turn(X, 2)
    third = rotation_group.turn(unit(1, 1, 1), 3)
    cube, cylinder, sphere = (split(m, 0.025) for m in (solids.cube(), solids.cylinder(), solids.icosphere(level=4)))
    slab = split(solids.box((1, 0.7, 0.4)), 0.025)
    eighth = math.pi / 4
    return [
        Case("painted", "cube, a face", paint(cube, lambda p: p[:, 2] > 0.499), "C4", (four,), "O"),
        Case(
            "painted",
            "cylinder, 4 stripes",
            paint(cylinder, lambda p: ((torch.atan2(p[:, 1], p[:, 0]) + eighth / 2) % (2 * eighth)) < eighth),
            "D4",
            (four, flip),
            "D∞",
        ),
        Case("painted", "cylinder, a label", paint(cylinder, lambda p: p[:, 0] > 0.3), "C2", (flip,), "D∞"),
        Case("painted", "ball, a half", paint(sphere, lambda p: p[:, 2] > 0), "C∞", (), "K"),
        Case(
            "painted",
            "ball, octants",
            paint(sphere, lambda p: p.prod(-1) > 0),
            "T",
            (third, rotation_group.turn(Z, 2)),
            "K",
        ),
        Case(
            "painted",
            "box, a patch",
            paint(slab, lambda p: (p[:, 2] > 0.199) & (p[:, 0].abs() < 0.2) & (p[:, 1].abs() < 0.15)),
            "C2",
            (rotation_group.turn(Z, 2),),
            "D2",
        ),
    ]


def unit(*direction: float) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(direction, dtype=torch.float64), dim=0)


def gear(teeth: int) -> Mesh:
    """A prism whose outline steps in and out; a tooth is half a step wide."""
    plain = solids.cylinder(0.5, 0.3, 4 * teeth)
    angle = (torch.atan2(plain.vertices[:, 1], plain.vertices[:, 0]) * (teeth / (2 * math.pi)) + 0.125) % 1
    inner = torch.where(angle > 0.49, 0.85, 1.0)
    inner = torch.where(plain.vertices[:, :2].norm(dim=-1) > 0, inner, 1.0)
    # symmetric about x: vertices at −1/8, 1/8 of a step are out, those at 3/8, 5/8 are in
    turn = so3.exp(Z.float() * (-2 * math.pi / teeth / 8))
    shift = plain.vertices @ turn.mT
    return replace(plain, vertices=shift * torch.stack([inner, inner, torch.ones_like(inner)], -1))


def sheet(hole: float) -> Mesh:
    """A square without thickness, finely cut, with a square hole off its middle."""
    n = 50
    grid = torch.arange(n + 1) / n - 0.5
    vertices = torch.cat([torch.cartesian_prod(grid, grid), torch.zeros((n + 1) ** 2, 1)], -1)
    corner = (torch.arange(n)[:, None] * (n + 1) + torch.arange(n)).flatten()
    faces = torch.cat(
        [
            torch.stack([corner, corner + n + 1, corner + n + 2], -1),
            torch.stack([corner, corner + n + 2, corner + 1], -1),
        ]
    )
    middle = vertices[faces].mean(1)
    kept = ((middle[:, 0] - 0.25).abs() > hole / 2) | (middle[:, 1].abs() > hole / 2)
    return Mesh(vertices, faces[kept])


def moved(mesh: Mesh, by: Sequence[float]) -> Mesh:
    return replace(mesh, vertices=mesh.vertices + torch.tensor(by))


def together(*meshes: Mesh) -> Mesh:
    first = [sum(len(m.vertices) for m in meshes[:k]) for k in range(len(meshes))]
    faces = [m.faces + f for m, f in zip(meshes, first, strict=True)]
    return Mesh(torch.cat([m.vertices for m in meshes]), torch.cat(faces))


def quarters(triangles: torch.Tensor) -> torch.Tensor:
    a, b, c = triangles.unbind(1)
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    parts = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return torch.cat([torch.stack(p, 1) for p in parts])


def split(mesh: Mesh, longest: float) -> Mesh:
    """Faces cut in four until no edge is longer, a share of the diameter; equal corners are one vertex."""
    left, done = mesh.triangles.double(), []
    limit = longest * diameter(mesh.vertices)
    while len(left):
        long = (left - left.roll(1, 1)).norm(dim=-1).amax(-1) > limit
        done.append(left[~long])
        left = quarters(left[long])
    return welded(torch.cat(done))


def welded(triangles: torch.Tensor) -> Mesh:
    _, index = (triangles.reshape(-1, 3) * 1e6).round().unique(dim=0, return_inverse=True)
    vertices = torch.zeros(int(index.max()) + 1, 3, dtype=triangles.dtype)
    vertices[index] = triangles.reshape(-1, 3)
    return Mesh(vertices.float(), index.view(-1, 3))


def uneven(mesh: Mesh, generator: torch.Generator) -> Mesh:
    side = so3.random(1, generator=generator, dtype=torch.float64)[0, 0]
    triangles = mesh.triangles.double()
    some = triangles.mean(1) @ side > 0
    return welded(torch.cat([triangles[~some], quarters(quarters(triangles[some]))]))


def noisy(mesh: Mesh, spread: float, generator: torch.Generator) -> Mesh:
    if spread == 0:
        return mesh
    mesh = split(mesh, 0.04)
    size = spread * diameter(mesh.vertices)
    along = torch.randn(len(mesh.vertices), 1, generator=generator) * size
    return replace(mesh, vertices=mesh.vertices + along * mesh.vertex_normals())


def paint(mesh: Mesh, where: Callable[[torch.Tensor], torch.Tensor]) -> Mesh:
    """Faces whose centre is there are red, the others grey."""
    triangles = mesh.triangles
    red, grey = torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.6, 0.6, 0.6])
    colors = torch.where(where(triangles.mean(1))[:, None], red, grey).repeat_interleave(3, 0)
    return Mesh(triangles.reshape(-1, 3), torch.arange(3 * len(triangles)).view(-1, 3), colors=colors)


def is_right(case: Case, report: SymmetryReport, rotation: torch.Tensor, shift: torch.Tensor) -> bool:
    """Name, and every true motion is near a found one."""
    if report.group != case.group:
        return False
    group = rotation_group.closure(case.generators) if case.generators else torch.eye(3, dtype=torch.float64)[None]
    assert group is not None
    true = rotation.double() @ group @ rotation.double().mT
    from resect.geometry.symmetry import about

    pose = about(shift.double(), true)
    nearest = report.symmetries.nearest(type(pose).identity(len(true), dtype=torch.float64), pose)
    turned = torch.rad2deg(so3.angle(nearest.R, pose.R)).max()
    # where the found motion takes the true centre
    off = (nearest.apply(shift.double().expand(len(true), 1, 3)) - shift).norm(dim=-1).max() / report.diameter
    upright = all(
        float((rotation.double()[:, 2] @ a.direction).abs()) > math.cos(math.radians(1))
        for a in report.symmetries.axes[: int(case.group != "K")]
    )
    return bool(turned < 1) and bool(off < 0.01) and upright


def row_of(report: SymmetryReport, faces: int, watch: Stopwatch, **facts: Any) -> dict[str, Any]:
    rejected = [c for c in report.candidates if not c.accepted and c.name != "mirror"]
    return {
        **facts,
        "faces": faces,
        "group": report.group,
        "shape_group": report.shape_group,
        "residual": report.residual,
        "color_residual": report.color_residual,
        "looser": "; ".join(f"{x.tolerance:g}: {x.group}/{x.shape_group} {x.residual:.3f}" for x in report.levels)
        or None,
        "nearest_rejected": f"{rejected[0].name} {rejected[0].residual:.3f}" if rejected else None,
        "seconds": watch.wall,
        "cpu_seconds": watch.cpu,
    }


def measured(mesh: Mesh, arguments: Arguments, use_color: bool = True) -> tuple[SymmetryReport, Stopwatch]:
    with Stopwatch() as watch:
        report = find_symmetries(
            mesh, tolerance=arguments.tolerance, color_tolerance=arguments.color_tolerance, use_color=use_color
        )
    return report, watch


def known_rows(arguments: Arguments) -> list[dict[str, Any]]:
    g = torch.Generator().manual_seed(0)
    cases = [*made(), *nearly(), *painted()]
    rows = []
    for case in cases[:2] if arguments.quick else cases:
        for noise in NOISES if case.kind != "painted" and not arguments.quick else NOISES[:1]:
            mesh = case.mesh if case.kind == "painted" else noisy(uneven(case.mesh, g), noise, g)
            rotation, size = so3.random(1, generator=g)[0], diameter(mesh.vertices)
            shift = (torch.rand(3, generator=g) * 4 - 2) * size
            placed = replace(mesh, vertices=mesh.vertices @ rotation.mT + shift)
            report, watch = measured(placed, arguments)
            right = is_right(case, report, rotation, shift)
            right &= report.shape_group == (case.shape_group or case.group)
            name = f"{case.name}, noise {noise:.2%}" if noise else case.name
            rows.append(
                row_of(report, len(mesh.faces), watch, kind=case.kind, mesh=name, expected=case.group, right=right)
            )
            print(json.dumps({k: v for k, v in rows[-1].items() if v is not None}, ensure_ascii=False), flush=True)
    return rows


def file_rows(arguments: Arguments) -> list[dict[str, Any]]:
    rows = []
    for path in arguments.files:
        mesh = read_mesh(path)
        for use_color in (True, False):
            report, watch = measured(mesh, arguments, use_color)
            kind = "file, colour" if use_color else "file, shape"
            rows.append(row_of(report, len(mesh.faces), watch, kind=kind, mesh=path.stem, listed=listed(path)))
            print(json.dumps({k: v for k, v in rows[-1].items() if v is not None}, ensure_ascii=False), flush=True)
    return rows


def listed(path: Path) -> str | None:
    """What the dataset says of the model, if it says anything."""
    beside = path.with_name("models_info.json")
    number = path.stem.rpartition("_")[2].lstrip("0")
    if not beside.is_file() or not number:
        return None
    found = read_models_info(beside)[number].symmetries
    return name(found)


def name(found: Symmetries) -> str:
    finite = rotation_group.name_of(found.discrete.R)
    return finite if not found.axes else f"{len(found.axes)} axes, {finite}"


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    rows = (known_rows(arguments) if arguments.made else []) + file_rows(arguments)
    print(table(rows, COLUMNS))
    for kind in dict.fromkeys(r["kind"] for r in rows):
        some = [r for r in rows if r["kind"] == kind]
        times = [r["cpu_seconds"] for r in some]
        right = [r["right"] for r in some if "right" in r]
        told = f", right {sum(right)} of {len(right)}" if right else ""
        print(f"{kind}: median {median(times):.2f} CPU s, greatest {max(times):.2f} CPU s{told}")
    save(arguments.out, "symmetries", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
