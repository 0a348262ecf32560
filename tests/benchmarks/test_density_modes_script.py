"""The benchmark of modes runs at tiny size, and its judge knows a whole answer from a part of one."""

import json
import math
from importlib import import_module
from pathlib import Path

import torch

from resect.geometry import so3
from resect.geometry.rotation_group import closure, turn
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries
from resect.types import Hypotheses


def test_density_modes(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    flags = ["--quick", "--threads", "1", "--ways", "density", "--cache", str(tmp_path / "cache")]
    rows = import_module("density_modes").main([*flags, "--out", str(tmp_path / "modes.json")])
    torch.set_num_threads(before)
    assert [(r["object"], r["photos"]) for r in rows] == [("cube", 1), ("cylinder", 1)]
    assert all(0 <= r["found"] <= 1 and math.isfinite(r["median_deg"]) for r in rows)
    assert {"revision", "machine"} <= set(json.loads((tmp_path / "modes.json").read_text()))


def test_its_judge() -> None:
    judged = import_module("density_modes").judged
    axes = torch.eye(3, dtype=torch.float64)
    group = closure([turn(axes[0], 4), turn(axes[2], 4)])
    assert group is not None
    same, truth = Symmetries(SE3(group, torch.zeros(24, 3).double())), so3.exp(torch.tensor([0.3, 1.0, -0.4]).double())
    off = so3.exp(torch.tensor([math.radians(2.0), 0.0, 0.0]).double())

    def answer(rotation: torch.Tensor, mass: list[float]) -> Hypotheses:
        return Hypotheses(SE3(rotation, torch.zeros(len(rotation), 3).double()), torch.tensor(mass).log())

    whole = judged(answer(off @ truth @ group, [2 / 25] + [1 / 25] * 23), truth, same)
    assert abs(whole["error_deg"] - 2) < 1e-6
    assert (whole["found"], whole["other_mass"]) == (1.0, 0.0)
    assert abs(whole["mass_ratio"] - 2) < 1e-5
    wrong = so3.exp(torch.tensor([0.5, 0.0, 0.0]).double()) @ truth
    part = judged(answer(torch.stack([truth @ group[3], wrong]), [0.75, 0.25]), truth, same)
    assert part["found"] == 1 / 24
    assert abs(part["other_mass"] - 0.25) < 1e-6
    assert judged(None, truth, same)["error_deg"] == math.inf
