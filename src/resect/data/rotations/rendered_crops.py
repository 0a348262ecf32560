"""Render for CNN's crops of ShapeNet models, which PASCAL3D+ is often trained with.

    <root>/syn_images_cropped_bkg_overlaid/<synset>/<model>/<synset>_<model>_a<A>_e<E>_t<T>_d<D>.png

Azimuth, elevation and tilt in whole degrees. A crop is taken for a photo from four model sizes away with a focal length
of 3000 pixels and the thing in its middle, as published; tilts have the other sign than PASCAL3D+'s.
"""

import re
from pathlib import Path

from resect.data.image import read_header, read_image
from resect.data.rotation_set import RotationSet
from resect.data.rotations.arrays import PASCAL_KINDS
from resect.data.rotations.pascal3d import pascal_pose
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo, Target

FOLDER = "syn_images_cropped_bkg_overlaid"
_SYNSETS = dict(
    zip(
        (
            *("02691156", "02834778", "02858304", "02876657", "02924116", "02958343"),
            *("03001627", "04379243", "03790512", "04256520", "04468005", "03211117"),
        ),
        PASCAL_KINDS,
        strict=True,
    )
)
_NAME = re.compile(r"_a(\d{1,3})_e(-?\d{1,3})_t(-?\d{1,3})_d-?\d+\.png$")
_FOCAL, _AWAY = 3000.0, 4.0


def read_rendered_crops(root: Path) -> RotationSet:
    """Reads all crops of the twelve kinds.

    Raises:
        ResectError: no crops, or a name without angles.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    files = [p for synset in _SYNSETS for p in sorted((folder / synset).glob("*/*.png"))]
    if not files:
        fix = "Unpack the rendered crops there, or learn from --split train."
        raise ResectError(folder, "SYNSET/MODEL/*.png", "none", fix)
    angles = []
    for path in files:
        match = _NAME.search(path.name)
        if match is None:
            fix = "Its angles are taken from its name; remove what is not one of the crops."
            raise ResectError(path, "a name that ends in _a…_e…_t…_d….png", "another name", fix)
        angles.append([float(text) for text in match.groups()])
    pose = SE3.stack([pascal_pose(a, e, -t, _AWAY) for a, e, t in angles])
    names = tuple(path.relative_to(root).as_posix() for path in files)
    kinds = tuple(_SYNSETS[path.parent.parent.name] for path in files)

    def load(i: int) -> Photo:
        image, alpha = read_image(files[i])
        header = read_header(files[i])
        w, h = float(header.width), float(header.height)
        camera = Camera(_FOCAL, _FOCAL, w / 2, h / 2, header.width, header.height)
        return Photo(
            names[i], image, camera, "made", Target(kinds[i], category=kinds[i], box=(0.0, 0.0, w, h)), alpha=alpha
        )

    return RotationSet("rendered crops", names, kinds, pose.R, load, translation=pose.t)
