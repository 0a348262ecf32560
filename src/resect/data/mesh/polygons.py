"""Polygons as files hold them (corners one after the other) become triangles."""

import numpy as np
from jaxtyping import Float, Int

from resect.geometry.mesh import Material

_MOST_FACE_COLORS = 256


def fan(count: Int[np.ndarray, "p"]) -> tuple[Int[np.ndarray, "t 3"], Int[np.ndarray, "t"]]:
    """Triangles (0, i, i + 1) of each polygon, right for convex ones; fewer than three corners give none.

    Args:
        count: corners of each polygon.

    Returns:
        For each triangle its three places in the list of all corners, and the number of its polygon.
    """
    triangles = np.maximum(count - 2, 0)
    polygon = np.repeat(np.arange(len(count)), triangles)
    step = np.arange(len(polygon)) - np.repeat(triangles.cumsum() - triangles, triangles)
    first = (count.cumsum() - count)[polygon]
    return np.stack([first, first + step + 1, first + step + 2], 1), polygon


def color_range(colors: Float[np.ndarray, "*n"], full: float | None = None) -> Float[np.ndarray, "*n"]:
    """Colours in [0, 1]: divided by `full`, or by 255 where they are floats that go beyond 1."""
    found = colors[np.isfinite(colors)]
    if full is None:
        full = 255.0 if found.size and found.max() > 1 else 1.0
    return (np.nan_to_num(colors, nan=0.7 * full) / full).clip(0, 1)


def color_faces(
    colors: Float[np.ndarray, "t 3"], faces: Int[np.ndarray, "t 3"], vertices: int
) -> tuple[tuple[Material, ...], Int[np.ndarray, "t"] | None, Float[np.ndarray, "v 3"] | None]:
    """A colour for each face: as materials while they are few, otherwise as the mean around each vertex.

    Returns:
        Materials with the material of each face, or colours of the vertices.
    """
    distinct, which = np.unique(colors.round(4), axis=0, return_inverse=True)
    if len(distinct) <= _MOST_FACE_COLORS:
        return tuple(Material(tuple(c)) for c in distinct.tolist()), which.reshape(-1), None
    corner = faces.ravel()
    around = np.bincount(corner, minlength=vertices).clip(1)
    total = [np.bincount(corner, np.repeat(c, 3), minlength=vertices) for c in colors.T]
    return (Material(),), None, np.stack(total, 1) / around[:, None]
