"""Presets of other programs as flags: values carried over, what has no use said, unknown keys answered by near ones."""

import itertools
from pathlib import Path

import pytest
from shell import resect

from resect.cli.fit import FitArguments
from resect.cli.options import parse_with_settings
from resect.cli.preset_file import INERF, NERF, with_preset
from resect.errors import ResectError
from resect.scenes.nerf.settings import NerfSettings

LEGO = """expname = blender_paper   # a remark
datadir = ./data/x
N_samples = 64
N_importance = 128
use_viewdirs = True
white_bkgd = True
lrate_decay = 500
N_rand = 1024
precrop_iters = 500
precrop_frac = 0.5
half_res
"""


def test_keys_become_flags(tmp_path: Path) -> None:
    file, said = tmp_path / "a.txt", list[str]()
    file.write_text(LEGO)
    found = with_preset(["PHOTOS", "--config", str(file), "--nerf.batch", "7"], "nerf", NERF, said.append)
    pairs = dict(itertools.pairwise(found))
    expected = {
        "samples": "64", "finer-samples": "128", "background": "white", "drop-every": "500000",
        "schedule": "exponential", "centre-steps": "500", "max-side": "400",
    }  # fmt: skip
    assert {k: pairs[f"--nerf.{k}"] for k in expected} == expected
    assert "--nerf.no-view-directions" not in found
    assert found[-2:] == ["--nerf.batch", "7"]  # flags beside the file come last, and win
    assert any("datadir" in line for line in said)


def test_presets_of_inversion(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(
        "sampling_strategy = interest_regions\nbatch_size = 512\ndil_iter = 3\nkernel_size = 5\nlrate = 0.01\n"
    )
    found = with_preset([f"--config={file}"], "inerf", INERF, lambda _: None)
    pairs = dict(zip(found[::2], found[1::2], strict=True))
    assert pairs == {
        "--inerf.pixels": "interest_regions", "--inerf.rays": "512", "--inerf.growths": "3", "--inerf.box": "5",
        "--inerf.rate": "0.01",
    }  # fmt: skip


def test_unknown_keys_name_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("n_importanc = 64\n")
    with pytest.raises(ResectError, match="n_importance"):
        with_preset(["--config", str(tmp_path / "a.txt")], "nerf", NERF, lambda _: None)
    said = resect("fit", "nerf", tmp_path, "--out", tmp_path / "o", "--config", tmp_path / "a.txt")
    assert said.code == 2
    assert "n_importance" in said.err
    (tmp_path / "a.txt").write_text("sampling_strateg = random\n")
    with pytest.raises(ResectError, match="Did you mean 'sampling_strategy'"):
        with_preset(["--config", str(tmp_path / "a.txt")], "nerf", NERF, lambda _: None)


def test_keys_of_the_other_program_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("batch_size = 512\nN_rand = 64\n")
    for prefix, keys, left in (("nerf", NERF, "'batch_size'"), ("inerf", INERF, "'N_rand'")):
        said = list[str]()
        found = with_preset(["--config", str(tmp_path / "a.txt")], prefix, keys, said.append)
        assert len(found) == 2
        assert [left in line for line in said] == [True]


@pytest.mark.parametrize("value", [True, False])
def test_the_command_line_takes_every_flag_of_a_preset(tmp_path: Path, value: bool) -> None:
    (tmp_path / "a.txt").write_text(
        f"lindisp = {value}\nuse_viewdirs = {value}\nno_ndc = {value}\nwhite_bkgd = {value}\nhalf_res = {value}\n"
    )
    made = with_preset(["--config", str(tmp_path / "a.txt")], "nerf", NERF, lambda _: None)
    told = dict.fromkeys(("prog", "description", "example"), "")
    _, found = parse_with_settings(FitArguments, "nerf", NerfSettings, ["PHOTOS", "--out", "a", *made], **told)
    assert (found.in_disparity, found.view_directions) == (value, value)
    assert found.background == ("white" if value else "black")


@pytest.mark.parametrize(
    "text", ["use_viewdirs = maybe\n", "not a key\n", "= 3\n", "lrate_decay = soon\n", "lrate_decay = inf\n"]
)
def test_damaged_presets_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ResectError):
        with_preset(["--config", str(tmp_path / "a.txt")], "nerf", NERF, lambda _: None)
    with pytest.raises(ResectError, match="no file"):
        with_preset(["--config", str(tmp_path / "b.txt")], "nerf", NERF, lambda _: None)
