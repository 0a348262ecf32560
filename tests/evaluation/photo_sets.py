"""Small photo sets and estimators for the tests of this room."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.look_at import view_sphere
from resect.geometry.se3 import SE3
from resect.types import Cost, Estimate, Hypotheses, Photo, PhotoSet, Split, Status, Step, Truth, World

CAMERA = Camera(30.0, 30.0, 16.0, 12.0, 32, 24)


def make_photos(count: int = 8, *, meters_per_unit: float | None = None, broken: tuple[int, ...] = ()) -> PhotoSet:
    """Views of the origin from a sphere of radius 2; photo i is a smooth picture that holds its number in red."""
    truth = view_sphere(count, 2.0, dtype=torch.float64)
    names = tuple(f"images/{i:04d}.png" for i in range(count))

    def load(i: int) -> Photo:
        if i in broken:
            raise ResectError(names[i], "a whole image", "a truncated one")
        ramp = torch.linspace(0, 1, CAMERA.width).expand(CAMERA.height, CAMERA.width)
        image = torch.stack([torch.full_like(ramp, i / count), ramp, 1 - ramp], -1)
        return Photo(names[i], image, CAMERA, "transforms.json")

    return PhotoSet(
        Path("data"), "test", names, (CAMERA,) * count, Truth(truth), World(meters_per_unit=meters_per_unit), load
    )


def split_of(photos: PhotoSet, every: int = 2) -> Split:
    test = tuple(i for i in range(len(photos)) if i % every == 0)
    return Split(tuple(i for i in range(len(photos)) if i % every), test, f"every:{every}")


def answer(
    pose: SE3, *, status: Status = Status.OK, information: torch.Tensor | None = None, source: str = "retrieval:a"
) -> Estimate:
    """An estimate with one or more modes and a short trace."""
    poses = pose if pose.t.ndim == 2 else pose[None]
    count = len(poses)
    weight = torch.full((count,), 1 / count).log()
    modes = Hypotheses(poses, weight, information, source=(source,) * count)
    trace = (Step("start", poses, torch.ones(count)), Step("polish", poses, torch.zeros(count)))
    cost = Cost(2.0, 512, (("prior", 1.5), ("refine", 3.0)))
    return Estimate(status, modes if status.ok else None, trace, cost, CAMERA, "transforms.json", loss=(0.1, 0.2))


class FromPixels:
    """Answers from the image alone: whatever it says cannot depend on the truth."""

    def __init__(self, change: Callable[[Photo, Estimate], Estimate] | None = None) -> None:
        self.change, self.calls = change, 0

    def estimate(self, photo: Photo) -> Estimate:
        self.calls += 1
        red = photo.image[0, 0, 0].double()
        rotation = so3.exp(torch.stack([red, 0.5 * red, -red]))
        estimate = answer(SE3(rotation, torch.stack([red, red, 2 + red])))
        return estimate if self.change is None else self.change(photo, estimate)


def shuffled(photos: PhotoSet, seed: int = 0) -> PhotoSet:
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(seed))
    return replace(photos, truth=replace(photos.truth, cam_from_world=photos.truth.cam_from_world[order]))
