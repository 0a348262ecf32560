"""Views of instances, read as images with rotations."""

from pathlib import Path

import torch

from resect.data.image import png_bytes
from resect.data.instances import read_instances, write_instance
from resect.data.rotations.read import read_rotations
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at


def test_views_of_instances_are_rotations(tmp_path: Path) -> None:
    camera = Camera.from_fov(0.8, 12, 12)
    poses = look_at(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]), torch.zeros(2, 3))
    images = [png_bytes(torch.full((12, 12, 3), 40 * k, dtype=torch.uint8)) for k in (1, 2)]
    for name in ("a", "b"):
        write_instance(tmp_path / name, images, camera, poses)
    found, views = read_rotations(tmp_path), read_instances(tmp_path)
    assert len(found) == 4
    assert found.names == views.photos.names
    assert set(found.categories) == {"instance"}
    assert torch.allclose(found.rotation[:2].float(), poses.R, atol=1e-5)
    photo = found.photo(1)
    assert photo.target is not None
    assert photo.target.box is None  # all of the view is looked at
    assert abs(float(photo.image.mean()) - 80 / 255) < 1e-6
