"""What a published RGB method found in the photos of LM-O: poses to compare with."""

from collections.abc import Mapping
from dataclasses import replace

from sets import data_folder

from resect.data.bop.results import image_number, read_results
from resect.data.object_set import ObjectSet
from resect.geometry.se3 import SE3


def with_third_party_poses(sets: Mapping[str, ObjectSet]) -> dict[str, ObjectSet]:
    """The photos in which the file has a pose of the object, with its surest one in place of the truth."""
    found = read_results(data_folder() / "lmo" / "third_party_results_lmo-test.csv")
    best: dict[tuple[int, int, str], int] = {}
    for k in sorted(range(len(found)), key=lambda k: found.score[k]):
        best[found.scene[k], found.image[k], str(found.object_id[k])] = k
    changed = {}
    for key, objects in sets.items():
        asked = [(*image_number(name), key) for name in objects.photos.names]
        rows = [i for i, one in enumerate(asked) if one in best]
        if rows:
            some = objects.subset(rows)
            poses = found.cam_from_obj[[best[asked[i]] for i in rows]]
            truth = replace(some.photos.truth, cam_from_world=SE3(poses.R, poses.t))
            changed[key] = replace(some, photos=replace(some.photos, truth=truth))
    return changed
