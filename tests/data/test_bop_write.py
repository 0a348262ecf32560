from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bop_folder import write_bop as made_bop

from resect.cli.main import main
from resect.data.bop import read_bop, write_bop
from resect.data.objects import read_objects
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, World


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    objects = read_objects(made_bop(tmp_path / "a"))
    assert write_bop(objects, tmp_path / "b") == []
    again = read_objects(tmp_path / "b")
    assert list(again) == list(objects)
    for key, before in objects.items():
        after = again[key]
        assert len(before) == len(after)
        assert torch.equal(after.photos.truth.cam_from_world.t, before.photos.truth.cam_from_world.t)
        assert torch.allclose(after.photos.truth.cam_from_world.R, before.photos.truth.cam_from_world.R, atol=1e-12)
        assert after.photos.cameras == before.photos.cameras
        assert after.diameter == pytest.approx(before.diameter)
        assert len(after.symmetries.discrete) == len(before.symmetries.discrete)
        assert before.visible is not None
        for old, new, visible in zip(before.photos, after.photos, before.visible.tolist(), strict=True):
            assert torch.equal(old.image, new.image)
            assert old.depth is not None
            assert new.depth is not None
            assert torch.allclose(old.depth, new.depth)
            assert old.target is not None
            assert new.target is not None
            assert old.target.box == new.target.box
            assert (old.target.mask is None) == (new.target.mask is None)
            assert visible > 0


def test_units_become_millimetres_and_names_numbers(tmp_path: Path) -> None:
    objects = read_objects(made_bop(tmp_path / "a"))
    two = objects["2"]

    def in_metres(photos: PhotoSet) -> PhotoSet:
        pose = photos.truth.cam_from_world
        truth = replace(photos.truth, cam_from_world=SE3(pose.R, pose.t / 1000))

        def load(i: int) -> object:
            return replace(photos[i], depth=None)

        return replace(photos, truth=truth, world=World(1.0), load=load)  # type: ignore[arg-type]

    notes = write_bop({"mug": replace(two, photos=in_metres(two.photos), load_mesh=None)}, tmp_path / "b")
    assert notes == ["Objects are numbered: 1 mug."]
    again = read_bop(tmp_path / "b")
    assert torch.allclose(again.cam_from_obj.t, two.photos.truth.cam_from_world.t)
    assert {o.object_id for o in again.objects} == {1}
    unknown = replace(two, photos=replace(two.photos, world=World()))
    with pytest.raises(ResectError, match="known unit"):
        write_bop({"2": unknown}, tmp_path / "c")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    objects = read_objects(made_bop(tmp_path / "a"))
    with pytest.raises(ResectError, match="empty folder"):
        write_bop(objects, tmp_path / "a")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_bop(tmp_path / "a")
    assert main(["data", "convert", str(tmp_path / "a"), "--to", "bop", "--out", str(tmp_path / "b")]) == 0
    assert len(read_objects(tmp_path / "b")) == 2
    assert main(["data", "convert", str(tmp_path / "a"), "--to", "colmap", "--out", str(tmp_path / "c")]) == 2
    assert "one pose for each photo" in " ".join(capsys.readouterr().err.split())
