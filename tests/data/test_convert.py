from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import CAMERA, ring, write_noise
from PIL import Image

from resect.data import make_split, read
from resect.data.convert import Format, convert
from resect.data.scale import Mark, meters_from_cameras, meters_from_points, scale_world, triangulate
from resect.errors import ResectError
from resect.types import Photo, PhotoSet, World


def _with_extras(photos: PhotoSet) -> PhotoSet:
    load = photos.load

    def read_one(i: int) -> Photo:
        depth = torch.rand(30, 40, generator=torch.Generator().manual_seed(i)) * 3 + 0.1
        depth[0] = 0
        return replace(load(i), depth=depth, mask=depth > 1)

    return replace(photos, load=read_one)


@pytest.mark.parametrize("format_name", ["transforms", "colmap", "tum"])
def test_a_converted_folder_reads_back(tmp_path: Path, format_name: Format) -> None:
    photos = ring(6, tmp_path / "a")
    photos = replace(photos, world=World(meters_per_unit=1.0))
    assert convert(photos, tmp_path / "b", format_name) == []
    again = read(tmp_path / "b")
    assert format_name in again.format or again.format == "nerfstudio"
    assert again.names == photos.names
    assert again.cameras == photos.cameras
    assert (again.truth.cam_from_world.matrix() - photos.truth.cam_from_world.matrix()).abs().max() < 1e-9
    assert torch.equal(again[4].image, photos[4].image)
    if format_name != "colmap":
        assert again.world.meters_per_unit == 1
    with pytest.raises(ResectError, match="--overwrite"):
        convert(photos, tmp_path / "b", format_name)
    convert(photos, tmp_path / "b", format_name, overwrite=True)


def test_masks_depth_and_split_stay_in_transforms(tmp_path: Path) -> None:
    photos = _with_extras(ring(4, tmp_path / "a"))
    photos = replace(photos, given_split=make_split(photos, "every:2"))
    convert(photos, tmp_path / "b", "transforms")
    again = read(tmp_path / "b")
    assert make_split(again) == replace(make_split(photos, "every:2"), rule="given")
    for i in range(4):
        ours, theirs = photos[i], again[i]
        assert theirs.depth is not None
        assert ours.depth is not None
        assert (theirs.depth - ours.depth).abs().max() < 1e-4
        assert (theirs.depth[0] == 0).all()
        assert theirs.mask is not None
        assert torch.equal(theirs.mask, ours.mask)
    assert "Masks and depth are not written" in convert(photos, tmp_path / "c", "colmap")[0]


def test_tum_needs_one_camera_and_says_when_units_are_unknown(tmp_path: Path) -> None:
    photos = ring(3, tmp_path / "a")
    assert "unknown" in convert(photos, tmp_path / "b", "tum")[0]
    two = replace(photos, cameras=(CAMERA, CAMERA.with_focal_scale(1.1), CAMERA))
    with pytest.raises(ResectError, match="one camera"):
        convert(two, tmp_path / "c", "tum")


def test_photos_that_exif_turns_are_written_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a").mkdir()
    x, y = np.meshgrid(np.arange(80), np.arange(60))
    Image.fromarray(np.stack([x * 3, y * 4, x + y], -1).astype(np.uint8)).save(tmp_path / "a" / "p.jpg", exif=exif)
    rows = np.eye(4).tolist()
    text = f'{{"fl_x": 70, "w": 80, "h": 60, "frames": [{{"file_path": "p.jpg", "transform_matrix": {rows}}}]}}'
    (tmp_path / "a" / "transforms.json").write_text(text)
    photos = read(tmp_path / "a")
    convert(photos, tmp_path / "b", "transforms")
    again = read(tmp_path / "b")
    assert again.cameras == photos.cameras
    assert (again[0].image - photos[0].image).abs().mean() < 0.02
    assert (again.truth.cam_from_world.matrix() - photos.truth.cam_from_world.matrix()).abs().max() < 1e-12


