"""The photos of a BOP folder, one for each object in each image."""

from collections.abc import Sequence
from functools import partial

import torch

from resect.data.bop.folder import BopFolder
from resect.data.bop.scene import METERS_PER_UNIT, BopImage, BopObject
from resect.data.image import read_mask
from resect.data.object_set import ObjectSet
from resect.data.shared_image import SharedImages
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries
from resect.types import Photo, PhotoSet, Target, Truth, World


def bop_objects(folder: BopFolder) -> dict[str, ObjectSet]:
    """Object id → its photos, ordered by scene and image; images that are missing are left out, as the notes say."""
    shared = SharedImages()
    rows: dict[int, list[int]] = {}
    for k, entry in enumerate(folder.objects):
        if folder.images[entry.scene, entry.image].file is not None:
            rows.setdefault(entry.object_id, []).append(k)
    if not rows:
        fix = "Objects need scene_gt.json and rgb/ or gray/ in each scene."
        raise ResectError(folder.root, "images with objects in them", "none", fix)
    return {str(number): _object_set(folder, number, rows[number], shared) for number in sorted(rows)}


def _object_set(folder: BopFolder, number: int, rows: Sequence[int], shared: SharedImages) -> ObjectSet:
    info = folder.models.get(number)
    entries = [folder.objects[k] for k in rows]
    images = [folder.images[e.scene, e.image] for e in entries]
    names = tuple(_name(folder, image) for image in images)
    poses = folder.cam_from_obj[list(rows)]
    symmetries = info.symmetries if info is not None else Symmetries()
    rotations = None if symmetries.trivial else symmetries.sampled().R
    instances = _instances(entries)

    def load(i: int) -> Photo:
        return _photo(names[i], images[i], entries[i], instances[i], shared)

    photos = PhotoSet(
        root=folder.root,
        format="bop",
        names=names,
        cameras=tuple(image.camera for image in images),
        truth=Truth(SE3(so3.nearest_rotation(poses.R), poses.t), rotations),
        world=World(METERS_PER_UNIT, bounds=None if info is None else info.bounds),
        load=load,
        notes=folder.notes,
    )
    shares = [e.visible for e in entries]
    visible = None if None in shares else torch.tensor(shares, dtype=torch.float64)
    mesh = partial(folder.mesh, number) if folder.mesh_file(number) is not None else None
    across, told = None if info is None else info.diameter, info is not None
    return ObjectSet(str(number), photos, symmetries, across, mesh, visible, symmetries_told=told)


def _name(folder: BopFolder, image: BopImage) -> str:
    assert image.file is not None
    return image.file.relative_to(folder.root).as_posix()


def _instances(entries: Sequence[BopObject]) -> list[int]:
    """Which instance of its kind each object is in its image."""
    count: dict[tuple[int, int], int] = {}
    found = []
    for entry in entries:
        key = (entry.scene, entry.image)
        found.append(count.get(key, 0))
        count[key] = found[-1] + 1
    return found


def _photo(name: str, image: BopImage, entry: BopObject, instance: int, shared: SharedImages) -> Photo:
    assert image.file is not None
    camera = image.camera
    pixels = shared.image(image.file, camera)
    depth = None if image.depth is None else shared.depth(image.depth, image.depth_scale, camera)
    mask = None if entry.mask is None else read_mask(entry.mask, camera.width, camera.height)
    target = Target(str(entry.object_id), instance, box=entry.box, mask=mask)
    return Photo(name, pixels, camera, "scene_camera.json", target, depth)
