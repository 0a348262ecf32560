from dataclasses import replace

import pytest
import torch
from solids_in_view import apart, disturbed, painted, photograph, pose
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.object.search import search
from resect.refine.object.settings import ObjectSettings
from resect.refine.object.sight import Work
from resect.refine.object.templates import TemplateSettings, slide
from resect.refine.view import View
from resect.scenes.mesh.scene import MeshScene
from resect.types import Hypotheses


def test_what_templates_and_outlines_like_is_ranked() -> None:
    """One colour gives templates little to hold on to; the pose comes first among many all the same."""
    mesh = painted().mesh
    colour = torch.tensor([0.8, 0.25, 0.15]).expand(len(mesh.vertices), 3).contiguous()
    scene, truth = MeshScene(replace(mesh, colors=colour), antialias=False), pose(2)
    center, settings = scene.bounds.mean(0), ObjectSettings(keep=(6, 3))
    others = [disturbed(truth, 25.0 + 3 * k, 2.0, k, center) for k in range(39)]
    poses = SE3.cat([*others, disturbed(truth, 3.0, 0.5, 50, center)])
    work = Work(scene, photograph(scene, truth), settings)
    found = search(work, Hypotheses(poses, torch.zeros(40)))
    assert len(found.score) == 2 * 4 * settings.keep[0]
    sight = work.sight(poses, settings.search_px, facets_px=settings.facets_px)
    assert sight is not None
    torch.testing.assert_close(found.score, sight.rank(found.cam_from_world), rtol=1e-3, atol=1e-3)
    best = found.cam_from_world[int(found.score.argmax())]
    assert apart(SE3(best.R[None], best.t[None]), truth)[0] < 3.5


def test_the_likeliest_of_a_density_are_looked_at_whatever_templates_say() -> None:
    scene, truth = painted(), pose(2)
    center, settings = scene.bounds.mean(0), ObjectSettings(keep=(4, 3))
    near = [disturbed(truth, 3.0 + k, 0.5, k, center) for k in range(36)]
    poses = SE3.cat([*near, *(disturbed(truth, 150.0, 2.0, 50 + k, center) for k in range(4))])
    weight = torch.tensor(36 * [-5.0] + 4 * [0.0])
    information = torch.eye(6).expand(40, 6, 6)
    work = Work(scene, photograph(scene, truth), settings)
    for told, expected in ((information, {36, 37, 38, 39}), (None, set[int]())):
        found = search(work, Hypotheses(poses, weight, told))
        assert {int(k) for k in found.parent if k >= 36} == expected


def test_a_start_in_metres_of_a_mesh_in_millimetres_asks_for_few_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The camera is then within the object: distances behind it, and shifts beyond the photo, are not looked at."""
    asked = []

    def slid(view: View, candidates: SE3, center: Tensor, size_px: int, reach_px: int, s: TemplateSettings) -> object:
        asked.append((len(candidates), reach_px <= max(view.shape)))
        assert bool((candidates.apply(center.expand(len(candidates), 1, 3))[:, 0, 2] > 0).all())
        return slide(view, candidates[:8], center, size_px, min(reach_px, 8), s)

    monkeypatch.setattr("resect.refine.object.search.slide", slid)
    scene, truth = painted(), pose(0)
    spread = torch.tensor([1 / 200.0**2] * 3 + [1 / 0.3**2] * 3).diag()[None]
    start = Hypotheses(SE3(truth.R, truth.t / 1000), torch.zeros(1), spread)
    search(Work(scene, photograph(scene, truth), ObjectSettings(pitch_deg=30.0)), start)
    ((templates, within),) = asked
    assert templates < 2000
    assert within
