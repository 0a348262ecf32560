import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
from cube import block, opacity, photograph, ring

from resect.errors import ResectError
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.scenes.mesh.scene import MeshScene
from resect.shape.hull import colored, mask_bounds, visual_hull
from resect.types import Photo


def views(count: int) -> tuple[list[Photo], SE3]:
    poses = SE3.cat([ring(count, 330.0), ring(count, 330.0, height=-0.2)])
    photos = []
    for k in range(len(poses)):
        alpha = opacity(poses[k])
        photo = photograph(poses[k], str(k))
        photos.append(replace(photo, alpha=alpha, image=photo.image * alpha[..., None] + 1 - alpha[..., None]))
    return photos, poses


def test_a_block_from_all_around() -> None:
    photos, poses = views(12)
    mesh = visual_hull(photos, poses, cells=64)
    torch.testing.assert_close(mesh.bounds, block().bounds, atol=0.04, rtol=0)
    shown = MeshScene(mesh).render(photos[0].known_camera(), poses.float(), ("alpha",)).alpha
    assert shown is not None
    for k, photo in enumerate(photos):
        assert photo.alpha is not None
        both = (
            torch.minimum(shown[k], photo.alpha.flatten()).sum() / torch.maximum(shown[k], photo.alpha.flatten()).sum()
        )
        assert float(both) > 0.93
    found = colored(mesh, photos, poses)
    seen = MeshScene(found).render(photos[3].known_camera(), poses[3:4].float(), ("rgb",)).rgb
    assert seen is not None
    inside = (photos[3].alpha > 0.99).flatten()  # type: ignore[operator]
    assert float((seen[0][inside] - photos[3].image.reshape(-1, 3)[inside]).abs().mean()) < 0.08


def volume(mesh: Mesh) -> float:
    a, b, c = mesh.triangles.unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def test_a_wrong_mask_is_forgiven() -> None:
    photos, poses = views(12)
    assert photos[0].alpha is not None
    photos[0] = replace(photos[0], alpha=torch.roll(photos[0].alpha, 12, 1))
    whole, spoilt = (volume(visual_hull(photos, poses, cells=48, forgive=f)) for f in (1, 0))
    assert whole == pytest.approx(volume(block()), rel=0.12)
    assert spoilt < 0.75 * volume(block())


def test_bad_input_is_named() -> None:
    photos, poses = views(2)
    with pytest.raises(ResectError, match="cells"):
        visual_hull(photos, poses, cells=4096)
    with pytest.raises(ResectError, match="forgive"):
        visual_hull(photos, poses, forgive=9)
    with pytest.raises(ResectError, match="alpha"):
        visual_hull([replace(photos[0], alpha=None), *photos[1:]], poses)
    with pytest.raises(ResectError, match="empty one"):
        mask_bounds([replace(photos[0], alpha=torch.zeros(72, 96)), *photos[1:]], poses.float())
