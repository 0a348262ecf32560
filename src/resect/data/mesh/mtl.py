"""MTL: the materials of an OBJ file. Only what the diffuse colour needs: `Kd` and `map_Kd`.

Source: Alias|Wavefront, "Object Files", appendix B1. Differs: where there is a picture, `Kd` does not darken it.
Exporters leave 0.8, 0.64 or 0 there; pictures of scanned objects are meant as they are.
"""

from pathlib import Path

from resect.data.mesh.text import numbers
from resect.data.mesh.texture import Textures
from resect.data.rigid import is_number
from resect.errors import ResectError
from resect.geometry.mesh import Material

_MAX_MATERIALS = 4096
# Options of a map and how many words follow; the three that take one to three numbers end at the first other word.
_OPTIONS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1, "-mm": 2, "-texres": 1}
_OPTIONS |= {"-bm": 1, "-type": 1}
_VECTORS = {"-o": "0", "-s": "1", "-t": "0"}


def read_mtl(data: bytes, path: Path, textures: Textures) -> dict[str, Material]:
    """Materials by name; what is left out of the picture is noted in `textures.notes`."""
    found: dict[str, Material] = {}
    name = None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        value = value.strip()
        if key == "newmtl":
            name = value
            found.setdefault(name, Material(name=name))
            if len(found) > _MAX_MATERIALS:
                raise ResectError(path, f"at most {_MAX_MATERIALS} materials", "more")
        elif name is None:
            continue
        elif key == "Kd" and found[name].texture is None:
            found[name] = Material(_color(value, f"{path}, line {number}"), None, name)
        elif key == "map_Kd":
            picture, moved = _file_name(value)
            if moved:
                textures.notes.append(f"material '{name}': shift and scale of its texture are not applied")
            texture = textures.read(picture)
            if texture is not None:
                found[name] = Material((1.0, 1.0, 1.0), texture, name)
    return found


def _color(text: str, where: str) -> tuple[float, float, float]:
    if text.startswith(("spectral", "xyz")):
        return Material().color
    values = numbers(text.partition("#")[0].encode(), where)[:3].clip(0, 1)
    if not len(values):
        raise ResectError(where, "Kd with one or three numbers", repr(text))
    r, g, b = values.tolist() if len(values) == 3 else values[:1].repeat(3).tolist()
    return r, g, b


def _file_name(text: str) -> tuple[str, bool]:
    """The name, which may hold spaces, without the options before it; and whether they shift or scale the picture."""
    words = text.split(" ")
    place, moved = 0, False
    while place < len(words) and words[place] in (*_OPTIONS, *_VECTORS, ""):
        option = words[place]
        place += 1
        if option in _OPTIONS:
            place += _OPTIONS[option]
        elif option:
            first = place
            while place < min(first + 3, len(words) - 1) and is_number(words[place]):
                place += 1
            moved |= any(float(w) != float(_VECTORS[option]) for w in words[first:place])
    return " ".join(words[place:]), moved
