import torch
from solids_in_view import disturbed, painted, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.object.shown import Lens, grown
from resect.refine.object.surface import SurfaceSettings, surface
from resect.refine.view import Meter, View, view


def looking() -> View:
    scene = painted()
    return view(scene, photograph(scene, pose(2), gain=0.8), 160, Meter(), 1)


def test_the_loss_is_least_at_the_truth_though_the_exposure_differs() -> None:
    at, s = looking(), SurfaceSettings()
    step = torch.zeros(13, 6)
    step[1:7], step[7:] = 1.0 * torch.eye(6), -1.0 * torch.eye(6)
    step[:, 3:] *= 0.02
    truth = pose(2)
    many = SE3(truth.R.expand(13, 3, 3), truth.t.expand(13, 3)).retract(step)
    assert int(surface(at, Lens(at).shown(many), s).loss.argmin()) == 0


def test_the_gradient_is_that_of_the_loss() -> None:
    """Central differences of the loss itself; pixels leave and enter the silhouette, so not to the last digit."""
    at, s = looking(), SurfaceSettings(border_px=2, most=10**6)
    lens = Lens(at)
    cosines = []
    for seed in range(4):
        start = disturbed(pose(2), 1.5, 1.0, seed, at.scene.bounds.mean(0)).double()
        gradient = surface(at, lens.shown(start.float()), s).gradient[0]
        found = []
        for axis in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[axis] = 0.5 if axis < 3 else 0.002
            both = [lens.shown(start.retract(sign * step[None]).float()) for sign in (1, -1)]
            plus, minus = (float(surface(at, shown, s).loss) for shown in both)
            found.append((plus - minus) / float(2 * step[axis]))
        expected = torch.tensor(found, dtype=torch.float64)
        weigh = torch.tensor([1.0] * 3 + [1 / 300.0] * 3, dtype=torch.float64)
        cosines.append(float(torch.nn.functional.cosine_similarity(gradient * weigh, expected * weigh, dim=0)))
    assert sorted(cosines)[1] > 0.85


def test_masks_grow_and_shrink_by_squares() -> None:
    mask = torch.zeros(1, 9, 9, dtype=torch.bool)
    mask[0, 3:6, 3:6] = True
    assert int(grown(mask, 2).sum()) == 49
    assert int(grown(mask, -1).sum()) == 1
    assert int(grown(mask, 0).sum()) == 9