def _marks(photos: PhotoSet, point: torch.Tensor, indices: tuple[int, ...]) -> list[Mark]:
    marks = []
    for i in indices:
        pixel, _ = photos.cameras[i].project(photos.truth.cam_from_world[i].apply(point[None]))
        marks.append(Mark(photos.names[i], *pixel[0].tolist()))
    return marks


def test_distance_between_points_gives_metres(photos: PhotoSet) -> None:
    a = torch.tensor([0.5, 0.2, 0.1], dtype=torch.float64)
    b = torch.tensor([0.4, -0.3, 0.3], dtype=torch.float64)
    meters, error = meters_from_points(photos, _marks(photos, a, (0, 2, 3)), _marks(photos, b, (1, 4)), 1.5)
    assert meters == pytest.approx(1.5 / float((a - b).norm()), rel=1e-9)
    assert error < 1e-6


def test_distance_between_cameras_scales_the_world(photos: PhotoSet) -> None:
    photos = _with_extras(photos)
    centers = photos.truth.cam_from_world.center
    factor = meters_from_cameras(photos, photos.names[0], "003.png", 2.0)
    assert factor == pytest.approx(2.0 / float((centers[0] - centers[3]).norm()))
    scaled = scale_world(photos, factor)
    assert scaled.world.meters_per_unit == 1
    new = scaled.truth.cam_from_world.center
    assert float((new[0] - new[3]).norm()) == pytest.approx(2.0)
    before, after = photos[0].depth, scaled[0].depth
    assert before is not None
    assert after is not None
    assert torch.allclose(after, before * factor)


def test_marks_that_disagree_are_refused(photos: PhotoSet) -> None:
    point = torch.tensor([0.5, 0.2, 0.1], dtype=torch.float64)
    good = _marks(photos, point, (0, 3))
    with pytest.raises(ResectError, match="two photos"):
        triangulate(photos, good[:1])
    with pytest.raises(ResectError, match="within 10 pixels"):
        triangulate(photos, [*good, Mark(photos.names[5], 2.0, 28.0)])
    with pytest.raises(ResectError, match="40x30"):
        triangulate(photos, [good[0], Mark(photos.names[5], 99.0, 3.0)])
    with pytest.raises(ResectError, match=r"003\.png"):
        triangulate(photos, [good[0], Mark("033.png", 9.0, 3.0)])
    with pytest.raises(ResectError, match="positive"):
        meters_from_cameras(photos, photos.names[0], photos.names[1], -1)
    with pytest.raises(ResectError, match="same place"):
        meters_from_cameras(photos, photos.names[0], photos.names[0], 1)


def test_parallel_rays_are_refused(tmp_path: Path) -> None:
    photos = ring(8, tmp_path).subset([0, 0])
    photos = replace(photos, names=("a.png", "b.png"))
    with pytest.raises(ResectError, match="further apart"):
        triangulate(photos, [Mark("a.png", 20.0, 15.0), Mark("b.png", 20.0, 15.0)])


def test_convert_in_place_copies_nothing(tmp_path: Path) -> None:
    photos = ring(3, tmp_path)
    write_noise(tmp_path / "images" / "003.png")
    convert(photos, tmp_path, "transforms")
    assert len(read(tmp_path)) == 3


def test_photos_that_are_there_already_are_not_replaced(tmp_path: Path) -> None:
    photos = ring(3, tmp_path / "a")
    write_noise(tmp_path / "b" / "images" / "001.png", seed=99)
    before = (tmp_path / "b" / "images" / "001.png").read_bytes()
    with pytest.raises(ResectError, match=r"images/001\.png"):
        convert(photos, tmp_path / "b", "transforms")
    assert (tmp_path / "b" / "images" / "001.png").read_bytes() == before
    assert not (tmp_path / "b" / "transforms.json").exists()
