"""The way of fast-iNeRF, whole, by the commands a user has: a detector's poses start iNeRF in a NeRF of a desk.

Specification, fixed before the first number was taken with it:

- The desk: the eight models of the LM-O selection, upright (their z), turned about it uniformly, their middles uniform
  in a disc of 0.4 m, no two nearer than 0.55 of the sum of their diameters (drawn again until so). They stand in a
  bowl of 3.2 m that is flat to 0.7 m, in a random texture of hard-edged patches and noise, 0.7 of its colour
  taken out. Light: from everywhere 0.55, from one side 0.45; no shadows, no highlights.
- Photos as PROPS-NeRF has them (Blender's layout: `camera_angle_x`, OpenGL cameras, no transparency), 640×480, 58.5°
  wide, in metres: `--photos` to learn from, `--held-out` in `val`. Each looks at the middle of the desk, off by
  N(0, 4 cm) an axis, from 0.65 to 1.05 m, 30 to 65° above it, from all around, rolled by N(0, 3°); noise of 0.01.
- The detector: `--detector`, of the same models, learned from drawn photos (`posecnn.py --sets lmo`): it never saw the
  desk. The commands: `fit nerf`, `fit object-frames`, `estimate --refiner inerf` with 150 steps of 512 rays, as a CPU
  affords (published: 300 of 2048); and the other way, `fit field --nerf` and `estimate` from the same frames with the
  default refiner. Errors are of all held-out photos: 5°5cm, medians; a photo without an answer counts as a miss.
  "start" is the guess's likeliest pose by itself.

A scene that is there is used again; a fit that was cut off goes on.

    RESECT_TEST_DATA=DIR python benchmarks/desk.py --detector runs/posecnn/lmo-seed0 [--cache runs/benchmarks]
"""

import json
import math
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from posecnn import lmo_meshes
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads
from torch import Tensor

import resect
from resect.artifact import write_atomic, write_json
from resect.data import read
from resect.data.image import png_bytes
from resect.evaluation.score import score
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.conventions import flip_opengl
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.mesh_edit import concatenated
from resect.geometry.se3 import SE3
from resect.metrics.pose import median, pose_errors
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.mesh.shade import Light
from resect.synthesis.backdrop import draw_background

SIDE, CELLS, FLAT = 3.2, 400, 0.7
FADED = 0.7
RING, NEAREST = 0.4, 0.55
LIGHT = Light((0.55,) * 3, (0.45,) * 3, (0.4, 0.3, 0.866))
COLUMNS = {
    "what": "what", "photos": "photos", "answers": "answers", "5deg_5cm": "5°5cm", "median_deg": "median°",
    "median_m": "median m", "accepted_wrong": "accepted, wrong", "seconds": "s a photo",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    detector: Path
    """Folder of a fitted PoseCNN of LM-O's models."""
    photos: int = 60
    """To learn from."""
    held_out: int = 12
    """To find."""
    cache: Path = CACHE
    """Folder of photos, scenes and answers, used again."""
    seed: int = 0
    """Of the desk, the photos and all that is fitted."""
    threads: int = 0
    """PyTorch's threads; 0: all cores."""
    out: Path | None = RESULTS / "desk.json"
    """JSON file to write."""


def desk(generator: torch.Generator) -> Mesh:
    """Everything as one mesh, metres."""
    parts, placed = [bowl(generator)], list[tuple[Tensor, float]]()
    for mesh in lmo_meshes()[0].values():
        size = diameter(mesh.vertices) / 1000
        while True:
            u = torch.rand(3, generator=generator)
            middle = RING * u[0].sqrt() * torch.stack([(2 * math.pi * u[1]).cos(), (2 * math.pi * u[1]).sin()])
            if all(float((middle - m).norm()) > NEAREST * (size + s) for m, s in placed):
                break
        placed.append((middle, size))
        turn = so3.exp(torch.tensor([0.0, 0.0, 2 * math.pi * float(u[2])]))
        at = mesh.vertices / 1000 @ turn.mT
        low, high = at.amin(0), at.amax(0)
        foot = torch.cat([(low + high)[:2] / 2, low[2:]])
        parts.append(Mesh(at - foot + torch.cat([middle, torch.zeros(1)]), mesh.faces, mesh.colors))
    return concatenated(parts)


def bowl(generator: torch.Generator) -> Mesh:
    """What the objects stand in."""
    line = torch.linspace(-SIDE / 2, SIDE / 2, CELLS)
    x, y = torch.meshgrid(line, line, indexing="xy")
    z = 1.5 * ((x * x + y * y).sqrt() - FLAT).clamp_min(0) ** 2
    k = torch.arange(CELLS * CELLS).view(CELLS, CELLS)
    a, b, c, d = (q.reshape(-1) for q in (k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]))
    faces = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    texture = draw_background((CELLS, CELLS), (), generator).reshape(-1, 3)
    colors = FADED * texture.mean(1, keepdim=True) + (1 - FADED) * texture
    return Mesh(torch.stack([x, y, z], -1).reshape(-1, 3), faces, colors)


