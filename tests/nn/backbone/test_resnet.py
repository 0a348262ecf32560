from pathlib import Path

import pytest
import torch

from resect.errors import ResectError
from resect.nn.backbone.resnet import ResNet, ResNetName
from resect.nn.backbone.weights import load_weights, read_checkpoint

# Numbers of parameters that torchvision states for its models, less their classifiers.
PUBLISHED = {"resnet18": 11_689_512 - 513_000, "resnet34": 21_797_672 - 513_000, "resnet50": 25_557_032 - 2_049_000}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_sizes_are_the_published_ones(name: ResNetName) -> None:
    network = ResNet(name)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[name]


def test_names_are_those_of_torchvision() -> None:
    names = set(ResNet("resnet18").state_dict())
    assert len(names) == 120
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv1.weight",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.running_var",
        "layer4.1.bn2.num_batches_tracked",
    } <= names
    assert not any(name.startswith("layer1.0.downsample") for name in names)
    assert {"layer1.0.downsample.0.weight", "layer4.2.conv3.weight"} <= set(ResNet("resnet50").state_dict())


def test_the_last_map_is_a_thirty_second() -> None:
    network = ResNet("resnet18", width=8).eval()
    with torch.no_grad():
        assert network.feature_map(torch.zeros(2, 3, 224, 160)).shape == (2, 64, 7, 5)
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, network.channels)


def test_weights_load_from_a_file_or_are_refused(tmp_path: Path) -> None:
    network, other = ResNet("resnet18", width=4), ResNet("resnet18", width=4)
    weights = {**network.state_dict(), "fc.weight": torch.zeros(10, 32), "fc.bias": torch.zeros(10)}
    torch.save(weights, tmp_path / "w.pth")
    load_weights(other, read_checkpoint(tmp_path / "w.pth"), "w.pth", ignore=("fc.",))
    assert torch.equal(other.layer3[0].conv1.weight, network.layer3[0].conv1.weight)
    with pytest.raises(ResectError, match=r"fc\.bias"):
        load_weights(other, weights, "w.pth")
    with pytest.raises(ResectError, match="missing"):
        load_weights(other, {}, "w.pth")
    with pytest.raises(ResectError, match="shape"):
        load_weights(ResNet("resnet18", width=8), network.state_dict(), "w.pth")
    spoilt = {k: torch.full_like(v, torch.nan) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    with pytest.raises(ResectError, match="finite"):
        load_weights(other, spoilt, "w.pth")


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": Harmful()}, tmp_path / "w.pt")
    for path in (tmp_path / "w.pt", tmp_path / "none.pt"):
        with pytest.raises(ResectError):
            read_checkpoint(path)
    (tmp_path / "noise.pt").write_bytes(b"noise")
    with pytest.raises(ResectError):
        read_checkpoint(tmp_path / "noise.pt")
    assert "run" not in capsys.readouterr().out
