"""Datasets that resect reads and where they are: what `resect data list` prints and `resect data get` fetches.

Sizes and checksums marked as pinned were published by people who downloaded the same addresses; where none is known
the checksum of the first download is kept beside the data and asked for the next time.
"""

from dataclasses import dataclass

_GB = 1_000_000_000
_SEVEN = "https://download.microsoft.com/download/2/8/5/28564B23-0828-408F-8631-23B1EFF1DAC8"
_TUM = "https://cvg.cit.tum.de/rgbd/dataset"


@dataclass(frozen=True)
class Dataset:
    """One thing to fetch.

    Attributes:
        what: one line.
        format: as `resect info` names it.
        licence: as its publisher says; "see page" where it has to be read there.
        page: where it is published.
        url: the archive; empty for what resect makes itself.
        bytes: size of the archive, exact where `sha256` is known, else about that.
        sha256: of the archive, if known.
        folder: inside what is unpacked, the folder to give to `resect fit`; empty for all of it.
    """

    what: str
    format: str
    licence: str
    page: str
    url: str = ""
    bytes: int = 0
    sha256: str = ""
    folder: str = ""


def _seven_scenes(scene: str, size: int, sha256: str) -> Dataset:
    page = "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/"
    what = f"{scene}: a room in several walks, with depth (Kinect)"
    return Dataset(what, "7scenes", "non-commercial, see page", page, f"{_SEVEN}/{scene}.zip", size, sha256, scene)


def _tum(camera: str, name: str, size: int, what: str) -> Dataset:
    page, folder = "https://cvg.cit.tum.de/data/datasets/rgbd-dataset", f"rgbd_dataset_{camera}_{name}"
    return Dataset(what, "tum", "CC BY 4.0", page, f"{_TUM}/{camera}/{folder}.tgz", size, folder=folder)


DATASETS: dict[str, Dataset] = {
    "room": Dataset(
        "the built-in room, made here: exact poses and depth",
        "transforms",
        "yours",
        "resect data make --out room",
    ),
    "7scenes-chess": _seven_scenes(
        "chess", 3079608937, "d00b5b8f904123ec136768ee0ebd8f72aebb5473630fb5d8ec352e70ae4859d0"
    ),
    "7scenes-fire": _seven_scenes(
        "fire", 2301204154, "735d577f471a116b3f190f9bd79026b7fccfc6dee220473499bdb2b93efd1955"
    ),
    "7scenes-heads": _seven_scenes(
        "heads", 956332240, "402f8760ba150100bda5360241b605383dc5f949c055863301bde1b45f6a7a5d"
    ),
    "7scenes-office": _seven_scenes(
        "office", 4707873861, "c2bd101aae86c926d43ed92e080140b2e32d54ce14a5ce289b9aeca3472e7744"
    ),
    "7scenes-pumpkin": _seven_scenes(
        "pumpkin", 2890874911, "53fd1cb4c2f50378abc112f48e8897138e2135f2848c8c2e094e8028af07a65f"
    ),
    "7scenes-redkitchen": _seven_scenes(
        "redkitchen", 6141181406, "55f6aeabfd8308fbe02a6f37d1dbdbc4c087c3c6c84cb5fae062a90c43ffcba6"
    ),
    "7scenes-stairs": _seven_scenes(
        "stairs", 1496412431, "3521a1a26acb98321918ec352f8b189d301c2e3cce2de1bf2eac424d003b3929"
    ),
    "tum-fr1-xyz": _tum("freiburg1", "xyz", 448_204_271, "a desk, camera moved along its axes, with depth"),
    "tum-fr1-desk": _tum("freiburg1", "desk", 4 * _GB // 10, "a sweep over desks, with depth"),
    "tum-fr3-cabinet": _tum("freiburg3", "cabinet", _GB, "around a cabinet of little texture, with depth"),
    "nerf-example": Dataset(
        "lego (Blender) and fern (LLFF), the examples of NeRF",
        "blender and llff",
        "lego CC BY-NC, see page",
        "https://github.com/bmild/nerf",
        "http://cseweb.ucsd.edu/~viscomp/projects/LF/papers/ECCV20/nerf/nerf_example_data.zip",
        _GB,
    ),
    "mipnerf360": Dataset(
        "seven places photographed all around, posed by COLMAP",
        "colmap",
        "see page",
        "https://jonbarron.info/mipnerf360/",
        "https://storage.googleapis.com/gresearch/refraw360/360_v2.zip",
        12 * _GB,
    ),
}
