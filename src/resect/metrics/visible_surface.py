"""Visible surface discrepancy: how far apart two depth images of an object are where the scene shows it.

Reference: Hodaň et al., "BOP: Benchmark for 6D object pose estimation", ECCV 2018, with the visibility of BOP 2019,
where a pixel without measured depth hides nothing.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry.camera import Camera

TAUS = tuple(round(0.05 * k, 2) for k in range(1, 11))
"""Misalignment tolerances of BOP 2019, in diameters."""
DELTA_M = 0.015
"""Tolerance of the visibility test of BOP 2019 in metres; ITODD uses 0.005."""


def vsd(
    estimate: Float[Tensor, "b h w"],
    truth: Float[Tensor, "b h w"],
    scene: Float[Tensor, "b h w"],
    camera: Camera,
    *,
    diameter: float,
    delta: float,
    taus: tuple[float, ...] = TAUS,
) -> Float[Tensor, "b t"]:
    """Share of the visible pixels, of both poses together, that do not agree within tau diameters; one column a tau.

    Args:
        estimate: depth along the optical axis of the object at the estimated poses; 0 where it is not.
        truth: the same at the true poses.
        scene: measured depth; 0 where there is none.
        camera: of all images.
        diameter: of the object, in the depth's units.
        delta: tolerance of the visibility test, same units; see `DELTA_M`.
        taus: misalignment tolerances, in diameters.

    Returns:
        Errors in [0, 1]; 1 where neither pose shows anything.
    """
    stretch = distance_per_depth(camera, estimate)
    d_estimate, d_truth, d_scene = (depth.double() * stretch for depth in (estimate, truth, scene))
    seen_truth = visible(d_truth, d_scene, delta)
    seen_estimate = visible(d_estimate, d_scene, delta) | (seen_truth & (d_estimate > 0))
    both, either = seen_truth & seen_estimate, (seen_truth | seen_estimate).sum((1, 2))
    apart = (d_estimate - d_truth).abs() / diameter
    wrong = torch.stack([(both & (apart >= tau)).sum((1, 2)) for tau in taus], -1)
    wrong = wrong + (either - both.sum((1, 2)))[:, None]
    return torch.where(either[:, None] == 0, 1.0, wrong.double() / either.clamp_min(1)[:, None])


def visible(model: Float[Tensor, "b h w"], scene: Float[Tensor, "b h w"], delta: float) -> Bool[Tensor, "b h w"]:
    """Where the model is not more than `delta` behind what was measured, or nothing was measured. Distance images."""
    behind = model.float() - scene.float()  # float32 as in the BOP toolkit, which decides ties alike
    return ((behind <= delta) | (scene == 0)) & (model > 0)


def distance_per_depth(camera: Camera, like: Tensor) -> Float[Tensor, "h w"]:
    """Distance from the camera's centre per unit of depth along the optical axis, at each pixel's centre."""
    rays = camera.rays(camera.pixels(dtype=torch.float64))
    return (1 / rays[:, 2]).view(camera.height, camera.width).to(like.device)
