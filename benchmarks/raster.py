"""What looking at a mesh costs: the z-buffer, with silhouettes, with colour and its derivatives; and that it is right.

Specification, fixed before the first number was taken with it:

- The mesh: a sphere of radius 1 cut into 5120 faces (an icosphere), vertex colours. 128 × 128 pixels, horizontal field
  of view 0.8 rad, 16 poses: directions uniform on the sphere (seed 0), distance 3, up as `look_at` chooses it; the
  sphere covers about 55 % of the image. A second mesh that hides parts of itself: a torus of 4096 faces.
- Paths: "fused" (numba) and "torch". All poses in one call, float32 poses, no gradient kept. A row is the median over
  `--repeats` calls after one that warms up, divided by 16: milliseconds a pose, wall clock and processor time.
- "z-buffer": vertices to the camera, then face, depth and barycentric coordinates at every pixel.
- "silhouettes": the z-buffer, then exact coverage of every pixel and its six derivatives by the pose
  (`linearize(…, "alpha")`). Its ratio to the z-buffer is `over_z_buffer`.
- "colour": `render(…, ("rgb",))`; "colour, derivatives": `linearize(…, "rgb")`; both with contours.
- Equality: faces found by each path against a brute force (Möller and Trumbore's intersection of every ray with every
  face, float64) on the first three poses of both meshes, and the two paths against each other on all poses: pixels
  whose face differs, which must be none.
- Goals, with one or two threads: z-buffer ≤ 2 ms a pose, silhouettes ≤ 2 × the z-buffer.

    python benchmarks/raster.py [--repeats 15] [--threads 1 2]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from record import RESULTS, Stopwatch, save, table, use_threads
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import icosphere, torus
from resect.scenes.mesh.look import Look, Settings
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.mesh.surface import Surface

POSES, DISTANCE, BRUTE = 16, 3.0, 3
COLUMNS = {
    "mesh": "mesh", "path": "path", "threads": "threads", "what": "what", "ms": "ms/pose", "cpu_ms": "cpu ms/pose",
    "over_z_buffer": "over z-buffer", "differ": "pixels that differ",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """How often, and with how many threads."""

    repeats: int = 15
    """Calls that are timed."""
    threads: tuple[int, ...] = (1, 2)
    """Each with so many threads."""
    seed: int = 0
    """Of the poses."""
    out: Path | None = RESULTS / "raster.json"
    """JSON file to write."""
    quick: bool = False
    """Few faces and pixels, to see whether the script runs."""


def meshes(quick: bool) -> dict[str, Mesh]:
    found = {"sphere": icosphere(1.0, 2 if quick else 4), "torus": torus(0.7, 0.3, *((16, 8) if quick else (64, 32)))}
    return {name: replace(m, colors=0.5 + 0.4 * torch.sin(3 * m.vertices)) for name, m in found.items()}


def poses(seed: int) -> SE3:
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(POSES, 3, generator=generator, dtype=torch.float64)
    return look_at(DISTANCE * torch.nn.functional.normalize(direction, dim=-1), torch.zeros(POSES, 3).double())


def brute_force(mesh: Mesh, camera: Camera, cam_from_world: SE3) -> Tensor:
    """(H, N) nearest face of every ray, −1 without; Möller and Trumbore, "Fast, minimum storage ray/triangle
    intersection", 1997; every ray with every face."""
    rays = camera.rays(camera.pixels(dtype=torch.float64))
    corners = cam_from_world.apply(mesh.vertices.double().expand(len(cam_from_world), -1, -1))[:, mesh.faces]
    return torch.stack([torch.cat([_nearest(part, c) for part in rays.split(128)]) for c in corners])


def _nearest(rays: Tensor, corners: Tensor) -> Tensor:
    """The camera is at 0; every dot product of the paper is one of the ray with a vector of the face."""
    a, b, c = corners.unbind(1)
    one, two = b - a, c - a
    q = torch.linalg.cross(-a, one)
    det = rays @ torch.linalg.cross(two, one).T
    u, v, t = rays @ torch.linalg.cross(two, -a).T / det, rays @ q.T / det, (q * two).sum(-1) / det
    least, face = torch.where((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0), t, torch.inf).min(1)
    return torch.where(least.isfinite(), face, -1)


def z_buffer(surface: Surface, camera: Camera, cam_from_world: SE3, fused: bool) -> Tensor:
    look = Look.at(surface, camera, cam_from_world, None, Settings(fused=fused))
    return look.hits.face.unflatten(0, (len(cam_from_world), -1))


def timed(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median milliseconds a pose, wall clock and processor."""
    call()
    wall, cpu = [], []
    for _ in range(repeats):
        with Stopwatch() as watch:
            call()
        wall.append(watch.wall)
        cpu.append(watch.cpu)
    return 1000 * median(wall) / POSES, 1000 * median(cpu) / POSES


def calls_of(mesh: Mesh, camera: Camera, seen_from: SE3, fused: bool) -> dict[str, Callable[[], object]]:
    scene, surface = MeshScene(mesh, fused=fused), Surface.of(mesh, torch.float32)
    return {
        "z-buffer": lambda: z_buffer(surface, camera, seen_from, fused),
        "silhouettes": lambda: scene.linearize(camera, seen_from, None, "alpha"),
        "colour": lambda: scene.render(camera, seen_from),
        "colour, derivatives": lambda: scene.linearize(camera, seen_from, None, "rgb"),
    }


def timings(name: str, mesh: Mesh, camera: Camera, seen_from: SE3, repeats: int, threads: int) -> list[dict[str, Any]]:
    use_threads(threads)
    rows = []
    for path in ("fused", "torch"):
        base = 0.0
        for what, call in calls_of(mesh, camera, seen_from.float(), path == "fused").items():
            ms, cpu_ms = timed(call, repeats)
            base = base or ms
            row = {"mesh": name, "path": path, "threads": threads, "what": what, "ms": ms, "cpu_ms": cpu_ms}
            rows.append(row | {"over_z_buffer": ms / base})
    return rows


def equality(name: str, mesh: Mesh, camera: Camera, seen_from: SE3) -> list[dict[str, Any]]:
    surface = Surface.of(mesh, torch.float64)
    fused, plain = (z_buffer(surface, camera, seen_from, path) for path in (True, False))
    truth = brute_force(mesh, camera, seen_from[:BRUTE])
    found = {"fused against brute force": (fused[:BRUTE], truth), "torch against brute force": (plain[:BRUTE], truth)}
    found["fused against torch"] = (fused, plain)
    return [{"mesh": name, "path": what, "differ": int((a != b).sum())} for what, (a, b) in found.items()]


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    side = 32 if arguments.quick else 128
    camera, seen_from = Camera.from_fov(0.8, side, side), poses(arguments.seed)
    rows: list[dict[str, Any]] = []
    for name, mesh in meshes(arguments.quick).items():
        rows += equality(name, mesh, camera, seen_from)
        for threads in arguments.threads:
            rows += timings(name, mesh, camera, seen_from, arguments.repeats, threads)
    print(table(rows, COLUMNS))
    save(arguments.out, "raster", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
