"""From a folder of posed photos to the pose of a new one.

python examples/02_learn_a_place.py [PHOTOS]
"""

import sys
import tempfile
from pathlib import Path

import resect
from resect.data import make_split
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.place import fit_place
from resect.scenes.field.settings import FieldSettings

with tempfile.TemporaryDirectory() as folder:
    if len(sys.argv) > 1:
        data = Path(sys.argv[1])
    else:  # a small synthetic capture stands in
        data = Path(folder) / "capture"
        make_capture(SyntheticSettings(photos=16, width=160, height=120, path="forward"), data)

    photos = resect.read(data)
    split = make_split(photos)
    print(f"{photos.format}: {len(split.train)} photos to learn from, {len(split.test)} held out")

    settings = FieldSettings(resolutions=(64, 128), steps=(150, 250))  # quick; the default takes a minute
    fit_place(photos, split, "field", settings, Path(folder) / "place")

    where = resect.open_place(Path(folder) / "place")
    for index in split.test:
        estimate = where.estimate(photos[index])
        if estimate.cam_from_world is None:
            print(photos.names[index], estimate.status.sentence, estimate.status.advice)
            continue
        off = estimate.cam_from_world.double().center - photos.truth.cam_from_world[index].double().center
        print(photos.names[index], estimate.status.name, f"{1000 * off.norm():.1f} mm from the truth")
