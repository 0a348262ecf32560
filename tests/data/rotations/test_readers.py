"""Readers of images with rotations: small folders made here, conventions by projecting points, real samples."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from bop_folder import write_bop
from PIL import Image
from scipy.io import savemat
from torch import Tensor

from resect.data.objects import read_objects, read_training_objects
from resect.data.rotation_set import RotationSet
from resect.data.rotations.arrays import PASCAL_KINDS
from resect.data.rotations.pascal3d import pascal_pose
from resect.data.rotations.read import read_rotations
from resect.data.rotations.solids import read_solids
from resect.data.rotations.table import write_rotation_table
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.types import Photo, Target

REAL = Path(os.environ.get("RESECT_TEST_DATA", "/nowhere"))


def rotations(count: int, seed: int = 0) -> Tensor:
    return so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def picture(path: Path, width: int = 8, height: int = 6, value: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (value, 0, 0)).save(path)


# --- resect's own table -----------------------------------------------------------------------------------------------


def some_set() -> RotationSet:
    camera = Camera(100.0, 100.0, 20.0, 10.0, 40, 20)

    def load(i: int) -> Photo:
        image = torch.full((20, 40, 3), i / 10)
        return Photo(str(i), image, camera, "test", Target("cup", category="cup", box=(4.0, 2.0, 36.0, 18.0)))

    moved = torch.arange(9.0).view(3, 3).double()
    return RotationSet("test", ("0", "1", "2"), ("cup",) * 3, rotations(3), load, translation=moved)


def test_a_set_written_as_a_table_reads_back_smaller_with_its_camera(tmp_path: Path) -> None:
    data = some_set()
    write_rotation_table(data, tmp_path / "out", longest=20)
    back = read_rotations(tmp_path / "out")
    torch.testing.assert_close(back.rotation, data.rotation)
    torch.testing.assert_close(back.translation, data.translation)
    photo = back.photo(2)
    assert photo.image.shape == (10, 20, 3)
    assert photo.camera == Camera(50.0, 50.0, 10.0, 5.0, 20, 10)
    assert photo.target is not None
    assert photo.target.box == (2.0, 1.0, 18.0, 9.0)
    assert float(photo.image.mean()) == pytest.approx(0.2, abs=0.01)
    with pytest.raises(ResectError, match="without"):
        write_rotation_table(data, tmp_path / "out")


HEAD = "# resect-rotations 1 | cam_from_obj | opencv camera | quaternion wxyz\nphoto,category,qw,qx,qy,qz\n"


def test_a_bent_lens_is_written_as_a_pinhole(tmp_path: Path) -> None:
    lens = Camera(40.0, 40.0, 20.0, 10.0, 40, 20, "opencv", (-0.3, 0.1))
    straight = Camera(40.0, 40.0, 20.0, 10.0, 40, 20)
    seen, _ = straight.project(lens.rays(lens.pixels(dtype=torch.float64)))
    image = (seen[..., :1] / 60 + 0.1).view(20, 40, 1).expand(-1, -1, 3).float()  # tells the pinhole's column
    photo = Photo("0", image, lens, "test", Target("cup", category="cup", box=(4.0, 2.0, 36.0, 18.0)))
    write_rotation_table(RotationSet("test", ("0",), ("cup",), rotations(1), lambda _: photo), tmp_path / "out")
    back = read_rotations(tmp_path / "out").photo(0)
    assert back.camera == straight
    columns = (back.image[2:-2, 4:-4, 0] - 0.1) * 60
    torch.testing.assert_close(columns, (torch.arange(4, 36) + 0.5).expand(16, -1), atol=0.3, rtol=0)
    assert back.target is not None
    assert back.target.box is not None
    assert back.target.box[0] < 3.5  # barrel: the corner lies further out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        (HEAD, "a line for each image"),
        (HEAD + "a.png,cup,1,1,0,0\n", "unit quaternion"),
        (HEAD + "a.png,cup,1,x,0,0\n", "line 3"),
        (HEAD + "a.png,cup,nan,0,0,0\n", "finite"),
        (HEAD + "../a.png,cup,1,0,0,0\n", "in the table's folder"),
        (HEAD + ",cup,1,0,0,0\n", "a photo"),
    ],
)
def test_bad_tables_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rotations.csv").write_text(text)
    with pytest.raises(ResectError, match=message):
        read_rotations(tmp_path)


def test_a_folder_a_split_is_found(tmp_path: Path) -> None:
    write_rotation_table(some_set().subset([0]), tmp_path / "test")
    assert len(read_rotations(tmp_path, "test")) == 1
    with pytest.raises(ResectError, match="split: expected one of test"):
        read_rotations(tmp_path, "train")
    with pytest.raises(ResectError, match="none of these"):
        read_rotations(tmp_path / "test/0000")


def test_a_part_that_is_not_there_is_said(tmp_path: Path) -> None:
    for folder, split, parts in (
        (solids(tmp_path / "solids"), "valid", "train"),
        (spacecraft(tmp_path / "craft"), "lightbox/train", "test"),
    ):
        with pytest.raises(ResectError, match=f"split: expected one of {parts}, got"):
            read_rotations(folder, split)
    write_rotation_table(some_set(), tmp_path / "whole")
    assert read_rotations(tmp_path / "whole", "test").notes == ()
    assert "no 'lightbox/test'" in read_rotations(tmp_path / "whole", "lightbox/test").notes[0]


# --- arrays -----------------------------------------------------------------------------------------------------------


def arrays(path: Path, **changed: object) -> Path:
    content = {"imgs": np.full((2, 4, 4, 1), 51, np.uint8), "rots": rotations(2).numpy(), "cat_ids": np.array([2, 9])}
    np.savez_compressed(path, **(content | changed))  # type: ignore[arg-type]
    return path


def test_arrays_of_images_are_read(tmp_path: Path) -> None:
    found = read_rotations(arrays(tmp_path / "modelnet10_test.npz"))
    assert found.categories == ("chair", "toilet")
    torch.testing.assert_close(found.photo(1).image, torch.full((4, 4, 3), 0.2))
    torch.testing.assert_close(found.rotation, rotations(2))


@pytest.mark.parametrize(
    "changed",
    [
        {"rots": np.zeros((2, 3, 3))},
        {"rots": np.eye(3)[None]},
        {"cat_ids": np.array([0, 10])},
        {"imgs": np.zeros((2, 4, 4, 1))},
        {"imgs": np.array([{}, {}])},
    ],
)
def test_arrays_of_other_kinds_are_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(ResectError):
        read_rotations(arrays(tmp_path / "x.npz", **changed))


def test_cut_and_missing_array_files_are_refused(tmp_path: Path) -> None:
    path = arrays(tmp_path / "x.npz")
    path.write_bytes(path.read_bytes()[:200])
    for broken in (path, tmp_path / "none.npz"):
        with pytest.raises(ResectError):
            read_rotations(broken)


# --- symmetric solids as released -------------------------------------------------------------------------------------


def solids(root: Path, **changed: object) -> Path:
    group = so3.exp(torch.tensor([[0, 0, 0], [0, 0, 2.0], [0, 0, 4.0]], dtype=torch.float64))
    label = rotations(3)
    content = {"cone": (label[:, None] @ group).float().numpy(), "tetX": label[:2, None].numpy()}
    for name, count in (("cone", 3), ("tetX", 2)):
        for i in range(count):
            picture(root / f"train/images/{name}_{i:05d}.png", value=10 * i)
    np.savez(root / "train/rotations.npz", **(content | changed))  # type: ignore[arg-type]
    return root


def test_solids_have_their_first_rotation_as_label_and_all_as_equivalents(tmp_path: Path) -> None:
    found = read_rotations(solids(tmp_path))
    assert found.categories == ("cone",) * 3  # set I is the default
    torch.testing.assert_close(found.rotation, rotations(3), atol=1e-6, rtol=0)
    assert found.equivalents is not None
    same = found.equivalents(1)
    turn = so3.angle(same[0].expand(2, 3, 3), same[1:])
    torch.testing.assert_close(turn, torch.tensor([2.0, 2 * math.pi - 4.0]).double(), atol=1e-5, rtol=0)
    assert float(found.photo(2).image[0, 0, 0]) == pytest.approx(20 / 255)
    assert len(read_solids(tmp_path, views=2)) == 2


def test_marked_solids_have_no_known_equivalents(tmp_path: Path) -> None:
    found = read_rotations(solids(tmp_path), "train:tetX")
    assert found.categories == ("tetX",) * 2
    assert read_rotations(tmp_path, "train:cone,tetX").categories == ("cone",) * 3 + ("tetX",) * 2
    assert found.equivalents is None
    assert found.notes


def test_solids_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    free = so3.random(9, generator=torch.Generator().manual_seed(3)).view(3, 3, 3, 3).numpy()
    with pytest.raises(ResectError, match="same S"):
        read_solids(solids(tmp_path, cone=free))
    with pytest.raises(ResectError, match="shape"):
        read_solids(solids(tmp_path, cone=np.zeros((3, 9))))
    with pytest.raises(ResectError, match="whole array"):
        read_solids(solids(tmp_path), shapes=("cube",))
    with pytest.raises(ResectError, match="cyl"):
        read_solids(tmp_path, shapes=("cyli",))


# --- PASCAL3D+ --------------------------------------------------------------------------------------------------------


def published_projection(
    angles: tuple[float, float, float], distance: float, focal: float, px: float, py: float
) -> Tensor:
    """The 3 x 4 matrix in the words of the published toolkit: P = T diag(1, −1, 1) Rz(θ) diag(f, f, −1) [R | −R C]."""
    a, e, th = (math.radians(x) for x in angles)
    c = (
        torch.tensor([math.cos(e) * math.sin(a), -math.cos(e) * math.cos(a), math.sin(e)], dtype=torch.float64)
        * distance
    )

    def about_z(t: float) -> Tensor:
        return torch.tensor(
            [[math.cos(t), -math.sin(t), 0], [math.sin(t), math.cos(t), 0], [0, 0, 1]], dtype=torch.float64
        )

    t = e - math.pi / 2
    about_x = torch.tensor(
        [[1, 0, 0], [0, math.cos(t), -math.sin(t)], [0, math.sin(t), math.cos(t)]], dtype=torch.float64
    )
    r = about_x @ about_z(-a)
    shift = torch.tensor([[1, 0, px], [0, 1, py], [0, 0, 1]], dtype=torch.float64)
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0])).double()
    lens = torch.diag(torch.tensor([focal, focal, -1.0])).double()
    return shift @ flip @ about_z(th) @ lens @ torch.cat([r, -(r @ c)[:, None]], 1)


@pytest.mark.parametrize("angles", [(30.0, 20.0, 0.0), (200.0, -5.0, 12.0), (0.0, 0.0, 0.0), (310.0, 80.0, -40.0)])
def test_pascal_poses_project_as_the_published_matrix(angles: tuple[float, float, float]) -> None:
    points = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double() * 0.3
    p = published_projection(angles, 4.0, 3000.0, 210.0, 150.0)
    expected = torch.cat([points, torch.ones(6, 1).double()], 1) @ p.mT
    pose = pascal_pose(*angles, 4.0)
    assert float(torch.linalg.det(pose.R)) == pytest.approx(1)
    seen = points @ pose.R.mT + pose.t
    assert (seen[:, 2] > 0).all()
    found = 3000 * seen[:, :2] / seen[:, 2:] + torch.tensor([210.0, 150.0]).double()
    torch.testing.assert_close(found, expected[:, :2] / expected[:, 2:])


def annotation(path: Path, **changed: object) -> None:
    view = {"azimuth": 30.0, "elevation": 10.0, "theta": 5.0, "distance": 4.0, "focal": 1.0, "viewport": 3000.0}
    view |= {"px": 210.0, "py": 150.0}
    thing = {"class": "car", "bbox": [11.0, 21.0, 110.0, 90.0], "occluded": 0, "truncated": 0, "difficult": 0}
    view |= {k: v for k, v in changed.items() if k in view}  # type: ignore[misc]
    thing |= {k: v for k, v in changed.items() if k in thing}  # type: ignore[misc]
    fields = [(name, object) for name in (*thing, "viewpoint")]
    objects = np.empty((1, 1), dtype=fields)
    for name, value in thing.items():
        objects[name][0, 0] = value
    objects["viewpoint"][0, 0] = view
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"record": {"objects": objects}})


def pascal(root: Path) -> Path:
    lists = root / "PASCAL/VOCdevkit/VOC2012/ImageSets/Main"
    lists.mkdir(parents=True)
    (root / "Image_sets").mkdir()
    for kind in PASCAL_KINDS:
        for part in ("train", "val"):
            (lists / f"{kind}_{part}.txt").write_text(
                "2008_1  1\n2008_2 -1\n" if kind == "car" and part == "val" else ""
            )
            listed = "n01\nn02\n" if kind == "car" and part == "train" else ""
            (root / f"Image_sets/{kind}_imagenet_{part}.txt").write_text(listed)
    picture(root / "Images/car_pascal/2008_1.jpg", 300, 200)
    annotation(root / "Annotations/car_pascal/2008_1.mat")
    for name, changed in (("n01", {}), ("n02", {"occluded": 1})):
        picture(root / f"Images/car_imagenet/{name}.JPEG", 300, 200)
        annotation(root / f"Annotations/car_imagenet/{name}.mat", **changed)
    return root


def test_pascal3d_is_read_with_both_coordinates_of_the_principal_point(tmp_path: Path) -> None:
    found = read_rotations(pascal(tmp_path), "test")
    assert found.names == ("Images/car_pascal/2008_1.jpg",)
    photo = found.photo(0)
    assert photo.camera == Camera(3000.0, 3000.0, 209.5, 149.5, 300, 200)
    assert photo.target is not None
    assert photo.target.box == (10.0, 20.0, 110.0, 90.0)
    torch.testing.assert_close(found.rotation[0], pascal_pose(30.0, 10.0, 5.0, 4.0).R)
    train = read_rotations(tmp_path, "train")
    assert train.names == ("Images/car_imagenet/n01.JPEG",)
    assert "1 photos are left out" in train.notes[0]


def test_pascal3d_without_lists_or_with_damaged_annotations_is_refused(tmp_path: Path) -> None:
    root = pascal(tmp_path)
    (root / "Annotations/car_pascal/2008_1.mat").write_bytes(b"not a mat file")
    with pytest.raises(ResectError, match="annotation"):
        read_rotations(root, "test")
    (root / "Image_sets/car_imagenet_train.txt").unlink()
    with pytest.raises(ResectError, match="whole release"):
        read_rotations(root, "train")


def test_rendered_crops_are_mixed_in(tmp_path: Path) -> None:
    root = pascal(tmp_path)
    picture(root / "syn_images_cropped_bkg_overlaid/02958343/m1/02958343_m1_a030_e010_t-05_d002.png", 40, 30)
    found = read_rotations(root, "train+rendered")
    assert len(found) == 4
    assert found.categories == ("car",) * 4
    torch.testing.assert_close(found.rotation[0], found.rotation[3])  # tilt 5 here, −5 there
    camera = found.photo(3).camera
    assert camera is not None
    assert (camera.fx, camera.cx, camera.cy) == (3000.0, 20.0, 15.0)
    (root / "syn_images_cropped_bkg_overlaid/02958343/m1/x.png").touch()
    with pytest.raises(ResectError, match="ends in"):
        read_rotations(root, "train+rendered")


# --- SPEED+ -----------------------------------------------------------------------------------------------------------


def spacecraft(root: Path, **changed: object) -> Path:
    (root / "lightbox").mkdir(parents=True, exist_ok=True)
    lens = {"Nu": 1920, "Nv": 1200, "cameraMatrix": [[2988.0, 0, 960], [0, 2988.0, 600], [0, 0, 1]]}
    (root / "camera.json").write_text(json.dumps(lens | {"distCoeffs": [0.0] * 5}))
    entry = {"filename": "img1.jpg", "q_vbs2tango_true": [0.6, 0.8, 0.0, 0.0], "r_Vo2To_vbs_true": [0.1, -0.2, 8.0]}
    (root / "lightbox/test.json").write_text(json.dumps([entry | changed]))
    picture(root / "lightbox/images/img1.jpg", 192, 120)
    return root


def test_spacecraft_labels_are_cam_from_obj(tmp_path: Path) -> None:
    for path, split in ((spacecraft(tmp_path), "lightbox/test"), (tmp_path / "lightbox", "test")):
        found = read_rotations(path, split)
        torch.testing.assert_close(found.rotation[0], so3.from_quaternion(torch.tensor([0.6, 0.8, 0, 0]).double()))
        assert found.translation is not None
        assert found.translation.tolist() == [[0.1, -0.2, 8.0]]
        camera = found.photo(0).camera
        assert camera is not None
        assert (camera.width, camera.height) == (192, 120)
        assert camera.fx == pytest.approx(298.8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"q_vbs2tango_true": [1, 1, 0, 0]}, "entry 0"),
        ({"filename": "../../etc/passwd"}, "filename"),
        ({"r_Vo2To_vbs_true": [0, 0]}, "entry 0"),
    ],
)
def test_bad_spacecraft_labels_are_named(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    with pytest.raises(ResectError, match=message):
        read_rotations(spacecraft(tmp_path, **changed), "lightbox/test")


def test_objects_are_read_by_what_a_part_is_for(tmp_path: Path) -> None:
    write_bop(tmp_path)
    (tmp_path / "train_pbr").mkdir()
    (tmp_path / "test/000003").rename(tmp_path / "train_pbr/000001")
    write_bop(tmp_path)
    parts = {split: read_rotations(tmp_path, split) for split in ("train", "test", "train_pbr")}
    first = {split: found.names[0] for split, found in parts.items()}
    assert first["train"] == first["train_pbr"] != first["test"]
    with pytest.raises(ResectError, match="split"):
        read_rotations(tmp_path, "val")


def test_a_dataset_for_tests_alone_is_learned_from_only_where_that_is_said(tmp_path: Path) -> None:
    write_bop(tmp_path)
    with pytest.raises(ResectError, match=r"only test\. To learn from .* --split test"):
        read_rotations(tmp_path)
    with pytest.raises(ResectError, match="only test"):
        read_training_objects(tmp_path)
    assert len(read_training_objects(tmp_path, split="test")) == len(read_objects(tmp_path))
    assert read_rotations(tmp_path, "test").names == read_rotations(tmp_path / "test").names


def test_symmetries_that_nothing_tells_are_not_known(tmp_path: Path) -> None:
    write_bop(tmp_path)
    assert read_rotations(tmp_path, "test").equivalents is not None
    for file in tmp_path.glob("models*/models_info.json"):
        file.unlink()
    assert read_rotations(tmp_path, "test").equivalents is None


# --- real samples -----------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "mini_pascal").is_dir(), reason="RESECT_TEST_DATA holds no mini_pascal")
def test_the_small_pascal_sample_is_read() -> None:
    found = read_rotations(REAL / "mini_pascal/mini_pascal.npz")
    assert len(found) == 10
    assert found.known == ("aeroplane", "car", "motorbike", "train", "tvmonitor")
    assert found.photo(3).image.shape == (224, 224, 3)


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "tudl_dragon").is_dir(), reason="RESECT_TEST_DATA holds no tudl_dragon")
def test_the_dragon_is_read_with_boxes() -> None:
    found = read_rotations(REAL / "tudl_dragon")
    assert len(found) == 229
    assert found.equivalents is None  # there is no models_info.json
    photo = found.photo(1)
    assert photo.target is not None
    assert photo.target.box == pytest.approx((254, 103, 391, 313), abs=1)
    assert photo.camera is not None
    assert photo.camera.cx == pytest.approx(322.066)
