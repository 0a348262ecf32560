"""Photos of known objects (BOP, PoseCNN) as a set of images with rotations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.mask import box_of
from resect.data.object_set import ObjectSet
from resect.data.rotation_set import RotationSet
from resect.types import Photo


def rotations_of(objects: Mapping[str, ObjectSet], least_visible: float = 0.1) -> RotationSet:
    """Every photo of every object; the object's id is its category.

    Args:
        objects: as `data.objects.read_objects` gives them.
        least_visible: photos that show less of the object are left out, where it is known how much they show.
    """
    sets = [one.seen(least_visible) for one in objects.values()]
    place: Sequence[tuple[int, int]] = [(k, i) for k, one in enumerate(sets) for i in range(len(one))]
    poses = [one.photos.truth.cam_from_world for one in sets if len(one)]
    groups = [one.symmetries.rotations() for one in sets]
    rotation = torch.cat([p.R.double() for p in poses]) if poses else torch.zeros(0, 3, 3, dtype=torch.float64)
    translation = torch.cat([p.t.double() for p in poses]) if poses else torch.zeros(0, 3, dtype=torch.float64)

    def load(i: int) -> Photo:
        k, row = place[i]
        photo = sets[k].photos[row]
        if photo.target is None:
            return photo
        target = replace(photo.target, category=sets[k].object_id)
        if target.box is None and target.mask is not None and bool(target.mask.any()):
            target = replace(target, box=box_of(target.mask))
        return replace(photo, target=target)

    def equivalents(i: int) -> Float[Tensor, "s 3 3"]:
        return rotation[i] @ groups[place[i][0]]

    return RotationSet(
        "objects",
        tuple(f"{sets[k].object_id}:{sets[k].photos.names[i]}" for k, i in place),
        tuple(sets[k].object_id for k, _ in place),
        rotation,
        load,
        equivalents=equivalents if all(one.symmetries_told for one in sets) else None,
        translation=translation,
        notes=tuple(dict.fromkeys(note for one in sets for note in one.photos.notes)),
    )