def cameras(count: int, generator: torch.Generator) -> SE3:
    """`cam_from_world` of photos."""
    u = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    around = 2 * math.pi * (torch.arange(count, dtype=torch.float64) + torch.rand(count, generator=generator)) / count
    rise, away = torch.deg2rad(30 + 35 * u[:, 0]), 0.65 + 0.4 * u[:, 1]
    ring = torch.stack([around.cos() * rise.cos(), around.sin() * rise.cos(), rise.sin()], -1)
    middle = torch.tensor([0.0, 0.0, 0.05], dtype=torch.float64)
    aim = middle + 0.04 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    seen = look_at(middle + away[:, None] * ring, aim)
    roll = torch.zeros(count, 3, dtype=torch.float64)
    roll[:, 2] = math.radians(3) * torch.randn(count, generator=generator, dtype=torch.float64)
    return SE3(so3.exp(roll), torch.zeros_like(seen.t)) @ seen


def draw(folder: Path, args: Arguments) -> None:
    """The photos in PROPS-NeRF's layout; the file that is read first comes last."""
    generator = torch.Generator().manual_seed(args.seed)
    camera = Camera.from_fov(math.radians(58.5), 640, 480)
    scene = MeshScene(desk(generator), light=LIGHT)
    for part, count in (("val", args.held_out), ("train", args.photos)):
        poses, frames = cameras(count, generator), []
        world_from_cam = flip_opengl(poses.inverse(), "world_from_cam").matrix()
        for i in range(count):
            image = scene.render(camera, poses[i : i + 1].float()).rgb
            assert image is not None
            noisy = image.view(camera.height, camera.width, 3)
            noisy = (noisy + 0.01 * torch.randn(noisy.shape, generator=generator)).clamp(0, 1)
            write_atomic(folder / part / f"r_{i}.png", png_bytes((noisy * 255).round().byte()))
            frames.append({"file_path": f"./{part}/r_{i}", "transform_matrix": world_from_cam[i].tolist()})
        write_json(folder / f"transforms_{part}.json", {"camera_angle_x": math.radians(58.5), "frames": frames})


def run(*words: object) -> dict[str, Any]:
    """A command of resect; what it said as JSON. Its progress goes to the screen."""
    print("resect", *words, flush=True)
    command = [sys.executable, "-m", "resect", *map(str, words), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):  # 3: photos without an answer
        raise SystemExit(done.returncode)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def starts(folder: Path, frames: Path) -> dict[str, Any]:
    """The guess by itself."""
    photos, prior = read(folder), resect.load(frames, role="prior")
    asked = photos.given_split.test if photos.given_split else ()
    errors: list[tuple[float, float]] = []
    for i in asked:
        guess = prior.propose(replace(photos[i], target=None), 64, torch.Generator().manual_seed(0)).best(1)
        truth = photos.truth.cam_from_world[i : i + 1]
        turn, shift = pose_errors(guess.cam_from_world, truth) if len(guess) else (math.inf, math.inf)
        errors.append((float(turn), float(shift)))
    return {"what": "start", **facts(errors)}


def facts(errors: list[tuple[float, float]]) -> dict[str, Any]:
    """Of all photos: degrees and metres, infinite where there is no answer."""
    joint = sum(a < 5 and b < 0.05 for a, b in errors)
    return {
        "photos": len(errors),
        "answers": sum(math.isfinite(a) for a, _ in errors),
        "5deg_5cm": joint / len(errors),
        "median_deg": median(torch.tensor([a for a, _ in errors]).double()),
        "median_m": median(torch.tensor([b for _, b in errors]).double()),
    }


def answers(what: str, folder: Path, place: Path, frames: Path, *more: object) -> dict[str, Any]:
    """Estimates of all held-out photos by a place and the frames of the objects, scored."""
    out = place.with_name(place.name + "-answers")
    run("estimate", folder / "val", "--scene", place, "--prior", frames, "--out", out, "--overwrite", *more)
    found = score(out / "poses.csv", read(folder))
    errors = [(p.rotation_deg, p.translation) for p in found.photos]
    wrong = sum(p.ok and not (p.rotation_deg < 5 and p.translation < 0.05) for p in found.photos)
    spent = [p.seconds for p in found.photos if p.seconds is not None]
    return {"what": what, **facts(errors), "accepted_wrong": wrong, "seconds": statistics.median(spent or [math.nan])}


def main() -> None:
    """Draws, fits, finds, prints, writes."""
    args = tyro.cli(Arguments, description=__doc__, config=(tyro.conf.FlagConversionOff,))
    use_threads(args.threads)
    home = args.cache / f"desk-seed{args.seed}"
    photos, nerf, field = home / "photos", home / "nerf", home / "field"
    if not (photos / "transforms_train.json").is_file():
        draw(photos, args)
    common = ("--seed", args.seed, "--threads", args.threads)
    frames, spent = nerf / "priors" / "object-frames", {}
    commands = {
        "nerf": ("nerf", photos, "--out", nerf, "--priors"),
        "object-frames": ("object-frames", photos, "--scene", nerf, "--detector", args.detector),
        "field": ("field", photos, "--nerf", nerf, "--out", field, "--priors"),
    }
    for name, words in commands.items():
        if name != "object-frames" or not (frames / "artifact.json").is_file():
            with Stopwatch() as watch:
                run("fit", *words, *common)
            spent[name] = watch.wall
    inerf = ("--refiner", "inerf", "--inerf.steps", 150, "--inerf.rays", 512)
    rows = [
        starts(photos, frames),
        answers("inerf on the nerf", photos, nerf, frames, *inerf, *common),
        answers("ours on the field", photos, field, frames, *common),
    ]
    print(table(rows, COLUMNS))
    save(args.out, "desk", args, rows, fit_seconds=spent)


if __name__ == "__main__":
    main()
