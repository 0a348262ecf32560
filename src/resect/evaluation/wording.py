"""Numbers as people read them: one place for the digits and units of tables, reports and the command line."""

import math
from typing import TYPE_CHECKING

from resect.metrics.pose import median

if TYPE_CHECKING:
    from resect.evaluation.score import Score


def angle(degrees: float | None) -> str:
    """E.g. "0.052°"; "–" for infinity."""
    return "–" if degrees is None or not math.isfinite(degrees) else f"{_digits(degrees)}°"


def length(units: float | None, meters_per_unit: float | None) -> str:
    """E.g. "1.3 cm", or "0.0042 units" where a unit has no metres; "–" for infinity."""
    if units is None or not math.isfinite(units):
        return "–"
    if meters_per_unit is None:
        return f"{_digits(units)} units"
    meters = units * meters_per_unit
    return f"{_digits(100 * meters)} cm" if meters < 1 else f"{_digits(meters)} m"


def duration(seconds: float | None) -> str:
    """E.g. "0.31 s"; "–" where unknown."""
    if seconds is None:
        return "–"
    return f"{1000 * seconds:.0f} ms" if seconds < 0.0995 else f"{seconds:.2f} s"


def percent(share: float) -> str:
    """E.g. "97.9 %"."""
    return f"{100 * share:.1f} %"


def recall_name(key: str) -> str:
    """E.g. "5°, 5 cm" of "5deg_5cm"."""
    rotation, translation = key.split("_")
    for word, text in (("scale", " scale"), ("unit", " unit"), ("cm", " cm")):
        translation = translation.replace(word, text)
    return f"{rotation.replace('deg', '°')}, {translation}"


def _digits(value: float) -> str:
    """Two significant digits, three from one on; never in powers of ten."""
    if value < 1e-6 or value >= 100:
        return f"{value:.0f}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}" if value < 1 else f"{value:.{2 if value < 10 else 1}f}"


def score_lines(score: "Score") -> list[str]:
    """A score in a few lines."""
    count = len(score.photos)
    start = " (oracle starts)" if any(p.oracle for p in score.photos) else ""
    rotation, translation = median(score.rotation_deg), median(score.translation)
    relative = f" = {_digits(translation / score.scene_scale)} of the scene's scale" if score.scene_scale else ""
    relative = relative if math.isfinite(translation) else ""
    lines = [
        f"{count} photos{start}: {count - score.failed} answered, {score.failed} failed, "
        f"{score.accepted_wrong} accepted wrong",
        f"median error {angle(rotation)}, {length(translation, score.meters_per_unit)}{relative}",
        "within " + "; ".join(f"{recall_name(k)}: {percent(v)}" for k, v in score.recalls.items()),
    ]
    if {"5deg_0.05scale", "5deg_0.05unit"} <= set(score.recalls):
        lines.append(
            "  (scale: as a part of the scene's scale; unit: in the data's own units, as some publications do)"
        )
    copies = sum(p.status == "NOT_IMPROVED" for p in score.photos)
    if copies:
        lines.append(f"the start itself was the answer (NOT_IMPROVED): {copies}")
    inside = score.inside
    if inside is not None:
        lines.append(
            f"90 % ellipsoid holds {percent(inside.value)} of {inside.count} truths "
            f"(95 % interval {percent(inside.low)} to {percent(inside.high)})"
        )
    if score.seconds_per_photo is not None:
        loading = "" if score.load_seconds is None else f", after {duration(score.load_seconds)} of loading"
        lines.append(f"{duration(score.seconds_per_photo)} a photo{loading}")
    if score.prior:
        lines.append("starts from " + ", ".join(f"{name} ({n})" for name, n in score.prior.items()))
    return [*lines, *(f"note: {note}" for note in score.notes)]
