"""What is asked for in a photo of known objects: the flags --box, --mask, --contour, --detections and --start."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from resect.cli.knowledge import Sigma, read_starts
from resect.cli.output import say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.data.detections import Detections
    from resect.known_objects import KnownObjects
    from resect.types import Hypotheses, Photo

_WAYS = ("box", "mask", "contour", "detections")
_MOST = 1000


@dataclass(frozen=True)
class Asking:
    """How the objects of a photo are pointed at; at most one of the first four, else a detector finds them.

    Attributes:
        box: "LEFT,TOP,RIGHT,BOTTOM".
        mask: an image, or a folder with one named like each photo.
        contour: a text file.
        detections: a file of boxes or masks, or a folder of masks.
        start: a pose, or a pose file.
        sigma: of the start: degrees, part of the object's diameter.
        detector: folder of a fitted detector, asked where nothing else is said.
        instances: most of each object that it is asked for; all that it finds where not said.
        placed: whether a prior tells from the whole photo where the object stands, so that nothing need be said.
    """

    box: str | None = None
    mask: Path | None = None
    contour: Path | None = None
    detections: Path | None = None
    start: Path | None = None
    sigma: tuple[float, float] = (10.0, 0.1)
    detector: Path | None = None
    instances: int | None = None
    placed: bool = False

    @property
    def detects(self) -> bool:
        """Whether the detector says what is asked for."""
        return self.detector is not None and self.start is None and all(getattr(self, w) is None for w in _WAYS)

    def check(self, objects: "KnownObjects", photos: int) -> None:
        """Errors before any work."""
        given = [f"--{way}" for way in _WAYS if getattr(self, way) is not None]
        if len(given) > 1:
            raise ResectError(given[1], "one way to point at the object", " and ".join(given))
        for way in given:
            file = getattr(self, way[2:])
            if isinstance(file, Path) and not file.exists():
                raise ResectError(way, "a file or a folder", f"nothing at {file}")
        if self.detections is None and not self.detects and len(objects.files) > 1:
            fix = "Give one mesh, or --detections, or a detector as --prior, which name the object of each box."
            if self.detector is not None:
                said = given[0] if given else "--start"
                fix = f"{said} points at one object: give one mesh, or leave {said} out."
            raise ResectError("--scene", "one object", f"{len(objects.files)}: {', '.join(objects.files)}", fix)
        if self.box is not None:
            _numbers(self.box)
        single = next((w for w in ("box", "contour") if getattr(self, w) is not None), None)
        one_mask = self.mask is not None and not self.mask.is_dir()
        if photos > 1 and (single or one_mask):
            fix = "Give --detections, a folder of masks, or one photo at a time."
            raise ResectError(f"--{single or 'mask'}", "one photo", f"{photos}", fix)

    def reader(self, objects: "KnownObjects") -> "Callable[[Photo, Path], list[tuple[Photo, Hypotheses | None]]]":
        """From a photo and its file to what is asked for in it, each with a start where one was given."""
        if self.detector is not None and self.detects:
            return _detecting(self.detector, objects, self.instances)
        found = self._read_detections(objects)
        starts = self._read_starts(objects)

        def ask(photo: "Photo", file: Path) -> "list[tuple[Photo, Hypotheses | None]]":
            asked = self._pointed(photo, file, objects) if found is None else _detected(photo, file, found, objects)
            return [(a, None if starts is None else starts(photo.name)) for a in asked]

        return ask

    def _read_detections(self, objects: "KnownObjects") -> "Detections | None":
        from resect.data.detections import read_detections

        return None if self.detections is None else read_detections(self.detections, next(iter(objects.files)))

    def _read_starts(self, objects: "KnownObjects") -> "Callable[[str], Hypotheses] | None":
        if self.start is None:
            return None
        if self.detections is not None:
            fix = "A start is of one object: give --box, --mask, --contour or nothing with it."
            raise ResectError("--start", "one of --start and --detections", "both", fix)
        from resect.geometry.mesh import diameter
        from resect.known_objects import middle_of

        mesh = objects.mesh(next(iter(objects.files)))
        sigma = Sigma(self.sigma[0], self.sigma[1] * diameter(mesh.vertices), middle_of(mesh))
        return read_starts(self.start, sigma)

    def _pointed(self, photo: "Photo", file: Path, objects: "KnownObjects") -> "list[Photo]":
        from resect.data.target import target_from_box, target_from_contour, target_from_mask, with_target
        from resect.types import Target

        object_id = next(iter(objects.files))
        if self.box is not None:
            target = target_from_box(photo, _numbers(self.box), object_id, "--box")
        elif self.mask is not None:
            target = target_from_mask(photo, mask_of(file, self.mask), object_id)
        elif self.contour is not None:
            target = target_from_contour(photo, self.contour, object_id)
        elif self.start is not None:
            target = Target(object_id)
        elif photo.alpha is not None and not bool((photo.alpha > 0.5).all()):
            target = target_from_mask(photo, photo.alpha > 0.5, object_id, f"{photo.name}: what is not transparent")
        elif self.placed:
            target = Target(object_id)
        else:
            fix = "Give --box LEFT,TOP,RIGHT,BOTTOM, --mask, --contour or --detections; or a pose as --start."
            raise ResectError(photo.name, "something that says where the object is", "neither a box nor a start", fix)
        return [with_target(photo, target)]


def _detecting(
    folder: Path, objects: "KnownObjects", instances: int | None
) -> "Callable[[Photo, Path], list[tuple[Photo, Hypotheses | None]]]":
    """From a photo to what a fitted detector finds in it; the photo itself where it finds nothing."""
    import torch

    from resect.evaluation.pose_file import target_name
    from resect.geometry.se3 import SE3
    from resect.known_objects import find_objects
    from resect.types import Hypotheses
    from resect.zoo import load

    detector = load(folder, role="prior")
    unknown = [name for name in objects.files if name not in detector.names]
    if len(unknown) == len(objects.files):
        fix = "Say which mesh is which: --scene ID=MESH."
        raise ResectError("--scene", f"meshes of {', '.join(detector.names)}", ", ".join(unknown[:8]), fix)

    def ask(photo: "Photo", file: Path) -> "list[tuple[Photo, Hypotheses | None]]":
        if photo.camera is None:
            return [(photo, None)]
        nothing = Hypotheses(SE3.identity(0), torch.zeros(0))
        found = find_objects(objects, detector, photo)
        if instances is not None:
            found = [(p, h) for p, h in found if p.target is not None and p.target.instance < instances]
        say(f"{file}: {len(found)} objects found, {', '.join(target_name(p.target) for p, _ in found) or 'none'}")
        return [*found] or [(photo, nothing)]

    return ask


def _detected(photo: "Photo", file: Path, detections: "Detections", objects: "KnownObjects") -> "list[Photo]":
    from resect.priors.detections import GivenDetections

    # Found by the whole path: the scene's number stands in a folder, and the photo's name is short.
    whole = replace(photo, name=file.absolute().as_posix())
    asked = GivenDetections(detections, tuple(objects.files)).detect(whole, _MOST)
    found = [replace(p, name=photo.name) for p, _ in asked]
    there = detections.of(whole.name)
    if not there:
        fix = "They are found by the photo's name, or by its number and its scene's."
        raise ResectError(detections.path, f"detections in '{photo.name}'", "none", fix)
    if not found:
        ids = ", ".join(sorted({d.object_id for d in there})[:8])
        fix = "Say which mesh is which: --scene ID=MESH."
        raise ResectError(detections.path, f"detections of {', '.join(objects.files)}", f"those of {ids}", fix)
    return found


def _numbers(box: str) -> tuple[float, ...]:
    try:
        found = tuple(float(x) for x in box.split(","))
    except ValueError:
        found = ()
    if len(found) != 4 or not all(map(math.isfinite, found)):
        raise ResectError("--box", "LEFT,TOP,RIGHT,BOTTOM in pixels", repr(box))
    return found


def tells_position(prior: str) -> bool:
    """Whether the folder of a prior holds one that tells from a whole photo where an object stands."""
    from resect.artifact import kind_in, read_facts

    folder = Path(prior)
    return kind_in(folder) != "" and bool(read_facts(folder)["settings"].get("translation"))


def mask_of(photo: Path, mask: Path) -> Path:
    """The mask of a photo: the file that was given, or the one of its name in the folder that was."""
    if not mask.is_dir():
        return mask
    found = sorted(p for p in mask.iterdir() if p.stem == photo.stem)
    if len(found) != 1:
        raise ResectError(mask, f"one mask named '{photo.stem}'", f"{len(found) or 'none'}")
    return found[0]
