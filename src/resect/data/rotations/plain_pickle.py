"""Pickle files of plain data, read by a machine that can make nothing else: no module is imported, nothing is called.

Numbers, text, bytes, lists, tuples, dicts, and NumPy arrays and scalars of numbers, which are recognised by name.
Whatever else a file asks for is an error. Python's own `pickle` runs whatever a file says, so resect never uses it;
`pickletools` only takes a file apart.
"""

import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from resect.errors import ResectError

_MOST_BYTES = 1 << 30
_MARK = object()
_ARRAY = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_SCALAR = ("numpy.core.multiarray scalar", "numpy._core.multiarray scalar")
_NAMES = (*_ARRAY, *_SCALAR, "numpy ndarray", "numpy dtype", "_codecs encode")


class _Made:
    """An array or a type that its state will complete."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments, self.value = name, arguments, None


def read_plain_pickle(path: Path) -> Any:
    """The object in a pickle file.

    Raises:
        ResectError: no such file, a damaged one, or one with anything but plain data.
    """
    if not path.is_file():
        fix = "Unpack that part of the release whole, or name another --split."
        raise ResectError(path, "a pickle file of plain data", "no file", fix)
    if path.stat().st_size > _MOST_BYTES:
        fix = "Is it the file of another dataset?"
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB", fix)
    try:
        return _run(path.read_bytes(), path)
    except ResectError:
        raise
    except Exception as error:  # a damaged file may do anything wrong
        fix = "Copy it again."
        raise ResectError(path, "a whole pickle file of plain data", f"{type(error).__name__}: {error}", fix) from None


def _run(data: bytes, path: Path) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return _finished(stack.pop())
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument)])
        elif not (_pushed(name, argument, stack) or _gathered(name, stack) or _called(name, argument, stack)):
            fix = "Files that could run code are not read; write the labels as a rotations.csv."
            raise ResectError(path, "plain data", f"a pickle with {name} {argument or ''}".strip(), fix)
    raise ResectError(path, "a whole pickle file", "one without an end", "Copy it again.")


def _pushed(name: str, argument: Any, stack: list[Any]) -> bool:
    """Opcodes that put one thing on the stack, or take one off."""
    constants = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "MARK": _MARK, "EMPTY_TUPLE": ()}
    values = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
    texts = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING")
    raw = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
    if name in constants:
        stack.append(constants[name])
    elif name in (*values, *texts, *raw):
        stack.append(argument)
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name == "POP":
        stack.pop()
    else:
        return False
    return True


def _gathered(name: str, stack: list[Any]) -> bool:
    """Opcodes that put things into lists, tuples and dicts."""
    if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(name[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif name == "APPEND":
        item = stack.pop()
        stack[-1].append(item)
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        stack[-1][key] = value
    elif name in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS", "POP_MARK"):
        at = len(stack) - 1 - next(k for k, item in enumerate(reversed(stack)) if item is _MARK)
        items = stack[at + 1 :]
        del stack[at:]
        pairs = dict(zip(items[::2], items[1::2], strict=True)) if name in ("DICT", "SETITEMS") else {}
        if name == "APPENDS":
            stack[-1].extend(items)
        elif name == "SETITEMS":
            stack[-1].update(pairs)
        elif name != "POP_MARK":
            stack.append({"TUPLE": tuple(items), "LIST": items, "DICT": pairs}[name])
    else:
        return False
    return True


def _called(name: str, argument: Any, stack: list[Any]) -> bool:
    """Names, calls and states, as far as NumPy's arrays need them; nothing is called."""
    if name == "GLOBAL" and argument in _NAMES:
        stack.append(argument)
    elif name == "STACK_GLOBAL" and f"{stack[-2]} {stack[-1]}" in _NAMES:
        stack[-2:] = [f"{stack[-2]} {stack[-1]}"]
    elif name == "REDUCE":
        arguments, what = stack.pop(), stack.pop()
        stack.append(_reduced(what, arguments))
    elif name == "BUILD" and isinstance(stack[-2], _Made):
        state = stack.pop()
        made = stack[-1]
        if made.name == "numpy dtype":
            made.value = np.dtype(made.value.str.replace("<", str(state[1])) if state[1] in ("<", ">") else made.value)
        else:
            _, shape, kind, fortran, content = state
            made.value = _array(content, _finished(kind), shape, bool(fortran))
    else:
        return False
    return True


def _reduced(what: Any, arguments: Any) -> Any:
    if what == "_codecs encode":  # bytes, as Python 3 writes them for Python 2
        text, _ = arguments
        return text.encode("latin1")
    made = _Made(str(what), arguments)
    if what == "numpy dtype":
        kind = np.dtype(str(arguments[0]))
        if kind.kind not in "fiub":
            raise ValueError(f"an array of {kind}")
        made.value = kind  # type: ignore[assignment]
    elif what in _SCALAR:
        made.value = _array(arguments[1], _finished(arguments[0]), (), False)
    elif what not in _ARRAY:
        raise ValueError(f"a call of {what}")
    return made


def _array(content: Any, kind: Any, shape: Any, fortran: bool) -> Any:
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")


def _finished(thing: Any) -> Any:
    """The object with arrays in place of what stood for them."""
    if isinstance(thing, _Made):
        return thing.value
    if isinstance(thing, dict):
        return {_finished(k): _finished(v) for k, v in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing)(_finished(x) for x in thing)
    return thing
