from dataclasses import replace

import torch
from cube import block, opacity, photograph, ring

from resect.geometry import so3
from resect.refine.cutout import Cutout, CutoutSettings
from resect.scenes.mesh.scene import MeshScene
from resect.tracking.masks import MaskFollower
from resect.tracking.recut import Recut
from resect.types import Hypotheses, Photo, Status


def shaded() -> tuple[Photo, MaskFollower, torch.Tensor]:
    """The block with a shadow of its own colour beside it, and what was learned without."""
    pose = ring(1)[0]
    photo, true = photograph(pose), opacity(pose) > 0.5
    rows, columns = true.nonzero().unbind(1)
    image = photo.image.clone()
    dark = photo.image[true].median(0).values
    image[int(rows.max()) - 12 : int(rows.max()) + 12, int(columns.max()) - 10 : int(columns.max()) + 14] = dark
    image = torch.where(true[..., None], photo.image, image)
    return replace(photo, image=image), MaskFollower(photo, true), true


def turn_of(times: int) -> float:
    pose = ring(1)[0]
    photo, follower, _ = shaded()
    refiner = Recut(Cutout(CutoutSettings(color=0.0)), lambda expected: follower.cut(photo, expected=expected), times)
    answer = refiner.refine(MeshScene(block()), follower.cut(photo), Hypotheses(pose[None].float(), torch.zeros(1)))
    assert answer.cam_from_world is not None
    return float(so3.angle(answer.cam_from_world.R.double(), pose.R).rad2deg())


def test_a_shadow_spoils_later_cuts_less() -> None:
    assert turn_of(2) < 0.8 * turn_of(0)


def test_what_was_not_found_is_not_cut_again() -> None:
    photo, follower, _ = shaded()
    away = Hypotheses(ring(1, radius=60.0)[0][None].float(), torch.zeros(1))

    def never(expected: torch.Tensor) -> Photo:
        raise AssertionError

    answer = Recut(Cutout(CutoutSettings(steps=1)), never, 3).refine(MeshScene(block()), follower.cut(photo), away)
    assert answer.status is Status.NO_AGREEMENT
