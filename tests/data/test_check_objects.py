import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bop_folder import change, write_bop

from resect.cli.main import main
from resect.data.bop import read_bop
from resect.data.check_objects import check_objects
from resect.data.objects import read_objects


def _fill_box(root: Path, image: str, index: int, object_id: int) -> None:
    """Sets a visible box to that of the projected model."""
    folder = read_bop(root)
    k = next(i for i, o in enumerate(folder.objects) if (str(o.image), o.index) == (image, index))
    assert folder.objects[k].object_id == object_id
    placed = folder.cam_from_obj[k].apply(folder.mesh(object_id).vertices.double())
    pixels, _ = folder.images[3, int(image)].camera.project(placed)
    low, high = pixels.amin(0).floor(), pixels.amax(0).ceil()
    change(root / "test/000003", "scene_gt_info", image, index, bbox_visib=[*low.tolist(), *(high - low - 1).tolist()])
    change(root / "test/000003", "scene_gt_info", image, index, visib_fract=1.0)


def test_models_that_fill_their_boxes_are_well(tmp_path: Path) -> None:
    write_bop(tmp_path)
    _fill_box(tmp_path, "11", 0, 2)
    _fill_box(tmp_path, "4", 0, 7)
    report = check_objects(read_objects(tmp_path))
    assert report.ok
    assert {k: (r.photos, r.symmetries, r.has_mesh) for k, r in report.objects.items()} == {
        "2": (2, (1, 0), True),
        "7": (2, (2, 0), True),
    }
    for row in report.objects.values():
        assert row.box_px is not None
        assert row.box_px < 1
    assert report.findings[-1].level == "ok"


def test_metres_for_millimetres_are_an_error(tmp_path: Path) -> None:
    write_bop(tmp_path)
    _fill_box(tmp_path, "4", 0, 7)
    seven = read_objects(tmp_path)["7"]
    assert seven.load_mesh is not None
    mesh = seven.load_mesh()
    small = replace(mesh, vertices=mesh.vertices / 1000)
    report = check_objects({"7": replace(seven, load_mesh=lambda: small)})
    assert not report.ok
    assert "same unit" in report.findings[0].sentence


def test_without_models_or_boxes_nothing_is_claimed(tmp_path: Path) -> None:
    write_bop(tmp_path)
    (tmp_path / "test/000003/scene_gt_info.json").unlink()
    report = check_objects(read_objects(tmp_path))
    assert report.ok
    assert [r.box_px for r in report.objects.values()] == [None, None]
    assert all(f.level == "note" for f in report.findings)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bop(tmp_path)
    _fill_box(tmp_path, "4", 0, 7)
    _fill_box(tmp_path, "11", 0, 2)
    assert main(["data", "check", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["ok"], found["objects"]["7"]["photos"]) == (True, 2)


@pytest.mark.real
def test_real_objects_fill_their_boxes(real: Path) -> None:
    if not (real / "ycbv_sample").is_dir():
        pytest.skip("no ycbv_sample")
    report = check_objects(read_objects(real / "ycbv_sample"))
    assert report.ok
    gaps = torch.tensor([row.box_px for row in report.objects.values()])
    assert float(gaps.median()) < 4
