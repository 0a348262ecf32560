from dataclasses import replace

import pytest
import torch
from cube import opacity, photograph, ring

from resect.errors import ResectError
from resect.tracking.masks import MaskFollower


def test_a_mask_is_carried_through_frames_with_soft_edges() -> None:
    poses = ring(8)
    follower = MaskFollower(photograph(poses[0]), opacity(poses[0]) > 0.5)
    for k in range(8):
        cut = follower.cut(photograph(poses[k], str(k)))
        assert cut.alpha is not None
        assert cut.target is not None
        assert cut.target.mask is not None
        true = opacity(poses[k])
        assert float((cut.alpha - true).abs().mean()) < 0.01
        edge = (true > 0.05) & (true < 0.95)
        assert float((cut.alpha - true)[edge].abs().mean()) < 0.15
        outside = true < 0.01
        assert float((cut.image[outside] - 1).abs().max()) < 0.6  # laid on white
        assert float((cut.image[outside] - 1).abs().mean()) < 0.01


def test_what_changes_slowly_is_learned() -> None:
    """The lamp goes out in twelve frames; what is known of each frame's mask teaches the next one."""
    pose = ring(1)[0]
    photo, true = photograph(pose), opacity(pose)

    def last(*, learning: bool) -> float:
        follower = MaskFollower(photo, true > 0.5)
        for k in range(12):
            frame = replace(photo, image=photo.image * (1 - 0.07 * k))
            alpha = follower.cut(frame).alpha
            assert alpha is not None
            if learning:
                follower.learn(frame, true > 0.5)
        return float((alpha - true).abs().mean())

    assert last(learning=True) < 0.02
    assert last(learning=False) > 2 * last(learning=True)


def test_what_cannot_be_the_mask_is_not_learned() -> None:
    pose = ring(1)[0]
    photo, true = photograph(pose), opacity(pose) > 0.5
    follower = MaskFollower(photo, true)
    before = follower.cut(photo).alpha
    for mask in (torch.zeros_like(true), torch.ones_like(true)):
        follower.learn(photo, mask)
    assert torch.equal(follower.cut(photo).alpha, before)  # type: ignore[arg-type]


def test_a_mask_that_is_known_only_gets_a_soft_edge() -> None:
    pose = ring(1)[0]
    photo, true = photograph(pose), opacity(pose)
    follower = MaskFollower(photo, true > 0.5)
    known = true > 0.5
    known[:, : int(known.any(0).nonzero().float().median())] = False  # half of it: colours would find the other half
    alpha = follower.cut(photo, known).alpha
    assert alpha is not None
    assert float(((alpha > 0.5) != known).float().mean()) < 0.01


def test_where_it_is_foretold_place_counts_too() -> None:
    """Half of the object looks like the floor, and a shadow as dark as the object lies beside it."""
    pose = ring(1)[0]
    photo, true = photograph(pose), opacity(pose) > 0.5
    follower = MaskFollower(photo, true)
    rows, columns = true.nonzero().unbind(1)
    image, middle = photo.image.clone(), int(rows.median())
    image[middle - 6 : middle + 6, int(columns.median()) - 4 : int(columns.median()) + 4] = photo.image[2, 2]
    low = int(rows.max())
    image[low - 3 : low + 14, int(columns.min()) : int(columns.max())] = photo.image[true].median(0).values

    def wrong(expected: torch.Tensor | None) -> float:
        follower.learn(photo, true)
        found = follower.cut(replace(photo, image=image), expected=expected).target
        assert found is not None
        assert found.mask is not None
        return float((found.mask != true).sum() / true.sum())

    assert wrong(true.roll(1, 1)) < 0.6 * wrong(None)


def test_specks_are_filled_and_parts_elsewhere_are_not_taken() -> None:
    pose = ring(1)[0]
    photo, true = photograph(pose), opacity(pose)
    image = photo.image.clone()
    rows, columns = (true > 0.99).nonzero().unbind(1)
    image[int(rows.median()), int(columns.median())] = torch.tensor([0.8, 0.6, 0.5])
    image[2:8, 2:8] = torch.tensor([0.1, 0.3, 0.8])  # the object's colour, far from it
    follower = MaskFollower(photo, true > 0.5)
    alpha = follower.cut(replace(photo, image=image)).alpha
    assert alpha is not None
    assert float(alpha[int(rows.median()), int(columns.median())]) == 1
    assert float(alpha[2:8, 2:8].max()) == 0


def test_an_object_that_is_gone_leaves_an_empty_mask() -> None:
    pose = ring(1)[0]
    photo = photograph(pose)
    follower = MaskFollower(photo, opacity(pose) > 0.5)
    gone = follower.cut(replace(photo, image=torch.full_like(photo.image, 0.6)))
    assert gone.target is not None
    assert gone.target.mask is not None
    assert not bool(gone.target.mask.any())
    back = follower.cut(photo)
    assert back.alpha is not None
    assert float(back.alpha.sum()) > 100


def test_wrong_masks_are_named() -> None:
    photo = photograph(ring(1)[0])
    with pytest.raises(ResectError, match="size of the first frame, 96x72"):
        MaskFollower(photo, torch.ones(10, 10, dtype=torch.bool))
    for mask, said in ((torch.zeros(72, 96), "an empty one"), (torch.ones(72, 96), "covers everything")):
        with pytest.raises(ResectError, match=said):
            MaskFollower(photo, mask.bool())
