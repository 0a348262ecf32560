import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from resect.data.view_list import read_views
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.se3 import SE3
from resect.priors.upright import viewpoint_rotation
from resect.scenes.mesh.scene import MeshScene
from resect.synthesis.view_settings import ViewSettings
from resect.synthesis.views import draw_box, draw_view, draw_viewpoint, make_views

FEW = ViewSettings(images=5, side=32)


def scene() -> MeshScene:
    return MeshScene(solids.box((1.0, 0.5, 0.7)).to(torch.float32), antialias=False)


def test_a_folder_is_made_and_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "views"
    make_views(["box/1", "box/2"], lambda i: scene(), FEW, out)
    found = read_views(out)
    assert len(found) == 5
    assert set(found.categories) == {"box"}
    photo = found.photo(4)
    assert photo.image.shape == (32, 32, 3)
    before = [(out / name).read_bytes() for name in found.names]
    (out / found.names[1]).unlink()
    make_views(["box/1", "box/2"], lambda i: scene(), FEW, out)
    assert [(out / name).read_bytes() for name in found.names] == before
    with pytest.raises(ResectError, match="out"):
        make_views(["box/1"], lambda i: scene(), FEW, out)


def test_the_written_viewpoint_is_that_of_the_render() -> None:
    plain = replace(FEW, truncated=0.0, margin=0.0, side=64)
    viewpoint = torch.tensor([0.6, 0.4, 0.2], dtype=torch.float64)
    photo = draw_view(scene(), viewpoint, 2.0, plain, np.random.default_rng(0))
    pose = SE3(viewpoint_rotation(viewpoint[None]), torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64))
    pixels, _ = photo.known_camera().project(pose[0].apply(scene().mesh.vertices.double()))
    assert photo.target is not None
    assert photo.target.box == pytest.approx([*pixels.amin(0).tolist(), *pixels.amax(0).tolist()], abs=1.0)


def test_views_are_drawn_like_given_ones() -> None:
    g = np.random.default_rng(0)
    like = torch.tensor([[math.pi / 2, 0.3, 0.0]], dtype=torch.float64)
    found = torch.stack([draw_viewpoint(FEW, g, like)[0] for _ in range(300)]).rad2deg()
    assert found.mean(0).tolist() == pytest.approx([90, math.degrees(0.3), 0], abs=2.5)
    assert found.std(0).tolist() == pytest.approx(FEW.spread_deg, rel=0.2)
    free = torch.stack([draw_viewpoint(FEW, g)[0] for _ in range(300)]).rad2deg()
    assert float(free[:, 0].max() - free[:, 0].min()) > 300
    assert float(free[:, 1].min()) >= FEW.elevation_deg[0]


def test_some_crops_cut_the_object_and_others_leave_room() -> None:
    g, box = np.random.default_rng(0), (20.0, 20.0, 60.0, 60.0)
    whole = [draw_box(box, 100, replace(FEW, truncated=0.0), g) for _ in range(50)]
    assert all(b[0] <= 20 and b[1] <= 20 and b[2] >= 60 and b[3] >= 60 for b in whole)
    cut = [draw_box(box, 100, replace(FEW, truncated=1.0), g) for _ in range(50)]
    assert any(b[0] > 20 or b[3] < 60 for b in cut)
    assert all(b[0] < b[2] and b[1] < b[3] for b in cut)


def test_no_models_are_said(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="model"):
        make_views([], lambda i: scene(), FEW, tmp_path)
