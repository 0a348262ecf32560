import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from bop_folder import change, write_bop

from resect.cli.main import main
from resect.data.bop import BopFolder, BopResult, read_bop, write_results
from resect.errors import ResectError
from resect.evaluation.bop import score_bop
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3


def _flat(number: int, camera: Camera, pose: SE3) -> Tensor:
    """Stands in for a renderer: a square as far away as the object's origin."""
    depth = torch.zeros(len(pose), camera.height, camera.width, dtype=torch.float64)
    depth[:, 10:20, 10:20] = pose.t[:, 2, None, None]
    return depth


def _right(folder: BopFolder) -> BopResult:
    o = folder.objects
    ids = tuple(x.object_id for x in o)
    seconds = tuple(0.5 * x.image for x in o)
    return BopResult(
        tuple(x.scene for x in o), tuple(x.image for x in o), ids, (1.0,) * len(o), folder.cam_from_obj, seconds
    )


def _take(result: BopResult, rows: list[int]) -> BopResult:
    columns = {
        k: tuple(getattr(result, k)[r] for r in rows) for k in ("scene", "image", "object_id", "score", "seconds")
    }
    return replace(result, cam_from_obj=result.cam_from_obj[rows], **columns)


@pytest.fixture
def folder(tmp_path: Path) -> BopFolder:
    return read_bop(write_bop(tmp_path))


def test_the_truth_is_perfect(folder: BopFolder) -> None:
    found = score_bop(_right(folder), folder, render_depth=_flat)
    assert found.as_json()["ar"] == 1
    assert set(found.visible.all.values()) == {1.0}
    assert (found.visible.objects, found.visible.missing) == (3, 0)  # one is visible by 5 % only
    assert set(found.visible.per_object) == {"2", "7"}
    assert found.seconds == pytest.approx(0.5 * (4 + 11) / 2)


def test_a_symmetric_object_may_be_turned_and_another_may_not(folder: BopFolder) -> None:
    half_turn = so3.exp(torch.tensor([0, 0, math.pi], dtype=torch.float64))
    right = _right(folder)
    turned = replace(right, cam_from_obj=SE3(right.cam_from_obj.R @ half_turn, right.cam_from_obj.t))
    found = score_bop(turned, folder, render_depth=_flat).visible.per_object
    assert found["7"]["ar_mssd"] == found["7"]["ar_mspd"] == found["7"]["recall_5deg_5cm"] == 1
    assert found["7"]["add_s_0.1d"] == 1
    assert found["2"]["ar_mssd"] < 1
    assert found["2"]["recall_5deg_5cm"] == found["2"]["add_s_0.1d"] == 0


def test_thresholds_are_counted_one_by_one(folder: BopFolder) -> None:
    """An object moved by 0.22 diameters along the optical axis passes six of the ten MSSD thresholds."""
    right, diameter = _right(folder), folder.models[2].diameter
    moved = replace(right, cam_from_obj=SE3(right.cam_from_obj.R, right.cam_from_obj.t.clone()))
    moved.cam_from_obj.t[3, 2] += 0.22 * diameter
    only = _take(moved, [3])
    figures = score_bop(only, folder, render_depth=_flat).visible
    assert figures.all["ar_mssd"] == pytest.approx(0.6 / 3)
    assert figures.all["add_s_0.1d"] == 0
    assert figures.all["recall_5deg_5cm"] == pytest.approx(1 / 3)  # 12 mm
    assert figures.all["ar_vsd"] == pytest.approx(0.6 / 3)  # at tau above 0.22, every theta
    assert figures.missing == 2


def test_what_is_missing_has_failed(folder: BopFolder) -> None:
    figures = score_bop(_take(_right(folder), [0]), folder, render_depth=_flat).visible
    assert figures.missing == 2
    assert figures.all["ar"] == pytest.approx(1 / 3)
    assert (figures.per_object["7"]["ar"], figures.per_object["2"]["ar"]) == (1, 0)
    assert figures.mean_over_objects["ar"] == 0.5


def test_no_more_estimates_than_instances_are_looked_at(folder: BopFolder) -> None:
    """Of two estimates of the one visible instance the better scored one counts, right or wrong."""
    right = _right(folder)
    both = _take(right, [0, 2])  # the other instance's pose is wrong for the visible one
    for score, expected in (((0.9, 0.1), 1.0), ((0.1, 0.9), 0.0)):
        figures = score_bop(replace(both, score=score), folder, render_depth=_flat).visible
        assert figures.per_object["7"]["recall_5deg_5cm"] == expected


