"""The landmark prior alone, in the table of `classical.py`; with --foreign, what it says to photos of something else.

    python benchmarks/landmarks.py fox=DIR,every:8 kitchen=DIR,blocks:20:4,POSES --out benchmarks/results/landmarks.json
    python benchmarks/landmarks.py fox=DIR,every:8 kitchen=DIR,blocks:20:4,POSES --foreign

Foreign photos of a set are every fourth photo of the other sets, noise of four grain sizes, black, white, and its own
training photos blurred until no feature is left.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from classical import measure

from resect.data import make_split, read
from resect.data.image import resize_area
from resect.priors.landmarks.fit import fit
from resect.priors.landmarks.prior import Landmarks
from resect.types import Photo, PhotoSet


def answer(photo: Photo, known: Landmarks) -> np.ndarray | None:
    found = known.localize(photo).hypotheses
    return found.cam_from_world[0].matrix().numpy() if len(found) else None


def foreign_photos(own: PhotoSet, others: list[PhotoSet]) -> Iterator[Photo]:
    for other in others:
        for i in range(0, len(other), 4):
            yield other[i]
    camera = own.cameras[0].fit_within(960)
    shape = (camera.height, camera.width)
    g = torch.Generator().manual_seed(0)
    for grain in (1, 4, 16, 64):
        coarse = torch.rand(1, 3, shape[0] // grain, shape[1] // grain, generator=g)
        smooth = torch.nn.functional.interpolate(coarse, shape, mode="bicubic").clamp(0, 1)[0]
        yield Photo(f"noise {grain}", smooth.permute(1, 2, 0).contiguous(), camera)
    for level in (0.0, 1.0):
        yield Photo(f"plain {level}", torch.full((*shape, 3), level), camera)
    for i in range(0, len(own), 10):
        tiny = resize_area(own[i].image, 24, 24).permute(2, 0, 1)[None]
        blurred = torch.nn.functional.interpolate(tiny, shape, mode="bicubic").clamp(0, 1)[0]
        yield Photo(f"blurred {own.names[i]}", blurred.permute(1, 2, 0).contiguous(), camera)


def accepted(own: PhotoSet, rule: str, others: list[PhotoSet]) -> dict[str, object]:
    known = fit(own.subset(make_split(own, rule).train))
    photos, wrong = 0, []
    for photo in foreign_photos(own, others):
        photos += 1
        match = known.localize(photo)
        if len(match.hypotheses):
            wrong.append(f"{photo.name}: {match.inliers} inliers, share {match.share:.2f}")
    return {"foreign_photos": photos, "accepted": len(wrong), "which": wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="NAME=FOLDER,SPLIT[,POSES]")
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sets = {}
    for item in arguments.sets:
        name, _, rest = item.partition("=")
        folder, rule, *poses = rest.split(",")
        sets[name] = (read(folder, poses=Path(poses[0]) if poses else None), rule)
    rows = []
    for name, (data, rule) in sets.items():
        if arguments.foreign:
            row = {"set": name, **accepted(data, rule, [d for n, (d, _) in sets.items() if n != name])}
            print(json.dumps(row), flush=True)
        else:
            row = measure(name, data, rule, fit, answer)
        rows.append(row)
    facts = {"what": "landmarks", "machine": f"{platform.machine()}, {os.cpu_count()} cores", "sets": rows}
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
