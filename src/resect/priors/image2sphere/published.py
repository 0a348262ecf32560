"""Released checkpoints of Image2Sphere: `{epoch, model_state_dict, …}` in a .pt file.

Constants that they hold beside the weights are compared with ours, not stored. What becomes of the weights:

    encoder.layers.{0, 1, 4 … 7}     the ResNet's conv1, bn1, layer1 … layer4
    projector.conv1x1                mixes features before the lift; columns beyond the encoder's are a label's
    projector.weight                 how the map's cells come to the sphere's points
    feature_sphere.weight            the first filter, as harmonics, or as values at 48 points of the sphere
    so3_conv.w                       the second filter at 168 rotations, of which 21 are there twice: their sum
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.harmonics import spherical_harmonics
from resect.geometry.healpix import ring_centers
from resect.geometry.so3_series import basis
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.nn.spherical.convolution import ring_rotations
from resect.nn.spherical.lift import half_sphere
from resect.nn.spherical.rectify import GAIN
from resect.priors.image2sphere.network import Image2SphereNetwork
from resect.priors.image2sphere.prior import KIND
from resect.priors.image2sphere.settings import Image2SphereSettings, PublishedImage2SphereSettings
from resect.priors.rotations.prior import RotationPrior, ready

RECTIFIER = 1.4163393446331365
"""What e3nn multiplies max(x, 0) by: √2, estimated from a million draws of a fixed seed. It is not in the file."""
_STAGES = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_NAMES: dict[tuple[int, bool], Literal["resnet18", "resnet34", "resnet50", "resnet101"]] = {
    (2, False): "resnet18",
    (6, False): "resnet34",
    (6, True): "resnet50",
    (23, True): "resnet101",
}
_TOLERANCE = 1e-3


def is_published(found: object) -> bool:
    """Whether what a file holds looks like one of these checkpoints."""
    model = found.get("model_state_dict") if isinstance(found, dict) else None
    return isinstance(model, dict) and "so3_conv.w" in model


def read_published(path: Path | str, categories: tuple[str, ...] = ()) -> RotationPrior:
    """A released network; sizes are taken from its weights. Rotations are asked for as its labels give them.

    Args:
        path: the .pt file.
        categories: names of the classes of its label, in order; numbers when not given.
    """
    found = read_checkpoint(path)
    model = found.get("model_state_dict") if isinstance(found, dict) else None
    if not isinstance(model, dict) or not all(isinstance(v, Tensor) for v in model.values()):
        fix = "Give the checkpoint.pt of a training run, not its weights alone."
        raise ResectError(path, "a checkpoint with the weights under 'model_state_dict'", "something else", fix)
    for name in ("encoder.layers.0.weight", "feature_sphere.weight", "so3_conv.w"):
        if name not in model:
            fix = "Is it a checkpoint of another method?"
            raise ResectError(path, f"the weights of Image2Sphere, with '{name}'", "others", fix)
    settings, classes = _settings(model, path)
    _check_constants(model, settings.lmax, path)
    network = Image2SphereNetwork(settings, max(1, classes))
    load_weights(network, _converted(model, network, classes, path), path)
    names = categories or tuple(str(i) for i in range(classes)) or ("object",)
    if len(names) != max(1, classes):
        fix = "Name the classes in the order of its label, or leave --categories away."
        raise ResectError(f"{path}: categories", f"{max(1, classes)} names", f"{len(names)}", fix)
    return RotationPrior(KIND, ready(network, settings), settings, names)


def _settings(model: Mapping[str, Tensor], path: Path | str) -> tuple[Image2SphereSettings, int]:
    """What the network was built with, and how many classes its label knows (0 for none)."""
    blocks = len({n.split(".")[3] for n in model if n.startswith("encoder.layers.6.")})
    deep = "encoder.layers.4.0.conv3.weight" in model
    if (blocks, deep) not in _NAMES:
        fix = "Other encoders were not published; train one: resect fit image2sphere-full DATA."
        raise ResectError(path, "an encoder ResNet-18, -34, -50 or -101", f"{blocks} blocks in its third stage", fix)
    pooled = "projector.lin1.weight" in model
    mix = model.get("projector.lin1.weight" if pooled else "projector.conv1x1.weight")
    map_to_points = model.get("projector.weight")
    if mix is None or (not pooled and (map_to_points is None or map_to_points.ndim != 5)):
        fix = "Was it changed? Other projections are not read; train one: resect fit image2sphere-full."
        raise ResectError(path, "a projector with conv1x1 and weight, or lin1 and lin2", "another one", fix)
    features, hidden, numbers = model["feature_sphere.weight"].shape
    lmax = math.isqrt(numbers) - 1 if numbers != 48 else _lmax_of(model, path)
    angles = model.get("so3_activation.grid_in.alpha")
    s = replace(
        PublishedImage2SphereSettings(),
        encoder=_NAMES[blocks, deep],
        lmax=lmax,
        features=features,
        hidden=hidden,
        resolution=10 if angles is None else len(angles) // 4,
        projection="pooled" if pooled else "orthographic",
        points=0 if pooled else 20,
        side=32 * map_to_points.shape[2] if map_to_points is not None else 224,
        equivariant=False,
    )
    classes = mix.shape[1] - (2048 if deep else 512)
    return replace(s, class_label=classes > 0), classes


def _lmax_of(model: Mapping[str, Tensor], path: Path | str) -> int:
    """Of a network whose first filter is given at points: from the harmonics at the sphere's points."""
    if "projector.Y" not in model:
        fix = "Save its whole state_dict, constants and all."
        raise ResectError(path, "the harmonics 'projector.Y', which tell the greatest degree", "none", fix)
    return math.isqrt(model["projector.Y"].shape[1]) - 1


