from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from resect.data.mask import box_of, decode_runs, encode_runs, mask_from_coco, pack_runs, unpack_runs
from resect.errors import ResectError

PACKED = "Zn0d0l000000000AUO9k060000000000000000000000000000000000000000000000fd0"


def _runs_one_by_one(mask: Tensor) -> list[int]:
    """Down the columns, pixel by pixel."""
    counts, value = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if bool(mask[y, x]) != value:
                counts.append(0)
                value = not value
            counts[-1] += 1
    return counts


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (1, 40), (33, 29), (300, 80)])
def test_runs_go_down_the_columns_and_back(size: tuple[int, int], share: float) -> None:
    mask = torch.rand(*size, generator=torch.Generator().manual_seed(0)) < share
    counts = encode_runs(mask)
    if mask.numel() < 2000:
        assert counts == _runs_one_by_one(mask)
    assert torch.equal(decode_runs(counts, *size, "runs"), mask)
    assert unpack_runs(pack_runs(counts), "runs") == counts
    assert torch.equal(mask_from_coco({"counts": pack_runs(counts), "size": list(size)}, size[::-1], "x"), mask)
    assert torch.equal(mask_from_coco({"counts": counts, "size": list(size)}, size[::-1], "x"), mask)


def test_packed_strings_are_those_of_pycocotools() -> None:
    """Made with `pycocotools.mask.encode` 2.0."""
    mask = torch.zeros(48, 64, dtype=torch.bool)
    mask[10:30, 20:50] = True
    mask[15, 25] = False
    assert pack_runs(encode_runs(mask)) == PACKED
    assert unpack_runs(PACKED, "x") == encode_runs(mask)


def test_boxes_end_after_the_last_pixel() -> None:
    mask = torch.zeros(10, 20, dtype=torch.bool)
    mask[3:5, 7:12] = True
    assert box_of(mask) == (7, 3, 12, 5)


def test_a_polygon_is_filled() -> None:
    mask = mask_from_coco([[2.0, 1.0, 8.0, 1.0, 8.0, 5.0, 2.0, 5.0]], (12, 9), "x")
    inner = torch.zeros(9, 12, dtype=torch.bool)
    inner[1:5, 2:8] = True
    assert bool((mask & inner).sum() == inner.sum())
    assert int(mask.sum()) <= 7 * 5  # outline pixels may be in
    circle = [[v for a in np.linspace(0, 2 * np.pi, 200) for v in (50 + 30 * np.cos(a), 40 + 30 * np.sin(a))]]
    assert int(mask_from_coco(circle, (100, 80), "x").sum()) == pytest.approx(np.pi * 30**2, rel=0.04)


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ({"counts": [4, 2], "size": [3, 2]}, "\\[2, 3\\] as the image"),
        ({"counts": [4, 3], "size": [2, 3]}, "fill 3x2"),
        ({"counts": [7, -1], "size": [2, 3]}, "fill 3x2"),
        ({"counts": [1e9], "size": [2, 3]}, "fill 3x2"),
        ({"counts": 5, "size": [2, 3]}, "list of run lengths"),
        ({"counts": "\n", "size": [2, 3]}, "string of COCO"),
        ({"counts": "o", "size": [2, 3]}, "cut short"),
        ({"counts": "o" * 40, "size": [2, 3]}, "string of COCO"),
        ({"counts": [6]}, "size"),
        ({"counts": [6], "size": [2, "3"]}, "height and width"),
        ([[0, 0, 1]], "three or more points"),
        ([[0, 0, 1, 1, 2, float("nan")]], "finite"),
        ([[0, 0, 1, 1, 2, 1e9]], "near the image"),
        ("mask", "polygons"),
    ],
)
def test_what_is_no_mask_is_named(segmentation: Any, said: str) -> None:
    with pytest.raises(ResectError, match=said):
        mask_from_coco(segmentation, (3, 2), "here")
