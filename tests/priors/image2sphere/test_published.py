from pathlib import Path

import pytest
import torch
from tests.priors.image2sphere import as_published
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.priors.image2sphere.network import Image2SphereNetwork
from resect.priors.image2sphere.published import is_published, read_published
from resect.types import Photo, Target

L = 2


def write(folder: Path, model: dict[str, Tensor]) -> Path:
    path = folder / "checkpoint.pt"
    torch.save({"epoch": 39, "model_state_dict": model, "done": True}, path)
    return path


def choices() -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randperm(104, generator=g)[:20] for _ in range(8)]


@pytest.mark.parametrize(
    "variant", [{}, {"classes": 3}, {"pooled": True}, {"pooled": True, "classes": 2}, {"at_points": True}]
)
def test_a_checkpoint_answers_as_published(tmp_path: Path, variant: dict[str, int]) -> None:
    model = as_published.random_model(L, **variant)  # type: ignore[arg-type]
    prior = read_published(write(tmp_path, model))
    assert isinstance(prior.network, Image2SphereNetwork)
    label = torch.tensor([1, 0]) if "classes" in variant else None
    features = torch.rand(2, as_published.CHANNELS, as_published.SIZE, as_published.SIZE)
    found = prior.network.head(features, label)
    expected = as_published.answer(model, features, L, [] if "pooled" in variant else choices(), label)
    torch.testing.assert_close(found.double(), expected, atol=1e-4 * float(expected.abs().max()), rtol=0)
    assert prior.settings.side == (224 if "pooled" in variant else 64)
    assert prior.settings.class_label == ("classes" in variant)


def test_rotations_are_those_of_its_labels_and_pictures_keep_their_colours(tmp_path: Path) -> None:
    model = as_published.random_model(L)
    prior = read_published(write(tmp_path, model))
    network = prior.network
    assert isinstance(network, Image2SphereNetwork)
    picture = torch.rand(1, 3, 64, 64)
    seen = network.encoder.body.feature_map(picture)
    at = so3.random(4, generator=torch.Generator().manual_seed(0))
    expected = as_published.basis(at.double(), L) @ as_published.answer(model, seen, L, choices(), None)[0]
    torch.testing.assert_close(network.logits(network(picture)[0], at).double(), expected, atol=1e-3, rtol=1e-3)


def test_the_artefact_of_an_import_loads_and_answers(tmp_path: Path) -> None:
    from resect import zoo

    prior = read_published(write(tmp_path, as_published.random_model(L, classes=2)), ("cup", "ball"))
    prior.save(tmp_path / "made")
    again = zoo.load(tmp_path / "made")
    image = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    photo = Photo("a", image, target=Target("x", category="ball"))
    assert torch.equal(again.codes([photo])[0], prior.codes([photo])[0])


def test_other_checkpoints_are_refused_by_name(tmp_path: Path) -> None:
    model = as_published.random_model(L)
    assert is_published({"model_state_dict": model})
    assert not is_published({"model": model})
    assert not is_published(model)
    cases: list[tuple[dict[str, Tensor], str]] = [
        ({k: v for k, v in model.items() if k != "so3_conv.w"}, "so3_conv.w"),
        ({k: v for k, v in model.items() if k != "encoder.layers.5.0.conv1.weight"}, "weights of this network"),
        (model | {"projector.Y": model["projector.Y"] + 0.1}, "constants"),
        (model | {"so3_conv.D": model["so3_conv.D"].flip(0)}, "constants"),
        (model | {"so3_conv.w": model["so3_conv.w"][..., :100]}, "168"),
        ({k: v for k, v in model.items() if not k.startswith("projector.conv")}, "projector"),
        (model | {"feature_sphere.weight": torch.zeros(6, 8, 16)}, "constants"),
    ]
    for changed, said in cases:
        with pytest.raises(ResectError, match=said):
            read_published(write(tmp_path, changed))
    with pytest.raises(ResectError, match="categories"):
        read_published(write(tmp_path, model), ("a", "b"))
    torch.save([1], tmp_path / "checkpoint.pt")
    with pytest.raises(ResectError, match="model_state_dict"):
        read_published(tmp_path / "checkpoint.pt")
