"""One small capture and what is fitted on it, shared by the tests of this room and by the contract."""

import pytest
from tests.priors.captures import TEST, TRAIN, capture, landmarks, retrieval

from resect.priors.landmarks.prior import Landmarks
from resect.priors.retrieval import Retrieval
from resect.types import PhotoSet


@pytest.fixture(scope="session")
def train() -> PhotoSet:
    return capture().subset(TRAIN)


@pytest.fixture(scope="session")
def held_out() -> PhotoSet:
    return capture().subset(TEST)


@pytest.fixture(scope="session")
def known_landmarks() -> Landmarks:
    return landmarks()


@pytest.fixture(scope="session")
def known_photos() -> Retrieval:
    return retrieval()
