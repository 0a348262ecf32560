"""Priors of rotation with random weights: what they say means nothing, how they say it does."""

from dataclasses import replace
from functools import cache

from tests.priors.image2sphere.test_image2sphere import TINY
from tests.priors.ipdf.test_ipdf import TINY as TINY_IPDF

from resect.priors.image2sphere.network import make_network
from resect.priors.ipdf.network import make_network as make_ipdf
from resect.priors.rotations.prior import RotationPrior, ready


@cache
def image2sphere() -> RotationPrior:
    return RotationPrior("image2sphere", ready(make_network(TINY, 1, 0), TINY), TINY, ("object",))


@cache
def image2sphere_with_translation() -> RotationPrior:
    settings = replace(TINY, translation=True)
    network = ready(make_network(settings, 1, 0), settings)
    return RotationPrior("image2sphere", network, settings, ("object",), spread=(0.1, 0.1, 0.2))


@cache
def ipdf() -> RotationPrior:
    return RotationPrior("ipdf", ready(make_ipdf(TINY_IPDF, 1, 0), TINY_IPDF), TINY_IPDF, ("object",))
