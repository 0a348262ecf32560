from pathlib import Path

import pytest
import torch

from resect.cli.main import main
from resect.data.mesh import write_mesh
from resect.data.procedural_shapes.families import draw
from resect.data.procedural_shapes.make import make_shapes
from resect.data.procedural_shapes.settings import ProceduralSettings
from resect.data.shapes import read_shapes
from resect.evaluation.shape_score import score_folder, score_network, score_shapes
from resect.shape.network import make_network
from resect.shape.occupancy import Occupancy
from resect.shape.settings import OccupancySettings

SMALL = ProceduralSettings(train=0, val=0, test=3, views=1, side=32, points=3000, train_points=64, surface=500)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tables")
    make_shapes("table", SMALL, out)
    return out


def test_true_meshes_are_perfect_and_missing_ones_fail(tables: Path, tmp_path: Path) -> None:
    shapes = read_shapes(tables, "test")
    (tmp_path / "meshes" / "table").mkdir(parents=True)
    for i in range(2):
        mesh = draw("table", "test", i).mesh(200).to(torch.float32)
        write_mesh(mesh, tmp_path / "meshes" / "table" / f"test_{i:06d}.ply")
    found = score_shapes(score_folder(tmp_path, shapes), shapes)
    for row in found.rows[:2]:
        assert row.values["iou"] > 0.99
        assert row.values["completeness"] < 0.05
        assert row.values["normal_consistency"] > 0.6  # thin parts, few samples
    assert found.rows[2].values == {"iou": 0.0, "failed": 1.0}
    assert found.mean()["failed"] == 1
    assert found.mean("table")["iou"] == pytest.approx(sum(r.values["iou"] for r in found.rows) / 3)
    found.write_csv(tmp_path / "rows.csv")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 4


def test_a_network_is_scored_by_its_own_occupancy(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = OccupancySettings(encoder_width=4, side=32, code=8, width=8, blocks=1)
    network, shapes = Occupancy(make_network(settings, 0), settings, ("table",)), read_shapes(tables, "test")
    first = draw("table", "test", 0)
    monkeypatch.setattr(network, "occupancy", lambda points, code: first.contains(points).float() - 0.5)
    found = score_shapes(score_network(network, shapes), shapes)
    assert found.rows[0].values == {"iou": 1.0}
    assert found.rows[1].values["iou"] < 1.0


def test_the_command(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = OccupancySettings(encoder_width=4, side=32, code=8, width=8, blocks=1)
    Occupancy(make_network(settings, 0), settings, ("table",)).save(tmp_path / "network")
    out = ["--out", str(tmp_path / "rows.csv"), "--count", "2", "--threads", "1"]
    assert main(["score", str(tmp_path / "network"), str(tables), *out]) == 0
    assert "2 shapes" in capsys.readouterr().out
    assert main(["score", str(tmp_path / "network"), str(tables), *out]) == 2
