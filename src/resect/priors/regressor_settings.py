"""What regressors of poses from photos share in how they are trained. Torch-free."""

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check

Backbones = Literal[
    "mobilenet_v2", "tf_mobilenet_v2", "efficientnet_b0", "resnet18", "resnet34", "resnet50", "resnet101", "vgg16"
]


@dataclass(frozen=True)
class RegressorSettings(TrainingSettings):
    """How a regressor of poses is trained."""

    freeze: tuple[str, ...] = ("backbone",)
    """Parameters whose names begin so are not trained."""
    thaw: tuple[str, ...] = ()
    """But these are, whose names contain one of these words."""
    learned: bool = True
    """Learn the balance between position and rotation."""
    s_x: float = 0.0
    """Log of the expected error of positions, in what is regressed; its weight where it is not learned."""
    s_q: float = -2.0
    """The same of quaternions."""
    norm: Literal[1, 2] = 2
    """Of the errors."""
    turn_deg: float = 6.0
    """The camera is turned up to this much about its x and y axes, and its pose with it."""
    roll_deg: float = 6.0
    """The same about its optical axis."""
    colour: tuple[float, float, float, float] = (0.4, 0.4, 0.3, 0.05)
    """Changes of brightness, contrast, saturation and hue."""
    blur_px: float = 1.0
    """Greatest standard deviation of a blur."""
    left_out: bool = True
    """Train a second time without some photos, whose errors become the information of proposals."""
    epochs: int = 0
    """Times that every photo is looked at; 0 goes by `steps`."""
    drop_epochs: int = 0
    """Times between drops of the rate; 0 goes by `drop_every`."""
    batch: int = 32
    steps: int = 1500

    def __post_init__(self) -> None:
        super().__post_init__()
        within: dict[str, tuple[float, float]] = {
            "turn_deg": (0, 45),
            "roll_deg": (0, 180),
            "blur_px": (0, 20),
            "epochs": (0, 1_000_000),
            "drop_epochs": (0, 1_000_000),
        }
        check(self, within)
        if min(self.colour) < 0 or max(self.colour[:3]) >= 1 or self.colour[3] > 0.5:
            raise ResectError(f"{type(self).__name__}.colour", "0 to below 1, hue up to 0.5", str(self.colour))


S = TypeVar("S", bound=RegressorSettings)


def in_steps(s: S, photos: int) -> S:
    """Settings whose epochs, of so many photos, are counted in steps."""
    per_epoch = -(-photos // s.batch)
    s = replace(s, steps=s.epochs * per_epoch, epochs=0) if s.epochs else s
    return replace(s, drop_every=s.drop_epochs * per_epoch, drop_epochs=0) if s.drop_epochs else s
