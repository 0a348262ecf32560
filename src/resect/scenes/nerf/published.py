"""Released NeRF checkpoints: `{network_fn_state_dict, network_fine_state_dict, …}` in a .tar file, which is no archive.

They hold weights alone: neither intrinsics nor bounds nor what is behind everything. Synthetic scenes lie in their
file's world, from 2 to 6 before the cameras, on white; captures that look ahead (LLFF) are warped in the frame of their
mean camera, which takes the photos they were learned from.

Of a network that sees no directions and has five outputs the fifth has no use, nor has its layer of directions.

What differs from nerf-pytorch: near and far of unwarped scenes are distances along a ray, not depths; rays go through
the middles of pixels, not through their corners.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.sim3 import Sim3
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.scenes.nerf.bounds import seen_box
from resect.scenes.nerf.march import CoarseAndFine
from resect.scenes.nerf.scene import Nerf, ready
from resect.scenes.nerf.settings import NerfSettings, PublishedNerfSettings
from resect.scenes.nerf.space import Space, ahead
from resect.types import PhotoSet

_COARSE, _FINE = "network_fn_state_dict", "network_fine_state_dict"
_LAYER = "pts_linears.{}.weight"
_MOST_NAMED = 8


@dataclass(frozen=True)
class Lying:
    """What a checkpoint does not say.

    Attributes:
        near, far: first and last sample before a camera, the file's units; those of photos that say their depth range
            are warped and need neither.
        background: behind everything.
        samples, finer_samples: along each ray.
    """

    near: float = 2.0
    far: float = 6.0
    background: Literal["white", "black"] = "white"
    samples: int = 64
    finer_samples: int = 128


def is_published(found: object) -> bool:
    """Whether what a file holds looks like one of these checkpoints."""
    return isinstance(found, dict) and isinstance(found.get(_COARSE), dict)


def read_published(path: Path | str, lying: Lying | None = None, photos: PhotoSet | None = None) -> Nerf:
    """A released NeRF; sizes are taken from its weights.

    Args:
        path: the .tar file.
        lying: where it lies.
        photos: all that it was learned from, held-out ones too: the frame of a warped one is that of their mean camera.

    Raises:
        ResectError: it is of another architecture, naming what does not fit.
    """
    lying, found = lying or Lying(), read_checkpoint(path)
    if not is_published(found):
        raise ResectError(path, f"a NeRF's {_COARSE}", "something else")
    coarse, fine = found[_COARSE], found.get(_FINE)
    settings = _settings(coarse, lying if isinstance(fine, dict) else replace(lying, finer_samples=0), path)
    networks = CoarseAndFine(settings, 0)
    for name, weights in (("coarse", coarse), ("fine", fine)):
        network = getattr(networks, name)
        if network is not None:
            load_weights(network, _useful(weights, settings), f"{path}: {name}")
    level = 1.0 if lying.background == "white" else 0.0
    space = _space(lying, photos)
    reach = 0.5 * (lying.far - lying.near)
    made = Nerf(ready(networks, settings), space, (level,) * 3, torch.tensor([[-reach] * 3, [reach] * 3]), settings)
    if photos is not None:
        made.bounds = seen_box(made, photos, reach)
    return made


def _settings(weights: Mapping[str, Any], lying: Lying, where: object) -> NerfSettings:
    """Sizes, from shapes."""
    depth = 0
    while _LAYER.format(depth) in weights:
        depth += 1
    seen = "feature_linear.weight" in weights
    try:
        width, place = weights[_LAYER.format(0)].shape
        view = weights["views_linears.0.weight"].shape[1] - width if seen else 3
        octaves, view_octaves = ((n - 3) // 6 for n in (place, view))
    except (KeyError, ValueError, AttributeError):
        got = ", ".join(sorted(map(str, weights))[:_MOST_NAMED]) or "no weights"
        raise ResectError(where, "weights of a NeRF: pts_linears.0.weight, …", got[:200]) from None
    if place != 3 + 6 * octaves or view != 3 + 6 * view_octaves:
        raise ResectError(where, "Fourier encodings: 3 + 6 L inputs", f"{place} and {view}")
    return replace(
        PublishedNerfSettings(),
        depth=depth,
        width=width,
        octaves=octaves,
        view_octaves=view_octaves,
        view_directions=seen,
        samples=lying.samples,
        finer_samples=lying.finer_samples,
        in_disparity=False,
        background=lying.background,
    )


def _useful(weights: Mapping[str, Tensor], s: NerfSettings) -> dict[str, Tensor]:
    if s.view_directions:
        return dict(weights)
    kept = {k: v for k, v in weights.items() if not k.startswith("views_linears.")}
    return {k: v[:4] if k.startswith("output_linear.") else v for k, v in kept.items()}


def _space(lying: Lying, photos: PhotoSet | None) -> Space:
    if photos is not None and photos.world.depth_range is not None:
        return ahead(photos.truth.cam_from_world, photos.cameras[0], photos.world.depth_range[0])
    if not 0 < lying.near < lying.far:
        fix = "Exchange --near and --far: they are the least and the greatest distance of a sample from its camera."
        raise ResectError("--near", "0 < near < far", f"near {lying.near:g}, far {lying.far:g}", fix)
    return Space(Sim3.identity(torch.float64), lying.near, lying.far)
