"""Weights in bytes."""

from pathlib import Path

import pytest
import torch

from resect import artifact
from resect.errors import ResectError
from resect.int8 import quantized, restored


def weights() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    large = torch.randn(32, 8, 3, 3, generator=g) * torch.logspace(-3, 3, 32)[:, None, None, None]
    large[5] = 0
    return {"conv": large, "bias": torch.randn(4096, generator=g), "few": torch.randn(4, 4), "count": torch.arange(9)}


def test_numbers_come_back_within_half_a_scale_and_small_ones_untouched() -> None:
    before = weights()
    after = restored(quantized(before), "here")
    assert after.keys() == before.keys()
    for name in ("bias", "few", "count"):
        assert torch.equal(after[name], before[name])
    most = before["conv"].flatten(1).abs().amax(1)
    off = (after["conv"] - before["conv"]).flatten(1).abs().amax(1)
    assert (off <= most / 254 * 1.001).all()
    assert not after["conv"][5].any()


def test_an_artefact_is_a_quarter_as_large_and_reads_alike(tmp_path: Path) -> None:
    plain, small = tmp_path / "plain", tmp_path / "small"
    made = {"w": torch.randn(256, 256, generator=torch.Generator().manual_seed(1))}
    artifact.save(plain, "field", {}, made)
    artifact.save(small, "field", {}, quantized(made))
    size = {p: (p / "weights.safetensors").stat().st_size for p in (plain, small)}
    assert size[small] < 0.26 * size[plain]
    found = artifact.load(small).tensor("w", (256, 256), torch.float32)
    torch.testing.assert_close(found, made["w"], atol=0.02, rtol=0)


def test_a_scale_that_does_not_fit_is_refused() -> None:
    made = quantized(weights())
    for wrong in (
        {**made, "conv/scale": made["conv/scale"][:3]},
        {**made, "few/scale": torch.ones(4)},
    ):
        with pytest.raises(ResectError, match="each row"):
            restored(wrong, "here")


def test_what_is_but_called_scale_stays() -> None:
    frame = {"frame/scale": torch.tensor(2.0), "frame/origin": torch.zeros(3)}
    assert restored(frame, "here").keys() == frame.keys()
