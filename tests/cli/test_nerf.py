"""A NeRF by commands: fitted, filmed on paths, and distilled into a field."""

from pathlib import Path

import pytest
import torch
from shell import TINY, resect

from resect.scenes.nerf.march import CoarseAndFine
from resect.scenes.nerf.settings import NerfSettings

QUICK = ("--threads", 1, "--json")
SMALL = (
    "--nerf.depth", 2, "--nerf.width", 16, "--nerf.octaves", 3, "--nerf.samples", 8, "--nerf.finer-samples", 8,
    "--nerf.max-side", 24, "--nerf.batch", 64, "--nerf.steps", 3, "--nerf.no-tensorboard",
)  # fmt: skip


@pytest.fixture(scope="module")
def nerf(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("nerfs") / "nerf"
    preset = out.parent / "preset.txt"
    preset.write_text("netwidth = 24\nuse_viewdirs = True\nexpname = room\n")
    said = resect("fit", "nerf", capture, "--out", out, "--config", preset, *SMALL, "--priors", *QUICK)
    assert said.code == 0, said.err
    assert "'expname' is left out" in said.err
    assert not (out / "errors.json").exists()  # no second NeRF unless asked for
    return out


@pytest.mark.parametrize("path", ["--spiral", "--orbit"])
def test_films_on_paths(nerf: Path, tmp_path: Path, path: str) -> None:
    out = tmp_path / "film.gif"
    said = resect("render", nerf, path, 3, "--max-side", 16, "--channel", "depth", "--out", out, *QUICK)
    assert said.code == 0, said.err
    assert said.json["frames"] == 3
    assert out.stat().st_size > 50


def test_paths_are_one_way_to_say_it(nerf: Path, capture: Path, tmp_path: Path) -> None:
    for flags in (("--spiral", 3, "--orbit", 3), ("--orbit", 3, capture), ("--turntable", 3)):
        said = resect("render", nerf, *flags, "--out", tmp_path / "film.gif")
        assert said.code == 2
        assert "expected" in said.err


def test_a_field_learns_from_its_renders(nerf: Path, capture: Path, tmp_path: Path) -> None:
    said = resect("fit", "field", capture, "--nerf", nerf, "--out", tmp_path / "field", *TINY, "--priors", "--json")
    assert said.code == 0, said.err
    assert said.json == {"out": str(tmp_path / "field"), "train": 8, "test": 2}
    assert "rendering 8 photos" in said.err


def test_an_imported_nerf_is_a_place_where_its_photos_are_given(capture: Path, tmp_path: Path) -> None:
    sizes = NerfSettings(depth=2, width=16, octaves=3, view_octaves=2)
    torch.save({"network_fn_state_dict": CoarseAndFine(sizes, 0).coarse.state_dict()}, tmp_path / "a.tar")
    lying = ("--near", 0.5, "--far", 4, "--samples", 8, 8)
    said = resect("import", tmp_path / "a.tar", "--out", tmp_path / "made", "--photos", capture, *lying, *QUICK)
    assert said.code == 0, said.err
    said = resect("render", tmp_path / "made", "--orbit", 2, "--max-side", 16, "--out", tmp_path / "o.gif", *QUICK)
    assert said.code == 0, said.err
    said = resect("import", tmp_path / "a.tar", "--out", tmp_path / "bare", *lying, *QUICK)
    assert "--photos" in said.err
    said = resect("render", tmp_path / "bare", "--orbit", 2, "--out", tmp_path / "p.gif", *QUICK)
    assert said.code == 2
    assert "resect import CHECKPOINT --photos" in said.err
