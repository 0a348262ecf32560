"""Checkpoints of i-σSRN and of Scene Representation Networks: `{model, optimizer}`, weights under published names."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from resect.errors import ResectError
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned
from resect.scenes.sigma_srn.scene import SigmaSrn, ready
from resect.scenes.sigma_srn.settings import PublishedSigmaSrnSettings, SigmaSrnSettings

_HYPER = re.compile(r"^hyper_phi\.layers\.(\d)\.hyper_linear\.hypo_params\.net\.")
_OURS = re.compile(r"^hyper\.(\d)\.net\.")
_FIX = "Give the file that its training wrote, checkpoints/epoch_*_iter_*.pth."
_SINGLE = re.compile(r"^phi\.net\.(\d)\.")


def is_published(found: Any) -> bool:
    """Whether what was read is such a checkpoint."""
    model = found.get("model") if isinstance(found, dict) else None
    return isinstance(model, dict) and "ray_marcher.lstm.weight_ih" in model


def read_published(path: Path | str, learned: Learned) -> SigmaSrn:
    """A checkpoint as a scene; sizes are taken from its weights.

    Args:
        path: the file; files that hold code are refused.
        learned: names of the instances in the order of the codes, and from where they were seen, which the file does
            not say.
    """
    found = read_checkpoint(path)
    if not is_published(found) or not all(isinstance(v, Tensor) for v in found["model"].values()):
        raise ResectError(path, "a checkpoint of σSRN or SRN, weights under 'model'", "something else", _FIX)
    weights = {_renamed(k): v for k, v in found["model"].items()}
    settings, codes = _settings(weights, path), weights.get("latent_codes.weight")
    count = 1 if codes is None else len(codes)
    if count != len(learned.instances):
        fix = "Give the views that it was trained on, all of them: codes are in the order of their folders' names."
        raise ResectError(path, f"{len(learned.instances)} codes, one an instance", str(count), fix)
    network = SigmaSrnNetwork(settings, count, 0)
    load_weights(network, weights, path)
    return SigmaSrn(ready(network, settings), settings, learned)


def published_names(network: SigmaSrnNetwork) -> dict[str, Tensor]:
    """Weights under their published names."""
    return {
        re.sub(r"^phi\.(\d)\.", r"phi.net.\1.", _OURS.sub(r"hyper_phi.layers.\1.hyper_linear.hypo_params.net.", k)): v
        for k, v in network.state_dict().items()
    }


def _renamed(name: str) -> str:
    name = name.removeprefix("module.")
    return _SINGLE.sub(r"phi.\1.", _HYPER.sub(r"hyper.\1.net.", name))


def _settings(weights: dict[str, Tensor], path: Path | str) -> SigmaSrnSettings:
    try:
        state, width = weights["ray_marcher.out_layer.weight"].shape[1], weights["ray_marcher.lstm.weight_ih"].shape[1]
        codes = weights.get("latent_codes.weight")
    except (KeyError, IndexError) as error:
        raise ResectError(path, "the weights of a ray marcher", f"without {error}", _FIX) from None
    if any(k.startswith("pixel_generator.") and ".conv" in k for k in weights):
        raise ResectError(path, "a pixel generator of linear layers", "a U-Net", "Those are not read.")
    code = 0 if codes is None else codes.shape[1]
    weighted = any(k.startswith("sigma.") for k in weights)
    return replace(PublishedSigmaSrnSettings(), code=code, width=width, state=state, weighted=weighted)
