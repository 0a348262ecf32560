"""Other people's conventions against examples written out by hand."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.conventions import (
    flip_opengl,
    pixel_offset,
    world_from_cam_llff,
    wxyz_from_xyzw,
    xyzw_from_wxyz,
)
from resect.geometry.se3 import SE3


def test_an_opengl_camera_with_identity_looks_along_minus_z() -> None:
    # A Blender camera with an identity matrix: right +x, up +y, looking along −z of the world.
    cv = flip_opengl(SE3.identity(), "world_from_cam")
    right, down, ahead = cv.R.unbind(-1)
    assert right.tolist() == [1, 0, 0]
    assert down.tolist() == [0, -1, 0]
    assert ahead.tolist() == [0, 0, -1]


def test_an_opengl_camera_on_the_x_axis_looking_at_the_origin() -> None:
    # At (4, 0, 0), z up: its backward axis is +x, its up is +z, its right is up × backward = +y.
    gl = SE3(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]), torch.tensor([4.0, 0, 0]))
    cam_from_world = flip_opengl(gl, "world_from_cam").inverse()
    points = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 1, 0]])  # the origin, above it, to its right as seen
    assert cam_from_world.apply(points).tolist() == [[0, 0, 4], [0, -1, 4], [1, 0, 4]]


def test_both_sides_flip_alike_and_twice_is_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    gl = SE3(so3.random(5, generator=generator), torch.randn(5, 3, generator=generator))
    one = flip_opengl(gl, "world_from_cam").inverse()
    other = flip_opengl(gl.inverse(), "cam_from_world")
    torch.testing.assert_close(one.matrix(), other.matrix())
    for side in ("world_from_cam", "cam_from_world"):
        back = flip_opengl(flip_opengl(gl, side), side)
        assert torch.equal(back.matrix(), gl.matrix())


def test_llff_columns_are_down_right_backward() -> None:
    # The camera of the previous test in LLFF's order: down −z, right +y, backward +x, centre (4, 0, 0).
    matrix = torch.tensor([[0.0, 0, 1, 4], [0, 1, 0, 0], [-1, 0, 0, 0]])
    cam_from_world = world_from_cam_llff(matrix).inverse()
    points = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert cam_from_world.apply(points).tolist() == [[0, 0, 4], [0, -1, 4], [1, 0, 4]]
    assert torch.linalg.det(world_from_cam_llff(matrix[None]).R) == 1


def test_a_tum_line() -> None:
    # "timestamp tx ty tz qx qy qz qw": a quarter turn about z carries the camera's x axis to the world's y axis.
    q = torch.tensor([0.0, 0.0, math.sin(math.pi / 4), math.cos(math.pi / 4)])
    rotation = so3.from_quaternion(wxyz_from_xyzw(q))
    torch.testing.assert_close(rotation @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))


def test_quaternion_orders() -> None:
    xyzw = torch.from_numpy(Rotation.random(6, random_state=0).as_quat(canonical=True))
    rotations = so3.from_quaternion(wxyz_from_xyzw(xyzw))
    torch.testing.assert_close(rotations, torch.from_numpy(Rotation.from_quat(xyzw.numpy()).as_matrix()))
    assert torch.equal(xyzw_from_wxyz(wxyz_from_xyzw(xyzw)), xyzw)
    assert wxyz_from_xyzw(torch.tensor([1.0, 2, 3, 4])).tolist() == [4, 1, 2, 3]


def test_half_pixel_table() -> None:
    at_corner = ("colmap", "nerfstudio", "instant-ngp", "blender", "7scenes-colmap")
    at_centre = ("opencv", "bop", "tum", "kitti", "srn", "props", "llff")
    assert [pixel_offset(name) for name in at_corner] == [0.0] * 5
    assert [pixel_offset(name) for name in at_centre] == [0.5] * 7
    with pytest.raises(ResectError, match="Did you mean 'colmap'"):
        pixel_offset("colmpa")
