"""On real photos: a short fit reaches a quality that an error in any convention would forbid."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from resect.data import read
from resect.data.split import make_split
from resect.scenes.field.fit import fit
from resect.scenes.field.quality import held_out_quality
from resect.scenes.field.settings import FieldSettings


@pytest.mark.real
def test_fox_in_a_few_seconds() -> None:
    root = os.environ.get("RESECT_TEST_DATA")
    if not root or not (Path(root) / "fox").is_dir():
        pytest.skip("RESECT_TEST_DATA does not name a folder with 'fox' in it")
    photos = read(Path(root) / "fox")
    split = make_split(photos, "every:8")
    short = replace(FieldSettings(), max_side=120, resolutions=(64, 128), steps=(300, 300), threads=1)
    model = fit(photos.subset(split.train), short)
    assert held_out_quality(model, photos.subset(split.test), 120)[0] > 24.5
