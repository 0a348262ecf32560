"""Poses and split of a label list for photos that have cameras of their own, in any format."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resect.data.gather import given_split
from resect.data.scene_csv import SceneRow
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.types import PhotoSet


def labelled(photos: PhotoSet, rows: Sequence[SceneRow], source: Path, said: Sequence[str] = ()) -> PhotoSet:
    """The listed photos of a folder, with the list's poses and split; cameras and units stay the folder's.

    Args:
        photos: of the whole folder.
        rows: of this place; image paths may begin with its name.
        source: the list, for messages.
        said: notes on it.

    Raises:
        ResectError: none of the photos is listed.
    """
    by_name = {row.name.removeprefix(f"{row.scene}/"): row for row in rows}
    order = [i for i, name in enumerate(photos.names) if name in by_name]
    if not order:
        fix = "Image paths are PLACE/PATH, where PATH is relative to the folder."
        raise ResectError(source, f"poses of the photos in {photos.root}", f"others, e.g. {rows[0].name}", fix)
    kept = photos.subset(order)
    found = [by_name[name] for name in kept.names]
    left, lost = len(photos) - len(order), len(rows) - len(order)
    notes = [*photos.notes, f"Poses are from {source.name}.", *said]
    notes += [f"{left} of {len(photos)} photos are not in it and were left out ({photos.root})."] if left else []
    notes += [f"{lost} of its {len(rows)} poses are of photos that are not in {photos.root}."] if lost else []
    truth = replace(kept.truth, cam_from_world=SE3.stack([row.cam_from_world for row in found]))
    return replace(kept, truth=truth, given_split=given_split([row.part for row in found]), notes=tuple(notes))
