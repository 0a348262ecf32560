"""What a verb says: the result on stdout, all else on stderr. A reader that leaves early (`| head`) stops nothing."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from resect.cli.options import Common


def say(message: str) -> None:
    """A line for the person at the terminal."""
    _write(sys.stderr, message)


def result(common: Common, value: Mapping[str, Any], text: str) -> None:
    """The result on stdout: text for a person, and JSON on the last line where asked for."""
    if text:
        _write(sys.stdout, text)
    if common.json:
        _write(sys.stdout, json.dumps(value, allow_nan=False))


def _write(stream: TextIO, text: str) -> None:
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes that train together, the first one speaks
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        deaf(stream)
    except UnicodeEncodeError:  # a terminal that knows no ° still gets the numbers
        print(text.encode(stream.encoding or "ascii", "replace").decode(stream.encoding or "ascii"), file=stream)


def deaf(stream: TextIO) -> None:
    """Sends the rest of a stream nowhere: nobody reads it any more, and the work goes on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
