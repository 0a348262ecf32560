"""Every benchmark runs at tiny size on the synthetic capture and writes what it should."""

import json
import math
import os
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.data import read
from resect.evaluation.run_folder import finite

pytestmark = pytest.mark.usefixtures("settled_threads")
QUICK = ["--quick", "--threads", "1"]


@pytest.fixture
def settled_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def ran(script: str, *flags: object, out: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows that `main` gives, and the JSON it writes."""
    rows = import_module(script).main([*map(str, flags), "--out", str(out)])
    return rows, json.loads(out.read_text())


def test_places(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classical = tmp_path / "classical.json"
    known = {"set": "room", "photos": 3, "within_5deg_0.05scale": 3, "median_rotation_deg": 0.25}
    classical.write_text(json.dumps({"sets": [known]}))
    flags = ["--sets", "room", "--pipelines", "default,landmarks-alone", "--cache", cache, "--classical", classical]
    rows, written = ran("places", *flags, *QUICK, out=tmp_path / "places.json")
    assert [r["pipeline"] for r in rows] == ["default", "landmarks-alone", "classical"]
    assert all(r["photos"] == 3 and sum(r["status"].values()) == 3 for r in rows[:2])
    assert rows[1]["solved_5deg_0.05"] == 3
    assert rows[1]["prior"] == {"landmarks": 3}
    assert rows[2] == {"set": "room", "pipeline": "classical", "photos": 3, "solved_5deg_0.05": 3, "median_deg": 0.25}
    assert written["rows"] == finite(rows)
    assert {"revision", "machine", "versions", "arguments"} <= set(written)
    assert str(Path.home()) not in written["machine"]
    assert "landmarks-alone" in capsys.readouterr().out


def test_several_seeds_give_median_and_range() -> None:
    row = {"set": "a", "pipeline": "p", "solved_5deg_0.05": 1, "solved_0.5deg_0.01": 0, "median_scale": 0.1}
    rows = [{**row, "median_deg": x, "seconds": x} for x in (0.3, 0.1, 0.2)]
    (found,) = import_module("places").over_seeds([*rows, {**rows[0], "set": "b"}])
    assert (found["set"], found["seeds"], found["median_deg"]) == ("a", 3, [0.2, 0.1, 0.3])


def test_foreign(cache: Path, tmp_path: Path) -> None:
    flags = ["--places", "room", "--own", "room", "--pipelines", "landmarks-alone", "--cache", cache]
    rows, _ = ran("foreign", *flags, *QUICK, out=tmp_path / "foreign.json")
    made, own, all_foreign, all_own = rows
    assert (made["photos"], made["accepted"]) == (15, 0)
    assert (own["photos"], own["found"], own["rejected"]) == (3, 3, 0)
    assert (all_foreign["photos"], all_own["found"]) == (15, 3)


def test_foreign_photos_are_a_hundred_and_always_the_same() -> None:
    foreign = import_module("foreign")
    assert sum(foreign.FOREIGN["fox"].values()) == 100
    assert foreign._drawn(70, 25) == foreign._drawn(70, 25)
    assert len(set(foreign._drawn(70, 25))) == 25
    assert foreign._drawn(20, 20) == list(range(20))


def test_basin(cache: Path, tmp_path: Path) -> None:
    flags = ["--sets", "room", "--levels", "20", "--starts", "1", "--adam-steps", "2", "--cache", cache]
    rows, _ = ran("basin", *flags, *QUICK, out=tmp_path / "basin.json")
    assert [r["refiner"] for r in rows] == ["default", "lm", "flow-pnp", "adam"]
    assert all(r["trials"] == 3 and r["oracle"] and r["cpu_seconds"] is not None for r in rows)
    assert rows[1]["success_5deg"] == 1.0
    assert rows[3]["median_rays"] == 2 * 2048
    assert [r["failed"] for r in rows[1:]] == [0, 0, 0]


def test_starts_are_told_their_own_spread() -> None:
    """The information handed over is the inverse covariance of the starts that the protocol draws."""
    from resect.data.synthetic import SyntheticSettings, make_capture
    from resect.evaluation.protocols.basin import BasinSettings, make_starts
    from resect.geometry.se3 import SE3
    from resect.metrics.pose import scene_scale
    from resect.types import Split

    photos = make_capture(SyntheticSettings(photos=3, width=16, height=12, path="orbit"))
    truth, level = photos.truth.cam_from_world, BasinSettings(6.0, 0.02, starts=4000)
    starts = make_starts(photos, Split((1, 2), (0,), "none"), level)
    drawn = (SE3.stack([s.cam_from_world[0] for s in starts]) @ truth[0].inverse()).log()
    told = import_module("basin").told(starts[0].hypotheses(), level, scene_scale(truth[[1, 2]]))
    torch.testing.assert_close(drawn.var(0), 1 / told.information[0].diagonal(), rtol=0.1, atol=0)


def test_calibration(cache: Path, tmp_path: Path) -> None:
    flags = ["--sets", "room", "--paths", "", "--pipelines", "landmarks-alone", "--cache", cache]
    rows, _ = ran("calibration", *flags, *QUICK, out=tmp_path / "calibration.json")
    assert [r["photos_of"] for r in rows] == ["room", "all real"]
    assert rows[0]["answers"] == 3 - rows[0]["failed"] - rows[0]["without"]
    assert 0 <= rows[1]["inside"] <= 1
    assert minidom.parse(str(tmp_path / "calibration-landmarks-alone.svg")).documentElement.tagName == "svg"


def test_inerf_step(cache: Path, tmp_path: Path) -> None:
    flags = ["--set", "room", "--rays", "32", "--chunk", "32", "--repeats", "1", "--cache", cache]
    rows, written = ran("inerf_step", *flags, *QUICK, out=tmp_path / "inerf.json")
    assert [r.get("what") for r in rows[:3]] == ["published step", "our step", "our estimate"]
    assert written["steps_over_estimate"] == pytest.approx(300 * rows[0]["seconds"] / rows[2]["seconds"])


def test_the_baseline_is_the_published_one() -> None:
    """Size of the network as published; the gradient is that of finite differences; chunks change nothing."""
    inerf = import_module("inerf_step")
    assert sum(p.numel() for p in inerf.Nerf().parameters()) == 595_844
    step = inerf.PublishedStep(inerf.Arguments(rays=12, chunk=12))
    parts = inerf.PublishedStep(inerf.Arguments(rays=12, chunk=5))
    assert step.start.t.dtype == torch.float32
    gradient = step.once().clone()
    torch.testing.assert_close(gradient, parts.once(), rtol=1e-3, atol=1e-7)
    assert float(gradient.abs().min()) > 0
    assert step.fine.density.weight.grad is None


def test_samples_gather_where_the_weights_are() -> None:
    inerf = import_module("inerf_step")
    t = torch.linspace(2, 6, 64)[None]
    weight = torch.exp(-0.5 * ((t - 4.5) / 0.1) ** 2)
    more = inerf.finer(t, weight, 128)
    assert more.shape == (1, 192)
    assert bool((more.diff(dim=1) >= 0).all())
    assert float(((more - 4.5).abs() < 0.3).double().mean()) > 0.65


def test_startup(tmp_path: Path) -> None:
    rows, written = ran("startup", "--repeats", "1", out=tmp_path / "startup.json")
    seconds = {r["line"]: r["seconds"] for r in rows}
    assert seconds["resect --help"] < seconds["import torch"]
    assert "over_torch" in rows[2]
    assert len(written["rows"]) == 6


def test_startup_fails_when_a_command_does() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        import_module("startup").seconds_of(["false"])


def test_stages(cache: Path, tmp_path: Path) -> None:
    flags = ["--set", "room", "--repeats", "1", "--pipeline", "landmarks-alone", "--cache", cache, "--functions", "5"]
    rows, written = ran("stages", *flags, *QUICK, out=tmp_path / "stages.json")
    by_name = {r["stage"]: r for r in rows}
    assert next(iter(by_name)) == "prior"
    assert list(by_name)[-2:] == ["elsewhere", "all"]
    parts = sum(r["mean_ms"] for r in rows[:-1])
    assert parts == pytest.approx(by_name["all"]["mean_ms"])
    assert len(written["functions"]) == 5


def test_raster(tmp_path: Path) -> None:
    rows, written = ran("raster", "--quick", "--repeats", "1", "--threads", "1", out=tmp_path / "raster.json")
    assert {r["differ"] for r in rows if "differ" in r} == {0}
    assert {(r["mesh"], r["path"]) for r in rows if "ms" in r} == {
        (m, p) for m in ("sphere", "torus") for p in ("fused", "torch")
    }
    assert len(written["rows"]) == 22


def test_the_brute_force_sees_a_triangle_where_it_is() -> None:
    from resect.geometry.camera import Camera
    from resect.geometry.mesh import Mesh
    from resect.geometry.se3 import SE3

    corners = torch.tensor([[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [-1.0, 1.0, 2.0]])
    mesh = Mesh(torch.cat([corners, corners + torch.tensor([0.0, 0.0, 1.0])]), torch.tensor([[3, 4, 5], [0, 1, 2]]))
    camera = Camera(3.9, 3.9, 3.9, 3.9, 8, 8)
    found = import_module("raster").brute_force(mesh, camera, SE3.identity(1, dtype=torch.float64))
    rows = ["........", "........", "..111...", "..11....", "..1.....", *["........"] * 3]
    assert found.view(8, 8).tolist() == [[1 if c == "1" else -1 for c in row] for row in rows]


def test_occupancy(tmp_path: Path) -> None:
    flags = ("--quick", "--threads", 1, "--shapes", tmp_path / "shapes", "--network", tmp_path / "network")
    rows, record = ran("occupancy", *flags, out=tmp_path / "occupancy.json")
    assert [row["what"] for row in rows] == ["network", "first 6 steps", "mean shape", "nearest silhouette"]
    assert all(0 <= row["iou"] <= 1 for row in rows)
    assert record["steps"] == [6, 6]


def test_viewpoint(tmp_path: Path) -> None:
    rows, record = ran("viewpoint", *QUICK, "--seeds", 0, "--cache", tmp_path, out=tmp_path / "viewpoint.json")
    assert [row["what"] for row in rows] == ["network", "network, best of 2", "network, best of 4", "same answer"]
    assert all(0 <= row["acc_30"] <= 1 for row in rows)
    assert len(record["training_seconds"]) == 1


def test_symmetries(tmp_path: Path) -> None:
    rows, record = ran("symmetries", *QUICK, out=tmp_path / "symmetries.json")
    assert [(row["mesh"], row["group"], row["right"]) for row in rows] == [
        ("cube", "O", True),
        ("cylinder", "D∞", True),
    ]
    assert all(0 < row["residual"] < 0.005 for row in rows)
    assert len(record["rows"]) == 2


def test_regressors(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def proposed(prior: Any, folder: Path, name: str, photos: Any, split: Any, seed: int) -> dict[str, Any]:
        """In place of the field, which takes minutes from guesses as poor as these."""
        guesses = [prior.propose(photos[i], 3, torch.Generator()) for i in split.test]
        return {"photos": sum(bool(g.cam_from_world.finite.all()) for g in guesses)}

    monkeypatch.setattr(import_module("regressors"), "refined", proposed)
    flags = ["--sets", "room", "--refine", "latent", "--rendered", 6, "--cache", cache]
    rows, written = ran("regressors", *flags, *QUICK, out=tmp_path / "regressors.json")
    names = ["nearest", "retrieval", "posenet", "posenet+views", "ms-transformer"]
    names += ["latent", "latent", "neighbours", "rpr", "iapr"]
    assert [r["row"] for r in rows] == names
    assert rows[6]["stage"] == "refined"
    assert all(r["photos"] == 3 for r in rows)
    assert rows[2]["training_seconds"] > 0
    assert rows[5]["gain_interval"][0] <= rows[5]["gain_interval"][1]
    assert len(written["rows"]) == 10


def test_silhouettes(tmp_path: Path) -> None:
    (row,), record = ran("silhouettes", *QUICK, out=tmp_path / "silhouettes.json")
    assert (row["mesh"], row["lens"], row["views"], row["failed"]) == ("made", "tiny", 1, 0)
    assert set(row["each"][0]) == {"deg", "stated", "ambiguous", "twin", "both"}
    assert len(record["rows"]) == 1


def test_structure_turned_inside_out_looks_the_same_from_afar() -> None:
    """Necker: mirrored in depth and turned the other way, up to perspective."""
    g = np.random.default_rng(0)
    points = g.normal((5.0, 1.0, 0.0), size=(30, 3))
    rotation = Rotation.from_rotvec(0.3 * g.normal(size=(4, 3))).as_matrix()
    shift = np.array([0.0, 0.0, 1e5]) - rotation @ points.mean(0)
    free = np.concatenate([rotation, shift[:, :, None]], 2)
    other, mirrored = import_module("level_structure")._reversed(free, points)

    def seen(cameras: "np.ndarray", xyz: "np.ndarray") -> "np.ndarray":
        at = np.einsum("nij,kj->nki", cameras[:, :, :3], xyz) + cameras[:, None, :, 3]
        return 1e5 * at[..., :2] / at[..., 2:]

    assert np.allclose(np.linalg.det(other[:, :, :3]), 1)
    assert np.abs(seen(free, points) - seen(other, mirrored)).max() < 1e-3
    assert np.abs(mirrored[:, 2]).max() > 0.5
    between = [r[1] @ r[0].T for r in (free[:, :, :3], other[:, :, :3])]
    assert not np.allclose(*between, atol=0.1)


def test_nerf(cache: Path, tmp_path: Path) -> None:
    flags = ["--sets", "room", "--cache", cache, "--steps", 2, "--rays", 16, "--photos", 1, "--starts", 1]
    rows, written = ran("nerf", *flags, *QUICK, out=tmp_path / "nerf.json")
    assert [r["what"] for r in rows] == ["nerf", "field", "inerf 16 rays", "ours"]
    assert all(r["trials"] == 1 for r in rows[2:])
    assert written["step"]["ratio"] > 0
    again, _ = ran("nerf", *flags, *QUICK, "--what", "inerf", out=tmp_path / "nerf.json")
    assert again[0]["median_rotation_deg"] == rows[2]["median_rotation_deg"]


def test_nerf_depth(tmp_path: Path) -> None:
    rows, _ = ran("nerf_depth", "--views", 4, "--cache", tmp_path, *QUICK, out=tmp_path / "depth.json")
    assert [(r["weight"], r["views"]) for r in rows] == [(0.0, 4), (0.1, 4)]
    assert all(r["median_depth_cm"] > 0 for r in rows)


@pytest.mark.skipif("RESECT_TEST_DATA" not in os.environ, reason="RESECT_TEST_DATA is not set")
def test_posecnn(tmp_path: Path) -> None:
    flags = ["--sets", "meshes", "--cache", tmp_path, "--no-refine", "--no-box"]
    rows, written = ran("posecnn", *flags, *QUICK, out=tmp_path / "posecnn.json")
    assert rows[0]["what"] == "posecnn"
    assert 0 <= rows[0]["detected"] <= 1
    assert "detect" in written["stages_ms"]["meshes"]


@pytest.mark.skipif("RESECT_TEST_DATA" not in os.environ, reason="RESECT_TEST_DATA is not set")
def test_the_desk_is_drawn_as_props_nerf_is(tmp_path: Path) -> None:
    from desk import Arguments, draw

    draw(tmp_path, Arguments(tmp_path, photos=2, held_out=1))
    photos = read(tmp_path)
    assert (photos.format, len(photos)) == ("blender", 3)
    assert photos.given_split is not None
    assert [photos.names[i] for i in photos.given_split.test] == ["val/r_0.png"]
    assert photos[0].alpha is None
    assert photos.cameras[0].fx == pytest.approx(572, abs=2)
    middle = photos.truth.cam_from_world.apply(torch.zeros(3, 1, 3).double())[:, 0]
    assert bool((middle[:, 2] > 0.5).all())
    assert bool((middle[:, :2].abs() < 0.2).all())


def test_errors_of_the_desk_count_all_photos() -> None:
    from desk import facts

    assert facts([(1.0, 0.01), (4.0, 0.2), (math.inf, math.inf)]) == {
        "photos": 3, "answers": 2, "5deg_5cm": 1 / 3, "median_deg": 4.0, "median_m": pytest.approx(0.2)
    }  # fmt: skip


def test_latent_speed(tmp_path: Path) -> None:
    rows, _ = ran("latent_speed", *QUICK, out=tmp_path / "speed.json")
    assert [r["what"] for r in rows[::2]] == ["refinement of 1", "refinement of 16", "scoring 100"]
    assert all(r["cpu_ms"] > 0 for r in rows)


def test_both_ways_of_the_latent_speed_do_the_same() -> None:
    speed = import_module("latent_speed")
    scene, g = speed.decoder(torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    poses = speed.drawn(20, g)
    poses = type(poses)(poses.R.float(), poses.t.float())
    with torch.no_grad():
        one, other = scene.distance2(speed.PHOTO, poses), speed.by_latents(scene, poses)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-2)


def test_regressor_throughput(tmp_path: Path) -> None:
    few = ["--set", "room", "--steps", 1, "--epochs", 1, "--workers", 0, "--quick"]
    rows, _ = ran("regressor_throughput", *few, out=tmp_path / "throughput.json")
    names = ["published PoseNet", "posenet-full", "posenet", "published auto-encoder", "pose-decoder-full"]
    assert [r["what"] for r in rows] == names
    assert all(r["photos_per_second"] > 0 for r in rows)
    assert rows[0]["times"] == rows[3]["times"] == 1
