"""BOP's `models_info.json`: diameter, box and symmetries of each model of a dataset.

Format: github.com/thodan/bop_toolkit, docs/bop_datasets_format.md. Lengths are in the units of the models (mm in BOP).
`symmetries_discrete` holds 4 × 4 motions row by row, without the identity; `symmetries_continuous` holds lines.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import read_json, write_json
from resect.data.flow_yaml import read_flow_yaml
from resect.data.rigid import number
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries

_MOST_MODELS = 100_000
_MOST_MOTIONS = 1000
_ROTATION_SLACK = 1e-2  # the files hold six digits, some of them four


@dataclass(frozen=True, eq=False)
class ModelInfo:
    """What a dataset says about one of its models.

    Attributes:
        diameter: largest distance between two vertices.
        bounds: corners (least, greatest) of the box around the vertices.
        symmetries: what changes nothing.
    """

    diameter: float
    bounds: Float[Tensor, "2 3"]
    symmetries: Symmetries = field(default_factory=Symmetries)

    @classmethod
    def of(cls, mesh: Mesh, symmetries: Symmetries | None = None) -> "ModelInfo":
        """Of a mesh, measured on all of its vertices as BOP does."""
        return cls(diameter(mesh.vertices), mesh.bounds.double(), symmetries or Symmetries())


def read_models_info(path: Path | str) -> dict[str, ModelInfo]:
    """Model id → what is known of it, in the order of the file."""
    path = Path(path)
    found = read_flow_yaml(path) if path.suffix == ".yml" else read_json(path)
    if not isinstance(found, dict) or not 0 < len(found) <= _MOST_MODELS:
        raise ResectError(path, f"an object with 1 to {_MOST_MODELS} models", type(found).__name__)
    return {key: _info(entry, f"{path}: model {key}") for key, entry in found.items()}


def write_models_info(path: Path | str, infos: Mapping[str, ModelInfo], *, overwrite: bool = False) -> None:
    """Writes models; with `overwrite`, into a file that is there: other models, and fields unknown here, stay.

    Raises:
        ResectError: the file is there and `overwrite` is false, or it is not a `models_info.json`.
    """
    path = Path(path)
    entries: dict[str, Any] = {}
    if path.exists():
        if not overwrite:
            raise ResectError(path, "a new file", "one that exists", "Add --overwrite to merge into it.")
        read_models_info(path)
        entries = read_json(path)
    for key, info in infos.items():
        kept = {k: v for k, v in entries.get(key, {}).items() if not k.startswith("symmetries_")}
        entries[key] = {**kept, **_entry(info)}
    write_json(path, entries)


def symmetries_to_bop(symmetries: Symmetries) -> dict[str, Any]:
    """The two fields of a model; those that would be empty are left out, as BOP does."""
    motions = symmetries.discrete.double().matrix().flatten(1)[1:]
    lines = [{"axis": _plain(a.direction), "offset": _plain(a.offset)} for a in symmetries.axes]
    fields = {"symmetries_discrete": [_plain(m) for m in motions], "symmetries_continuous": lines}
    return {name: value for name, value in fields.items() if value}


def symmetries_from_bop(entry: Mapping[str, Any], where: object) -> Symmetries:
    """From the fields of a model, which may be absent; rotations are made exact, the identity is put first.

    Args:
        entry: the model's object in the file.
        where: file and model, for errors.
    """
    motions = _listed(entry, "symmetries_discrete", where)
    lines = _listed(entry, "symmetries_continuous", where)
    found = [_motion(m, f"{where}: symmetries_discrete[{i}]") for i, m in enumerate(motions)]
    same = torch.eye(4, dtype=torch.float64)
    others = [m for m in found if not torch.allclose(m, same, atol=1e-6)]
    axes = tuple(_axis(line, f"{where}: symmetries_continuous[{i}]") for i, line in enumerate(lines))
    return Symmetries(SE3.from_matrix(torch.stack([same, *others])), axes)


def _info(entry: Any, where: str) -> ModelInfo:
    if not isinstance(entry, dict):
        raise ResectError(where, "an object", type(entry).__name__)
    keys = [f"{kind}_{axis}" for kind in ("min", "size") for axis in "xyz"]
    across, *box = (number(f"{where}: {key}", entry.get(key)) for key in ("diameter", *keys))
    if min(across, *box[3:]) < 0:
        raise ResectError(where, "a diameter and sizes that are not negative", f"{across:g}, {box[3:]}")
    least, size = torch.tensor(box, dtype=torch.float64).view(2, 3)
    return ModelInfo(across, torch.stack([least, least + size]), symmetries_from_bop(entry, where))


def _entry(info: ModelInfo) -> dict[str, Any]:
    least, greatest = info.bounds.double()
    box = {f"min_{a}": x for a, x in zip("xyz", _plain(least), strict=True)}
    box |= {f"size_{a}": x for a, x in zip("xyz", _plain(greatest - least), strict=True)}
    return {"diameter": info.diameter, **box, **symmetries_to_bop(info.symmetries)}


def _plain(values: Float[Tensor, "n"]) -> list[float]:
    return [round(x, 12) + 0.0 for x in values.double().tolist()]  # + 0.0: no "-0.0" in the file


def _listed(entry: Mapping[str, Any], key: str, where: object) -> list[Any]:
    found = entry.get(key, [])
    if not isinstance(found, list) or len(found) > _MOST_MOTIONS:
        raise ResectError(f"{where}: {key}", f"a list of at most {_MOST_MOTIONS}", type(found).__name__)
    return found


def _numbers(where: str, values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ResectError(where, f"{count} numbers", repr(values)[:80])
    return [number(where, value) for value in values]


def _motion(values: Any, where: str) -> Float[Tensor, "4 4"]:
    matrix = torch.tensor(_numbers(where, values, 16), dtype=torch.float64).view(4, 4)
    rotation, last = matrix[:3, :3], torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    exact = so3.nearest_rotation(rotation)
    if not torch.equal(matrix[3], last) or float((rotation - exact).abs().max()) > _ROTATION_SLACK:
        fix = "A motion is a rotation and a translation, 16 numbers row by row; a mirror is none."
        raise ResectError(where, "a rigid motion", "another matrix", fix)
    return SE3(exact, matrix[:3, 3]).matrix()


def _axis(value: Any, where: str) -> Axis:
    if not isinstance(value, dict):
        raise ResectError(where, "an object with axis and offset", type(value).__name__)
    direction = _numbers(f"{where}: axis", value.get("axis"), 3)
    length = math.hypot(*direction)
    if length < 1e-6:
        raise ResectError(f"{where}: axis", "a direction", "a vector of length 0")
    offset = _numbers(f"{where}: offset", value.get("offset", [0, 0, 0]), 3)
    return Axis(torch.tensor(direction, dtype=torch.float64) / length, torch.tensor(offset, dtype=torch.float64))
