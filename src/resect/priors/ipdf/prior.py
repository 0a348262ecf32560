"""Implicit-PDF as a prior.

Murphy, Esteves, Jampani, Ramalingam and Makadia, "Implicit-PDF: non-parametric representation of probability
distributions on the rotation manifold", ICML 2021. What differs: answers go from coarse cells to fine ones, so that a
few thousand rotations are asked about and not two million.
"""

from pathlib import Path

from resect.priors.ipdf.network import make_network
from resect.priors.ipdf.settings import ImplicitPdfSettings
from resect.priors.rotations.prior import RotationPrior, load

KIND = "ipdf"


def load_ipdf(folder: Path | str, device: str = "cpu") -> RotationPrior:
    """Reads an artefact."""
    return load(folder, KIND, ImplicitPdfSettings, make_network, device)
