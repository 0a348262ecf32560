"""A regressor of two places small enough for tests, fitted once a process."""

from functools import cache

from tests.priors.captures import TRAIN, capture
from tests.priors.posenet_networks import backbone

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.priors.ms_transformer.fit import fit
from resect.priors.ms_transformer.prior import MSTransformer
from resect.priors.ms_transformer.settings import MSTransformerSettings
from resect.types import PhotoSet


@cache
def tiny() -> MSTransformerSettings:
    return MSTransformerSettings(
        pretrained=backbone(), side=32, width=16, inner=16, heads=2, head=16, steps=20, batch=8, views=1, dropout=0.0,
        tensorboard=False, rate=3e-3,
    )  # fmt: skip


@cache
def places() -> dict[str, PhotoSet]:
    other = make_capture(SyntheticSettings(photos=6, width=80, height=60, path="orbit", seed=7))
    return {"hall": capture().subset(TRAIN), "attic": other}


@cache
def both() -> MSTransformer:
    return fit(places(), tiny())


@cache
def one() -> MSTransformer:
    return fit(capture().subset(TRAIN), tiny())
