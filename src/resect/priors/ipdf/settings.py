"""How Implicit-PDF is built and trained: reduced, for minutes on a CPU, and as published."""

from dataclasses import dataclass

from resect.priors.rotations.settings import ResNetName, RotationSettings
from resect.training.settings import check


@dataclass(frozen=True)
class ImplicitPdfSettings(RotationSettings):
    """Settings of Implicit-PDF; the defaults are the reduced ones, for a CPU."""

    stages: int = 4
    frequencies: int = 3
    """Octaves of sines that a rotation's nine numbers are encoded by."""
    width: int = 128
    """Of the layers that are asked; published 256."""
    layers: int = 4
    """How many there are."""
    queries: int = 512
    """Rotations that a picture is asked about in a step, the true one among them; published 4096."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, {"frequencies": (0, 12), "width": (4, 4096), "layers": (1, 32), "queries": (2, 1_000_000)})


@dataclass(frozen=True)
class PublishedImplicitPdfSettings(ImplicitPdfSettings):
    """As published (Murphy et al., ICML 2021), for a GPU; there the encoder began with ImageNet's weights."""

    encoder: ResNetName = "resnet50"
    encoder_width: int = 64
    side: int = 224
    width: int = 256
    queries: int = 4096
    batch: int = 128
    steps: int = 100_000
    rate: float = 1e-4
    warmup: int = 1000
    density_level: int = 5
    memory_gb: float = 64.0
