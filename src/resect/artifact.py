"""What `fit` makes: a folder with `artifact.json`, `weights.safetensors`, `split.json`. Read as hostile, never pickle.

Files are written whole or not at all (a temporary file, then a rename), `artifact.json` last, so a killed process
leaves either the old artefact or none.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.errors import ResectError, unknown_name
from resect.int8 import restored

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
_HOW_IT_IS_DONE = ("threads", "checkpoint_seconds", "tensorboard", "ahead", "memory_gb")
_MAX_JSON_BYTES = 64 << 20
_MAX_WEIGHT_BYTES = 16 << 30
T = typing.TypeVar("T")


@dataclass(frozen=True, eq=False)
class Artifact:
    """A loaded artefact folder.

    Attributes:
        folder: where it lies.
        kind: name in the zoo, e.g. "field" or "landmarks".
        settings: the settings it was made with, as JSON.
        tensors: its weights; those that were stored as bytes (`resect.int8`) as float32 again.
        extra: further facts of its kind, as JSON.
        parents: name → digest of the artefacts it was made from.
        version: the resect version that made it.
    """

    folder: Path
    kind: str
    settings: dict[str, Any]
    tensors: "dict[str, Tensor]"
    extra: dict[str, Any]
    parents: dict[str, str]
    version: str

    def tensor(self, name: str, shape: tuple[int | None, ...], dtype: "object | None" = None) -> "Tensor":
        """A tensor whose presence, shape (`None` = any length) and dtype are checked."""
        where = f"{self.folder}/weights.safetensors"
        if name not in self.tensors:
            raise ResectError(where, f"a tensor '{name}'", "none", "The artefact is damaged; fit it again.")
        found = self.tensors[name]
        fits = len(found.shape) == len(shape) and all(
            w is None or w == g for w, g in zip(shape, found.shape, strict=True)
        )
        if not fits or (dtype is not None and found.dtype != dtype):
            got = f"{tuple(found.shape)} {found.dtype}"
            raise ResectError(
                f"{where}: {name}", f"{shape} {dtype or ''}", got, "The artefact is damaged; fit it again."
            )
        return found


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Writes JSON atomically, keys in the order given."""
    write_atomic(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, *, limit: int = _MAX_JSON_BYTES) -> Any:
    """Reads JSON of bounded size; errors name the file and the line."""
    if not path.is_file():
        raise ResectError(path, "a JSON file", "no file")
    if path.stat().st_size > limit:
        raise ResectError(path, f"at most {limit >> 20} MiB of JSON", f"{path.stat().st_size >> 20} MiB")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ResectError(path, "valid JSON", str(error)) from None


def as_json(settings: object) -> Any:
    """A settings dataclass as it reads back from JSON."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))  # type: ignore[call-overload]


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that say how the work is done and not what is to come out of it.

    Sums over another number of threads differ in their last bits. Whoever goes on with a run on another machine wants
    the same thing made, so these refuse nothing.
    """
    return {name: value for name, value in settings.items() if name not in _HOW_IT_IS_DONE}


def difference(made: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The fields in which two settings differ, for the message that refuses to mix them."""
    keys = [k for k in {**made, **asked} if made.get(k) != asked.get(k)]
    return ", ".join(f"{k} = {asked.get(k)!r} (made with {made.get(k)!r})" for k in keys) or "the same"


def save(
    folder: Path,
    kind: str,
    settings: object,
    tensors: "Mapping[str, Tensor]",
    *,
    extra: Mapping[str, Any] | None = None,
    parents: Mapping[str, str] | None = None,
) -> None:
    """Writes an artefact; an existing one in the folder is replaced, other files there stay."""
    from safetensors.torch import save as to_bytes

    from resect import __version__

    contiguous = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    weights = to_bytes(contiguous)
    write_atomic(folder / "weights.safetensors", weights)
    facts = {
        "resect_artifact": FORMAT,
        "kind": kind,
        "version": __version__,
        "settings": dataclasses.asdict(settings) if dataclasses.is_dataclass(settings) else settings,  # type: ignore[arg-type]
        "extra": dict(extra or {}),
        "parents": dict(parents or {}),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    write_json(folder / "artifact.json", facts)


def kind_in(folder: Path) -> str:
    """The kind of the artefact in a folder; empty where there is none."""
    return str(read_facts(folder)["kind"]) if (folder / "artifact.json").is_file() else ""


def load(folder: Path | str, kind: str | None = None) -> Artifact:
    """Reads an artefact folder and checks its kind, format and the digest of its weights."""
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    folder = Path(folder)
    facts = read_facts(folder)
    if kind is not None and facts["kind"] != kind:
        raise ResectError(folder, f"an artefact of kind '{kind}'", f"'{facts['kind']}'")
    path = folder / "weights.safetensors"
    if not path.is_file() or path.stat().st_size > _MAX_WEIGHT_BYTES:
        raise ResectError(path, "a weights file of at most 16 GiB", "none" if not path.is_file() else "a larger one")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts.get("weights_sha256"):
        fix = "It was changed or cut short after it was made; fit it again."
        raise ResectError(path, "the weights that artifact.json was written for", "others", fix)
    try:
        tensors = from_bytes(data)
    except (SafetensorError, ValueError) as error:
        raise ResectError(path, "a safetensors file", str(error)) from None
    found = restored(tensors, path)
    return Artifact(folder, facts["kind"], facts["settings"], found, facts["extra"], facts["parents"], facts["version"])


def read_facts(folder: Path | str) -> dict[str, Any]:
    """`artifact.json`, checked, without reading the weights."""
    path = Path(folder) / "artifact.json"
    if not path.is_file():
        fix = "Give a folder that 'resect fit' made."
        raise ResectError(folder, "an artefact folder with artifact.json", "none", fix)
    facts = read_json(path)
    wanted = {"kind": str, "version": str, "settings": dict, "extra": dict, "parents": dict}
    if not isinstance(facts, dict) or any(not isinstance(facts.get(k), t) for k, t in wanted.items()):
        raise ResectError(path, f"keys {', '.join(wanted)}", "something else", "It was not made by resect.")
    if facts.get("resect_artifact") != FORMAT:
        fix = "It was made by another release of resect; fit it again or install that one."
        raise ResectError(path, f"artefact format {FORMAT}", str(facts.get("resect_artifact")), fix)
    return facts


def digest(folder: Path | str) -> str:
    """What a child artefact records of its parent: the digest of the parent's weights."""
    return str(read_facts(folder).get("weights_sha256", ""))


def settings_from_json(cls: type[T], values: Mapping[str, Any], where: object) -> T:
    """A settings dataclass from JSON; unknown keys and wrong types are errors that name the key."""
    hints = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name(f"{where}: settings", key, known)
        arguments[key] = _convert(hints[key], value, f"{where}: settings.{key}")
    return cls(**arguments)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return settings_from_json(typing.cast(type, hint), value, where)
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
        if len(kinds) == len(value):
            return tuple(_convert(k, v, where) for k, v in zip(kinds, value, strict=True))
    elif origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return _convert(option, value, where)
            except ResectError:
                continue
    elif origin is typing.Literal:
        if value in args:
            return value
    elif hint is Any or (hint is type(None) and value is None):
        return value
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is not int or not isinstance(value, bool)):
        return value
    raise ResectError(where, str(hint), repr(value))
