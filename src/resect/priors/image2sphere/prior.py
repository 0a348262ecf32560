"""Image2Sphere as a prior.

Klee, Biza, Platt and Walters, "Image to sphere: learning equivariant features for efficient pose prediction", ICLR
2023. What differs: all points of the sphere count at every look, so answers are deterministic; the density is in the
frame in which it turns with the picture; no table of rotations is held; the best rotation is followed to its peak.
"""

from pathlib import Path

from resect.priors.image2sphere.network import make_network
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.priors.rotations.prior import RotationPrior, load

KIND = "image2sphere"


def load_image2sphere(folder: Path | str, device: str = "cpu") -> RotationPrior:
    """Reads an artefact."""
    return load(folder, KIND, Image2SphereSettings, make_network, device)
