"""Posed views of the instances of a category as a set of images with rotations."""

from dataclasses import replace

from resect.data.instances import InstanceSet
from resect.data.rotation_set import RotationSet
from resect.types import Photo, Target


def rotations_of_views(data: InstanceSet) -> RotationSet:
    """Every view of every instance, all of one category; the whole view is looked at, as nobody draws boxes there."""
    photos, category = data.photos, "instance"
    pose = photos.truth.cam_from_world

    def load(i: int) -> Photo:
        return replace(photos[i], target=Target(photos.names[i], category=category))

    return RotationSet(
        "views of instances", photos.names, (category,) * len(photos), pose.R.double(), load,
        translation=pose.t.double(), notes=photos.notes,
    )  # fmt: skip