def _converted(
    model: Mapping[str, Tensor], network: Image2SphereNetwork, classes: int, path: Path | str
) -> dict[str, Tensor]:
    """The weights under our names."""
    weights: dict[str, Tensor] = {}
    for name, tensor in model.items():
        if name.startswith("encoder.layers."):
            stage, _, rest = name.removeprefix("encoder.layers.").partition(".")
            weights[f"encoder.body.{_STAGES.get(stage, stage)}.{rest}"] = tensor
    pooled = "projector.lin1.weight" in model
    ours, theirs = ("first", "lin1") if pooled else ("mix", "conv1x1")
    mix = model[f"projector.{theirs}.weight"]
    channels = network.encoder.channels
    weights[f"head.lift.{ours}.weight"] = mix[:, :channels]
    weights[f"head.lift.{ours}.bias"] = model[f"projector.{theirs}.bias"]
    if classes > 0:
        weights["head.lift.label.weight"] = mix[:, channels:].flatten(1).mT.contiguous()
    if pooled:
        for part in ("weight", "bias"):
            weights[f"head.lift.second.{part}"] = model[f"projector.lin2.{part}"]
    else:
        weights["head.lift.resample"] = model["projector.weight"].flatten(0, 3)
    first = model["feature_sphere.weight"]
    if first.shape[-1] == 48:
        first = first @ spherical_harmonics(ring_centers(2), network.lmax).to(first) / math.sqrt(48)
    weights["head.first.filter"] = first * (RECTIFIER / GAIN) if pooled else first
    weights["head.second.filter"] = _merged(model["so3_conv.w"], path) * (RECTIFIER / GAIN)
    return weights


def _merged(filter_values: Tensor, path: Path | str) -> Tensor:
    """Values at 168 rotations, of which each eighth is the same as that seven before, as values at 147."""
    if filter_values.ndim != 3 or filter_values.shape[2] != 168:
        fix = "It was made with another filter; only the published ring of 168 is read."
        raise ResectError(f"{path}: so3_conv.w", "values at 168 rotations", str(tuple(filter_values.shape)), fix)
    turns = filter_values.unflatten(2, (21, 8))
    found = turns[..., :7].clone()
    found[..., 0] += turns[..., 7]
    return found.flatten(2) * math.sqrt(147 / 168)


def _check_constants(model: Mapping[str, Tensor], lmax: int, path: Path | str) -> None:
    """That the file's harmonics are those that its weights are read with."""
    expected: dict[str, Any] = {}
    if "projector.Y" in model:
        expected["projector.Y"] = spherical_harmonics(half_sphere(), lmax)
    if "so3_conv.D" in model:
        eight = ring_rotations().unflatten(0, (21, 7))
        expected["so3_conv.D"] = basis(torch.cat([eight, eight[:, :1]], 1).flatten(0, 1), lmax)
    for name, ours in expected.items():
        theirs = model[name]
        if theirs.shape != ours.shape or float((theirs.double() - ours).abs().max()) > _TOLERANCE:
            fix = "It was made with another e3nn, or with other settings; it cannot be read."
            raise ResectError(f"{path}: {name}", "the constants that its weights belong to", "others", fix)