def test_instances_are_matched_one_to_one(folder: BopFolder) -> None:
    change(folder.root / "test/000003", "scene_gt_info", "4", 2, visib_fract=0.8)
    again = read_bop(folder.root)
    right = _right(again)
    swapped = _take(right, [2, 0])
    same_twice = _take(right, [0, 0])
    assert score_bop(swapped, again, render_depth=_flat).visible.per_object["7"]["recall_5deg_5cm"] == 1
    assert score_bop(same_twice, again, render_depth=_flat).visible.per_object["7"]["recall_5deg_5cm"] == 0.5


def test_targets_of_the_dataset_are_scored_beside(folder: BopFolder) -> None:
    listed = [{"scene_id": 3, "im_id": 11, "obj_id": 2, "inst_count": 1}]
    (folder.root / "test_targets_bop19.json").write_text(json.dumps(listed))
    found = score_bop(_take(_right(folder), [3]), read_bop(folder.root), render_depth=_flat)
    assert found.targets is not None
    assert (found.targets.objects, found.targets.all["ar"]) == (1, 1.0)
    assert found.visible.all["ar"] == pytest.approx(1 / 3)
    assert found.as_json()["bop_targets"]["objects"] == 1


def test_without_depth_there_is_no_vsd(folder: BopFolder) -> None:
    for file in (folder.root / "test/000003/depth").iterdir():
        file.unlink()
    keys = score_bop(_right(folder), read_bop(folder.root)).visible.all
    assert list(keys) == ["ar_no_vsd", "ar_mssd", "ar_mspd", "add_s_0.1d", "recall_5deg_5cm"]
    assert keys["ar_no_vsd"] == 1


def test_models_are_rendered_where_there_is_depth(folder: BopFolder) -> None:
    """The measured plane lies at 400 mm, in front of the objects' centres; right poses agree with themselves."""
    figures = score_bop(_right(folder), folder).visible
    assert figures.all["ar_vsd"] == 1
    right = _right(folder)
    away = replace(right, cam_from_obj=SE3(right.cam_from_obj.R, right.cam_from_obj.t + 60))
    assert score_bop(away, folder).visible.all["ar_vsd"] < 0.3


def test_no_estimates_at_all(folder: BopFolder) -> None:
    figures = score_bop(_take(_right(folder), []), folder, render_depth=_flat).visible
    assert (figures.missing, set(figures.all.values())) == (3, {0.0})


def test_files_of_other_images_are_refused_and_strays_are_said(folder: BopFolder) -> None:
    right = _right(folder)
    with pytest.raises(ResectError, match="images of the results file"):
        score_bop(replace(right, scene=(9,) * 4), folder, render_depth=_flat)
    found = score_bop(replace(right, scene=(3, 9, 3, 3)), folder, render_depth=_flat)
    assert (found.unknown, found.visible.missing) == (1, 1)
    assert "1 of 4 estimates" in found.notes[-1]


def test_a_model_without_information_is_an_error(folder: BopFolder) -> None:
    with pytest.raises(ResectError, match="model 7"):
        score_bop(_right(folder), replace(folder, models={2: folder.models[2]}), render_depth=_flat)


def test_the_command_line(folder: BopFolder, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder.root / "resect_made-test.csv"
    write_results(path, _right(folder))
    assert main(["score", str(path), str(folder.root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["ar"], found["objects"], found["per_object"]["7"]["add_s_0.1d"]) == (1, 3, 1)
    assert main(["score", str(path), str(folder.root)]) == 0
    assert "3 objects of which 0 have no estimate" in capsys.readouterr().out


@pytest.mark.real
def test_figures_of_the_public_toolkit(real: Path) -> None:
    """The BOP toolkit's own functions give these figures on the same file, all and for each object.

    Its angle is acos of the trace of what the dataset rounds to 0.2 %; that of the nearest rotations is compared.
    """
    if not (real / "lmo").is_dir():
        pytest.skip("no lmo")
    found = score_bop(real / "lmo/third_party_results_lmo-test.csv", real / "lmo")
    expected = {"ar_mssd": 0.5446808510638297, "ar_mspd": 0.7378723404255318}
    expected |= {"add_s_0.1d": 0.3659574468085106, "recall_5deg_5cm": 0.4}
    assert {k: found.visible.all[k] for k in expected} == pytest.approx(expected, abs=1e-12)
    assert found.targets is not None
    expected = {"ar_mssd": 0.5482758620689656, "ar_mspd": 0.7456896551724138, "add_s_0.1d": 0.36637931034482757}
    assert {k: found.targets.all[k] for k in expected} == pytest.approx(expected, abs=1e-12)
    assert (found.visible.objects, found.targets.objects, found.visible.missing) == (235, 232, 11)
