"""The training log: one JSON object a line in `log.jsonl`, and TensorBoard where it is installed and asked for."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Progress = Callable[[int, int, str], None]
"""Called with (done, total, remark); what draws a progress bar."""


class TrainingLog:
    """Appends scalars to `log.jsonl` in a folder; closing is by `with`.

    A line holds "step", "seconds" since the log was opened, and the scalars. Numbers that are not finite become null.

    Args:
        folder: where `log.jsonl` and `tensorboard/` go.
        tensorboard: write event files too, if the package is installed.
        resume_at: lines of later steps, which an interrupted run left, are dropped; `None` starts the file anew.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False, resume_at: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        kept = _lines_up_to(path, resume_at) if resume_at is not None else []
        path.write_text("".join(kept))
        self._file = path.open("a", buffering=1)
        self._began = time.monotonic()
        self._writer = _summary_writer(folder / "tensorboard") if tensorboard else None

    @property
    def drawn(self) -> bool:
        """Whether TensorBoard files are written."""
        return self._writer is not None

    def write(self, step: int, **scalars: float) -> None:
        """Adds one line."""
        finite = {k: float(v) if math.isfinite(v) else None for k, v in scalars.items()}
        facts = {"step": step, "seconds": round(time.monotonic() - self._began, 3), **finite}
        self._file.write(json.dumps(facts) + "\n")
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def _lines_up_to(path: Path, step: int) -> list[str]:
    """The whole lines of a log whose step is at most `step`."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _summary_writer(folder: Path) -> Any:
    """A TensorBoard writer, or `None` where the package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
