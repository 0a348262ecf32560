"""Are photos of objects what they seem? Each model is laid over its photos by the true poses, and must fill its box."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from resect.data.agreement import Finding
from resect.data.object_set import ObjectSet
from resect.geometry.mesh import Mesh
from resect.types import Photo

_LOOKED_AT = 20
_CLEAR = 0.95
_WRONG = 0.25


@dataclass(frozen=True)
class ObjectReport:
    """What is known of one object.

    Attributes:
        photos: how many instances in images.
        diameter: world units, if known.
        symmetries: how many discrete motions, and how many axes.
        has_mesh: whether its mesh can be read.
        box_px: median over the clear photos of the largest gap between the edges of the box of the projected model and
            those of the visible box; `None` without models or boxes.
        box_share: the same in shares of the visible box's diagonal.
    """

    photos: int
    diameter: float | None
    symmetries: tuple[int, int]
    has_mesh: bool
    box_px: float | None
    box_share: float | None


@dataclass(frozen=True)
class ObjectsReport:
    """What `check_objects` found: the objects by id, and sentences."""

    objects: Mapping[str, ObjectReport]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong (warnings are allowed)."""
        return all(f.level != "error" for f in self.findings)

    def as_json(self) -> dict[str, Any]:
        """What `resect data check --json` prints."""
        found = {key: vars(row) for key, row in self.objects.items()}
        return {"ok": self.ok, "objects": found, "findings": [vars(f) for f in self.findings]}

    def text(self) -> str:
        """A row an object, then the sentences."""
        lines = ["object                photos  diameter  symmetries  box agrees within"]
        for key, row in self.objects.items():
            across = "?" if row.diameter is None else f"{row.diameter:.4g}"
            turns = f"{row.symmetries[0]}" + (f" + {row.symmetries[1]} axes" if row.symmetries[1] else "")
            gap = "?" if row.box_px is None else f"{row.box_px:.1f} px"
            lines.append(f"{key:<20} {row.photos:>7}  {across:>8}  {turns:>10}  {gap}")
        return "\n".join([*lines, "", *(f"{f.level:<8} {f.sentence}" for f in self.findings)])


def check_objects(objects: Mapping[str, ObjectSet]) -> ObjectsReport:
    """Looks at some photos of each object that show it nearly whole."""
    rows = {key: _row(found) for key, found in objects.items()}
    findings = []
    for key, row in rows.items():
        if row.box_share is not None and row.box_share > _WRONG:
            findings.append(Finding("error", _gap_sentence(key, row)))
    notes = dict.fromkeys(note for found in objects.values() for note in found.photos.notes)
    findings += [Finding("note", note) for note in notes]
    if any(row.box_px is not None for row in rows.values()) and not any(f.level == "error" for f in findings):
        findings.append(Finding("ok", "Models, poses, cameras and boxes agree."))
    return ObjectsReport(rows, tuple(findings))


def _gap_sentence(key: str, row: ObjectReport) -> str:
    gap = f"its model, projected by the true poses, misses the visible box by {row.box_px:.0f} pixels (median)"
    return f"Object {key}: {gap}. Are mesh and poses in the same unit and frame, and the camera of this image size?"


def _row(objects: ObjectSet) -> ObjectReport:
    clear = objects.seen(_CLEAR)
    every = range(0, len(clear), max(1, -(-len(clear) // _LOOKED_AT)))
    mesh = objects.load_mesh() if objects.load_mesh is not None else None
    gaps = [] if mesh is None else [g for i in every if (g := _gap(clear, i, mesh)) is not None]
    middle = torch.stack(gaps).median(0).values.tolist() if gaps else [None, None]
    symmetries = (len(objects.symmetries.discrete), len(objects.symmetries.axes))
    return ObjectReport(len(objects), objects.diameter, symmetries, mesh is not None, middle[0], middle[1])


def _gap(objects: ObjectSet, i: int, mesh: Mesh) -> Tensor | None:
    """Largest gap between edges in pixels, and in diagonals of the visible box; edges cut by the image agree."""
    photo: Photo = objects.photos[i]
    if photo.target is None or photo.target.box is None:
        return None
    camera = photo.known_camera()
    placed = objects.photos.truth.cam_from_world[i].double().apply(mesh.vertices.double())
    pixels, _ = camera.project(placed)
    size = torch.tensor([camera.width, camera.height], dtype=torch.float64)
    edges = torch.cat([pixels.amin(0).clamp_min(0), torch.minimum(pixels.amax(0), size)])
    box = torch.tensor(photo.target.box, dtype=torch.float64)
    gap = (edges - box).abs().max()
    return torch.stack([gap, gap / (box[2:] - box[:2]).norm()])
