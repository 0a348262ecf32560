"""Settings that all training shares. A method's settings are a subclass with what is its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained."""

    batch: int = 32
    """Samples in a step; shared out where several processes train together."""
    steps: int = 4000
    """Steps of the optimiser."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam with decoupled weight decay, or SGD with momentum."""
    rate: float = 1e-3
    """Its learning rate."""
    schedule: Literal["cosine", "drops", "exponential", "constant"] = "cosine"
    """How the rate falls: by half a cosine, by a factor every few steps, by that factor but smoothly, or not at all."""
    warmup: int = 0
    """Steps in which the rate rises from nothing."""
    final_rate: float = 0.0
    """Share of the rate at the end of the cosine."""
    drop_every: int = 20_000
    """Steps between drops, or in which the rate falls by as much smoothly."""
    drop_to: float = 0.1
    """Share of the rate that a drop leaves."""
    momentum: float = 0.9
    """Of SGD."""
    nesterov: bool = False
    """Whether SGD looks ahead along its momentum."""
    weight_decay: float = 0.0
    """Of weights, not of biases and norms."""
    clip: float = 0.0
    """Longest gradient to follow; a longer one is shortened. 0 takes all as they are."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the network's arithmetic where it is safe; weights stay float32."""
    validate_every: int = 1000
    """Steps between validations, where there are held-out samples; the best network is kept."""
    ahead: int = 0
    """Batches to prepare while earlier ones are learned from, by as many threads; helps where a GPU would wait."""
    memory_gb: float = 4.0
    """Most of the data to keep in memory; the rest is read again at each use."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints."""
    seed: int = 0
    """Seed of everything random."""
    device: str = "cpu"
    """PyTorch device."""
    tensorboard: bool = True
    """Write TensorBoard files, if it is installed."""

    def __post_init__(self) -> None:
        many = 100_000_000
        within = {
            "batch": (1, 65536),
            "steps": (1, many),
            "warmup": (0, many),
            "final_rate": (0, 1),
            "drop_every": (1, many),
            "drop_to": (0, 1),
            "momentum": (0, 0.9999),
            "weight_decay": (0, 1),
            "validate_every": (1, many),
            "ahead": (0, 64),
        }
        check(self, within, positive=("rate",))


def check(settings: object, within: Mapping[str, tuple[float, float]], *, positive: tuple[str, ...] = ()) -> None:
    """Refuses a setting outside its limits, by name.

    Args:
        settings: the dataclass.
        within: name → least and greatest value.
        positive: names of those that must be more than 0.
    """
    for name, (low, high) in within.items():
        if not low <= getattr(settings, name) <= high:
            got = str(getattr(settings, name))
            raise ResectError(f"{type(settings).__name__}.{name}", f"{low:g} to {high:g}", got)
    for name in positive:
        if not 0 < getattr(settings, name) < float("inf"):
            raise ResectError(f"{type(settings).__name__}.{name}", "more than 0", str(getattr(settings, name)))
