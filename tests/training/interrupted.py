"""Ctrl-C in the middle of a training run."""

import signal
from typing import Any

import pytest

from resect.training.loop import Turn


def interrupt_at(step: int, kind: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `kind.batch` interrupt the process, once, when it is asked for this step's batch."""
    real, done = kind.batch, []

    def batch(self: Any, turn: Turn) -> Any:
        if turn.step == step and not done:
            done.append(turn)
            signal.raise_signal(signal.SIGINT)
        return real(self, turn)

    monkeypatch.setattr(kind, "batch", batch)
