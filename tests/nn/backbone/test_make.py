import hashlib
import json
import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch.nn import functional

from resect.errors import ResectError
from resect.nn.backbone.make import Backbone, BackboneName, find_weights, make_backbone
from resect.nn.backbone.mobilenet import SameConv2d
from resect.nn.backbone.weights import read_checkpoint

# Numbers of parameters that torchvision states for its models, less their classifiers.
PUBLISHED = {
    "mobilenet_v2": 3_504_872 - 1_281_000,
    "tf_mobilenet_v2": 3_504_872 - 1_281_000,
    "efficientnet_b0": 5_288_548 - 1_281_000,
    "resnet18": 11_689_512 - 513_000,
    "resnet101": 44_549_160 - 2_049_000,
    "vgg16": 138_357_544 - 123_642_856,
}
NAMES = {
    "mobilenet_v2": {
        "features.0.0.weight",
        "features.1.conv.0.0.weight",
        "features.1.conv.1.weight",
        "features.2.conv.1.1.running_var",
        "features.17.conv.3.bias",
        "features.18.1.num_batches_tracked",
    },
    "efficientnet_b0": {
        "features.0.1.running_mean",
        "features.1.0.block.1.fc1.weight",
        "features.2.0.block.3.1.weight",
        "features.7.0.block.2.fc2.bias",
        "features.8.0.weight",
    },
    "vgg16": {"features.0.weight", "features.28.bias"},
    "resnet101": {"layer3.22.bn3.weight"},
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_sizes_and_names_are_those_of_torchvision(name: BackboneName) -> None:
    with torch.device("meta"):
        body = Backbone(name).body
    assert sum(p.numel() for p in body.parameters()) == PUBLISHED[name]
    assert NAMES.get(name, set()) <= set(body.state_dict())


@pytest.mark.parametrize("name", get_args(BackboneName))
def test_maps_have_the_stated_channels_and_strides(name: BackboneName) -> None:
    with torch.device("meta"):
        network = Backbone(name).eval()
        found = network.maps(torch.zeros(2, 3, 64, 96))
    assert sorted(found) == [2, 4, 8, 16, 32]
    for stride, features in found.items():
        assert features.shape == (2, network.map_channels[stride], 64 // stride, 96 // stride)


@pytest.mark.parametrize("size", [7, 8, 9, 10])
def test_same_padding_adds_the_odd_zero_at_the_end(size: int) -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, size, size, generator=g)
    conv = SameConv2d(3, 4, 3, 2, 1, bias=False)
    spare = 1 if size % 2 == 0 else 2
    padded = functional.pad(x, (spare // 2, spare - spare // 2) * 2)
    assert torch.equal(conv(x), functional.conv2d(padded, conv.weight, stride=2))
    assert conv(x).shape[-1] == -(-size // 2)


def test_weights_come_from_a_file_or_an_address_with_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    network = make_backbone("mobilenet_v2")
    weights = {**network.body.state_dict(), "classifier.1.weight": torch.zeros(3, 3)}
    file = tmp_path / "w.pth"
    torch.save(weights, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for source in (str(file), f"{file.as_uri()}#sha256={digest}", f"{file.as_uri()}#sha256={digest}"):
        again = make_backbone("mobilenet_v2", source)
        assert torch.equal(again.body.features[18][0].weight, network.body.features[18][0].weight)
    assert find_weights("mobilenet_v2", f"{file.as_uri()}#sha256={digest}").parent == tmp_path / "cache/resect/weights"
    with pytest.raises(ResectError, match="sha256"):
        make_backbone("mobilenet_v2", file.as_uri())
    with pytest.raises(ResectError, match="SHA-256"):
        make_backbone("mobilenet_v2", f"{file.as_uri()}#sha256={'0' * 64}")
    with pytest.raises(ResectError, match="file"):
        make_backbone("tf_mobilenet_v2", "imagenet")
    with pytest.raises(ResectError, match="mobilenet_v2"):
        make_backbone("mobilenet_v3")  # type: ignore[arg-type]


def quantized(tmp_path: Path) -> tuple[Path, Backbone]:
    network = make_backbone("tf_mobilenet_v2")
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    convs = [m for m in network.body.modules() if isinstance(m, torch.nn.Conv2d)]
    for i, conv in enumerate(convs):
        out = conv.weight.shape[0]
        arrays[f"{i:02d}.w_int8"] = rng.integers(-127, 128, conv.weight.shape).astype(np.int8)
        arrays[f"{i:02d}.scale"] = rng.uniform(0.001, 0.01, out).astype(np.float32)
        arrays[f"{i:02d}.bias"] = rng.normal(size=out).astype(np.float32)
    np.savez(tmp_path / "w.npz", **arrays)
    return tmp_path / "w.npz", network


def test_int8_weights_are_scaled_and_their_bias_added(tmp_path: Path) -> None:
    path, _ = quantized(tmp_path)
    made = make_backbone("tf_mobilenet_v2", str(path)).eval()
    with np.load(path) as file:
        first = torch.from_numpy(file["00.w_int8"] * file["00.scale"][:, None, None, None])
        bias = torch.from_numpy(file["00.bias"])
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = functional.conv2d(functional.pad(2 * image - 1, (0, 1, 0, 1)), first, bias, stride=2).clamp(0, 6)
    torch.testing.assert_close(made.body.features[0](2 * image - 1), expected)
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ResectError):
        make_backbone("tf_mobilenet_v2", str(tmp_path / "cut.npz"))


def test_published_int8_weights_are_those_of_their_graph() -> None:
    """An independent walk through the graph as it is written gives the same features."""
    folder = Path(os.environ.get("RESECT_TEST_DATA", "")) / "weights" / "mobilenet_v2_imagenet"
    if not folder.is_dir():
        pytest.skip("RESECT_TEST_DATA with weights/mobilenet_v2_imagenet is not there")
    graph = json.loads((folder / "mobilenet_v2_graph.json").read_text())["graph"]
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    values = {graph[0]["inp"]: 2 * image - 1}
    with np.load(folder / "mobilenet_v2_imagenet_int8.npz") as file:
        for op in graph:
            if op["op"] == "add":
                values[op["out"]] = values[op["inp"][0]] + values[op["inp"][1]]
            elif op["op"] in ("conv", "dw"):
                weight = torch.from_numpy(file[f"{op['key']}.w_int8"] * file[f"{op['key']}.scale"][:, None, None, None])
                x, side = values[op["inp"]], op["k"]
                spare = (side - 1 if op["stride"] == 1 else 1) if side > 1 else 0
                x = functional.pad(x, (spare // 2, spare - spare // 2) * 2)
                groups = op["cin"] if op["op"] == "dw" else 1
                y = functional.conv2d(
                    x, weight, torch.from_numpy(file[f"{op['key']}.bias"]), stride=op["stride"], groups=groups
                )
                values[op["out"]] = y.clamp(0, 6) if op["relu6"] else y
                if op["cout"] == 1280:
                    last = values[op["out"]]
                    break
    network = make_backbone("tf_mobilenet_v2", str(folder / "mobilenet_v2_imagenet_int8.npz")).eval()
    with torch.no_grad():
        torch.testing.assert_close(network.maps(image)[32], last, rtol=1e-3, atol=1e-3)


def test_what_is_no_checkpoint_is_refused_in_our_own_words(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("run",))

    torch.save({"weights": Code()}, tmp_path / "code.pt")
    (tmp_path / "text.pt").write_text("hello")
    for name in ("code.pt", "text.pt"):
        with pytest.raises(ResectError, match="of another kind") as caught:
            read_checkpoint(tmp_path / name)
        assert "weights_only" not in str(caught.value)  # PyTorch's advice is to run what is in there


def test_wide_maps_are_what_the_next_block_expands() -> None:
    made = make_backbone("mobilenet_v2").eval()
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, wide, to_16 = made.maps(image), made.wide_maps(image), made.wide_maps(image, 16)
        expanded = made.body.features[7].conv[0](plain[8])  # type: ignore[index, union-attr]
    assert {k: v.shape[1] for k, v in wide.items()} == made.wide_channels()
    assert {k: v.shape[1] for k, v in to_16.items()} == {k: v for k, v in made.wide_channels(16).items() if k < 32}
    assert torch.equal(wide[8], expanded)
    assert torch.equal(to_16[16], plain[16])
    vgg = make_backbone("vgg16").eval()
    assert vgg.wide_channels() == vgg.map_channels
