"""A small synthetic capture, fitted once a process."""

from functools import cache

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.priors.landmarks.fit import fit as fit_landmarks
from resect.priors.landmarks.prior import Landmarks
from resect.priors.retrieval import Retrieval
from resect.priors.retrieval import fit as fit_retrieval
from resect.types import PhotoSet

COUNT = 14
TEST = (3, 10)
TRAIN = tuple(i for i in range(COUNT) if i not in TEST)


@cache
def capture() -> PhotoSet:
    return make_capture(SyntheticSettings(photos=COUNT, width=240, height=180, path="forward"))


@cache
def landmarks() -> Landmarks:
    return fit_landmarks(capture().subset(TRAIN))


@cache
def retrieval() -> Retrieval:
    return fit_retrieval(capture().subset(TRAIN))
