"""The camera that a photo's EXIF data tells of: good to a few per cent, which landmarks or a refined focal mend."""

import math
from collections.abc import Mapping

from resect.geometry.camera import Camera

_FOCAL_MM = 0x920A
_FOCAL_35MM = 0xA405
_PLANE_X = 0xA20E
_PLANE_UNIT = 0xA210
_EXIF_WIDTH = 0xA002
_EXIF_HEIGHT = 0xA003
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
_MM_PER_PLANE_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


def camera_from_exif(exif: Mapping[int, object], width: int, height: int) -> Camera | None:
    """A centred pinhole camera from the focal length in EXIF; `None` if it says nothing of use.

    The 35 mm equivalent is by the image's *diagonal* (CIPA DCG-001), not its width: 28 mm at 4032×3024 is 3262 pixels,
    and structure from motion of such photos gives 3261. Else focal length times the sensor's resolution.

    Args:
        exif: tags by number.
        width: stored or upright width of the image as it is now.
        height: its height.
    """
    diagonal = math.hypot(width, height)
    equivalent = _positive(exif.get(_FOCAL_35MM))
    if equivalent is not None:
        return _centred(equivalent / _DIAGONAL_35MM * diagonal, width, height)
    focal_mm, per_unit = _positive(exif.get(_FOCAL_MM)), _positive(exif.get(_PLANE_X))
    unit = exif.get(_PLANE_UNIT, 2)
    taken = [_positive(exif.get(tag)) for tag in (_EXIF_WIDTH, _EXIF_HEIGHT)]
    if focal_mm is None or per_unit is None or not isinstance(unit, int) or unit not in _MM_PER_PLANE_UNIT:
        return None
    focal = focal_mm * per_unit / _MM_PER_PLANE_UNIT[unit]
    if taken[0] is not None and taken[1] is not None:
        focal *= diagonal / math.hypot(taken[0], taken[1])
    return _centred(focal, width, height)


def _centred(focal: float, width: int, height: int) -> Camera | None:
    plausible = 0.1 < focal / max(width, height) < 100
    return Camera(focal, focal, width / 2, height / 2, width, height) if plausible else None


def _positive(value: object) -> float | None:
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) and result > 0 else None
