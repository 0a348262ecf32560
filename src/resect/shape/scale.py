"""Metric scale of an object's mesh: from the camera's height over the ground, from a known size, or from depth."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera

_LEVEL = (0.0, -1.0, 0.0)
"""Up in a level camera's frame: its y axis points down."""


@dataclass(frozen=True)
class Standing:
    """An object that stands on the ground before a camera.

    Attributes:
        foot: where it touches the ground, camera frame, metres.
        distance: of the foot from the camera, metres.
        height: of the object, metres.
    """

    foot: tuple[float, float, float]
    distance: float
    height: float

    def meters_per_unit(self, mesh_height: float) -> float:
        """Scale of a mesh whose height is known in its own units."""
        return self.height / _positive("mesh height", mesh_height)


def standing(
    camera: Camera,
    box: tuple[float, float, float, float],
    camera_height: float,
    up_cam: Float[Tensor, "3"] | None = None,
    *,
    as_published: bool = False,
) -> Standing:
    """Where an object stands and how tall it is, from its visible box and the camera's height over the ground.

    The ray r_b through the box's lower middle meets the ground n·X = −h at X_b = −h r_b / (n·r_b). The top is taken at
    the foot's distance: the point of the vertical through X_b that is seen in the ray through the box's upper middle,
    H = argmin over (s, H) of |s r_t − (X_b + H n)|. For a level camera this is the depth of the foot times the
    difference of the two rays' slopes; tilted cameras give their own up. The foot is the nearest one, and what is
    tallest may stand behind it: then the height comes out a little short.

    Args:
        camera: intrinsics; the lens may be distorted.
        box: visible (left, top, right, bottom) in pixels, corners of the image at 0.
        camera_height: over the ground, metres.
        up_cam: the ground's normal in the camera's frame, upwards; by default the camera is level.
        as_published: take the foot's distance for its depth, as "Reconstruct, Rasterize and Backprop" does: H becomes
            longer by distance / depth, which may or may not make up for the above.

    Raises:
        ResectError: the foot is on or over the horizon, the box is upside down, the top is not over the foot.
    """
    left, top, right, bottom = box
    if not (right > left and bottom > top):
        raise ResectError("box", "left < right and top < bottom, in pixels", str(box))
    h = _positive("camera height", camera_height)
    up = torch.tensor(_LEVEL) if up_cam is None else up_cam
    n = torch.nn.functional.normalize(up.double(), dim=0)
    middle = 0.5 * (left + right)
    foot_ray, top_ray = camera.rays(torch.tensor([[middle, bottom], [middle, top]], dtype=torch.float64))
    falling = float(n @ foot_ray)
    if falling > -1e-6:
        fix = "Check the box, the ground's normal, and whether the object stands on the ground."
        raise ResectError("box: lower edge", "below the horizon", f"{bottom:g} px, at or above it", fix)
    foot = -h * foot_ray / falling
    # The point of the vertical nearest to the upper ray: two lines in space.
    across = float(n @ top_ray)
    height = float((across * (top_ray @ foot) - n @ foot) / max(1 - across**2, 1e-12))
    if not height > 0:
        fix = "Is the camera tilted? Give the ground's normal."
        raise ResectError("box: upper edge", "over the foot", f"{top:g} px", fix)
    x, y, z = foot.tolist()
    if as_published:
        height *= math.sqrt(x * x + y * y + z * z) / z
    return Standing((x, y, z), math.sqrt(x * x + y * y + z * z), height)


def from_size(mesh_size: float, known_size_m: float) -> float:
    """Metres per unit of a mesh, from one length known in both: height, width, diameter."""
    return _positive("known size", known_size_m) / _positive("size of the mesh", mesh_size)


def from_depth(
    rendered: Float[Tensor, "*b"], measured_m: Float[Tensor, "*b"], mask: Bool[Tensor, "*b"] | None = None
) -> tuple[float, float]:
    """Metres per unit, from measured depth and the depth that the mesh shows at its pose, and how far they agree.

    Both the mesh and its distance grow with the scale, so what is seen stays as it is and only the depth changes: the
    scale is the ratio, and its median forgives up to half of the pixels.

    Args:
        rendered: along the optical axis, mesh units; 0 where nothing is.
        measured_m: metres; 0 or not finite where unknown.
        mask: pixels to use.

    Returns:
        The scale, and the median relative deviation of the ratios from it.
    """
    known = (rendered > 0) & (measured_m > 0) & rendered.isfinite() & measured_m.isfinite()
    known = known if mask is None else known & mask
    if not bool(known.any()):
        raise ResectError("depth", "pixels where both depths are known", "none", "Check the pose and the mask.")
    ratio = measured_m[known].double() / rendered[known].double()
    scale = ratio.median()
    return float(scale), float((ratio / scale - 1).abs().median())


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ResectError(name, "more than 0", f"{value:g}")
    return value
