"""What a run was begun with, told by a digest: another answer means other data."""

import hashlib

from resect.types import PhotoSet


def photos_digest(data: PhotoSet) -> str:
    """Of the photos' names, cameras and poses."""
    poses = data.truth.cam_from_world.double().to("cpu")
    return hashlib.sha256(repr((data.names, data.cameras)).encode() + poses.matrix().numpy().tobytes()).hexdigest()
