"""Released checkpoints of Occupancy Networks: `{epoch_it, it, loss_val_best, model, optimizer}` in a .pt file."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from resect.errors import ResectError
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.shape.network import OccupancyNetwork
from resect.shape.occupancy import Occupancy
from resect.shape.settings import OccupancySettings, PublishedOccupancySettings


def read_published(path: Path | str) -> Occupancy:
    """A released network for pictures or for point clouds; sizes are taken from its weights.

    Older files, whose conditioning layers are called `fc_gamma` and `fc_beta`, are read too. Networks with a latent z
    or a voxel encoder are refused.
    """
    found = read_checkpoint(path)
    model = found.get("model", found) if isinstance(found, dict) else None
    if not isinstance(model, dict) or not all(isinstance(v, Tensor) for v in model.values()):
        fix = "Other networks than those are not read: 'resect import --help' lists them."
        raise ResectError(path, "a checkpoint with the weights under 'model'", "something else", fix)
    weights = {_renamed(name): tensor for name, tensor in model.items()}
    settings = _settings(weights, path)
    network = OccupancyNetwork(settings)
    load_weights(network, {k: _as_convolution(k, v) for k, v in weights.items()}, path)
    return Occupancy(network, settings)


def _renamed(name: str) -> str:
    return name.removeprefix("module.").replace("fc_gamma", "conv_gamma").replace("fc_beta", "conv_beta")


def _as_convolution(name: str, tensor: Tensor) -> Tensor:
    """A layer of the decoder as a convolution of width 1, which older files keep as a matrix."""
    return (
        tensor[..., None] if name.startswith("decoder.") and name.endswith(".weight") and tensor.ndim == 2 else tensor
    )


def _settings(weights: dict[str, Tensor], path: Path | str) -> OccupancySettings:
    """What the released network was built with, from the names and sizes of its weights."""
    if any(name.startswith(("encoder_latent.", "decoder.fc_z.")) for name in weights):
        raise ResectError(path, "a network without a latent z", "one with it", "Unconditional models are not read.")
    if not {"decoder.fc_p.weight", "decoder.bn.conv_gamma.weight"} <= weights.keys():
        known = "weights of a NeRF, a network of rotations, a category or an occupancy network, as they were released"
        raise ResectError(path, known, f"{', '.join(sorted(weights)[:3]) or 'none'}, …")
    width, code = weights["decoder.bn.conv_gamma.weight"].shape[:2]
    blocks = len({name.split(".")[1] for name in weights if name.startswith("decoder.block")})
    published = replace(PublishedOccupancySettings(), code=code, width=width, blocks=blocks)
    if "encoder.fc_pos.weight" in weights:
        return replace(published, input="points", pool=False)
    if "encoder.features.conv1.weight" not in weights:
        raise ResectError(path, "an encoder of pictures (ResNet) or of points (PointNet)", "another one")
    if "encoder.features.layer1.0.conv3.weight" in weights:
        return replace(published, encoder="resnet50")
    deep = "encoder.features.layer1.2.conv1.weight" in weights
    return replace(published, encoder="resnet34" if deep else "resnet18")
