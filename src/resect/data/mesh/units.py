"""Units of length: what people write, in metres; what a number of units probably means; whether a size can be true."""

import math

from resect.data.agreement import Finding
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh, diameter

METERS = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}
_NAMES = {"mm": "millimetres", "cm": "centimetres", "m": "metres", "in": "inches"}
_LEAST, _MOST = 0.005, 20.0  # metres; what one photographs as an object


def parse_units(text: str) -> float:
    """Metres per unit, from mm, cm, m, in, or a number."""
    try:
        meters = METERS[text] if text in METERS else float(text)
    except ValueError:
        meters = math.nan
    if not (math.isfinite(meters) and meters > 0):
        raise ResectError("--units", "mm, cm, m, in, or metres per unit as a positive number", repr(text))
    return meters


def guess_units(size: float) -> str:
    """What the diameter of an object suggests, as a sentence: "diameter 102: looks like millimetres"."""
    if 0.99 <= size <= 1.01 or abs(size - math.sqrt(3)) < 0.01:
        return f"diameter {size:.3g}: looks normalized, which says nothing of its unit"
    if _LEAST <= size < _MOST:
        return f"diameter {size:.3g}: looks like metres"
    if _MOST <= size <= 1000 * _MOST:
        return f"diameter {size:.3g}: looks like millimetres" + (", or centimetres or inches" if size < 100 else "")
    return f"diameter {size:.3g}: fits no usual unit"


def judge_length(size: float, meters_per_unit: float) -> list[Finding]:
    """A warning where an object of this diameter, in these units, is too small or too large to be photographed."""
    meters = size * meters_per_unit
    if _LEAST <= meters <= _MOST:
        return []
    fits = [_NAMES[u] for u, m in METERS.items() if _LEAST <= size * m <= _MOST and u in ("mm", "m")]
    hint = f" In {' or '.join(fits)} it would be of ordinary size: check --units." if fits else ""
    return [Finding("warning", f"With {meters_per_unit:g} m per unit its diameter is {meters:.3g} m.{hint}")]


def expected_width_px(mesh: Mesh, camera: Camera, distance: float) -> float:
    """Pixels that the mesh spans at a distance in its units, in the direction in which it is longest, seen broadside.

    Raises:
        ResectError: the distance is not positive: the object is behind the camera.
    """
    if not distance > 0:
        raise ResectError("distance", "an object in front of the camera", f"{distance:g}")
    return float(camera.fx) * diameter(mesh.vertices) / distance


def judge_size(mesh: Mesh, camera: Camera, distance: float, box: tuple[float, float, float, float]) -> Finding | None:
    """A warning where a pose cannot be true: the mesh would look much larger, or smaller, than its box in the photo.

    Seen end on, an object still spans the middle one of its three extents; three quarters of that may be hidden.

    Args:
        mesh: the object.
        camera: of the photo.
        distance: of the object from the camera at the pose in question, mesh units.
        box: (left, top, right, bottom) in pixels, of what is seen of the object.
    """
    widest = expected_width_px(mesh, camera, distance)
    extents = (mesh.bounds[1] - mesh.bounds[0]).sort().values
    narrowest = float(camera.fx * extents[1] / distance)
    seen = max(box[2] - box[0], box[3] - box[1])
    if not seen > 0 or narrowest / 4 <= seen <= 2 * widest:
        return None
    ratio = widest / seen
    factors = {METERS[a] / METERS[b]: (a, b) for a, b in (("m", "mm"), ("m", "cm"), ("cm", "m"), ("mm", "m"))}
    taken_for, true = next((ab for factor, ab in factors.items() if 0.4 < ratio / factor < 2.5), ("", ""))
    hint = f" As if {_NAMES[true]} were taken for {_NAMES[taken_for]}: check --units." if true else ""
    sentence = f"The object would be {narrowest:.0f} to {widest:.0f} px wide, but its box is {seen:.0f} px.{hint}"
    return Finding("warning", sentence)
