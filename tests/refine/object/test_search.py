from dataclasses import replace

import torch
from solids_in_view import apart, disturbed, painted, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.object.search import search
from resect.refine.object.settings import ObjectSettings
from resect.refine.object.sight import Work
from resect.scenes.mesh.scene import MeshScene
from resect.types import Hypotheses


def test_templates_and_outlines_take_turns() -> None:
    """One colour gives templates little to hold on to; the outline finds the pose among many."""
    mesh = painted().mesh
    colour = torch.tensor([0.8, 0.25, 0.15]).expand(len(mesh.vertices), 3).contiguous()
    scene, truth = MeshScene(replace(mesh, colors=colour), antialias=False), pose(2)
    center, settings = scene.bounds.mean(0), ObjectSettings(keep=(6, 3))
    others = [disturbed(truth, 25.0 + 3 * k, 2.0, k, center) for k in range(39)]
    poses = SE3.cat([*others, disturbed(truth, 3.0, 0.5, 50, center)])
    found = search(Work(scene, photograph(scene, truth), settings), Hypotheses(poses, torch.zeros(40)))
    assert len(found.score) == 2 * 4 * settings.keep[0]
    best = found.take(found.score.argsort(descending=True, stable=True))
    torch.testing.assert_close(best.score[:4], torch.tensor([1.0, 1.0, 23 / 24, 23 / 24]))
    turns = [apart(best.cam_from_world[k : k + 1], truth)[0] for k in range(2)]
    assert min(turns) < 3.5
