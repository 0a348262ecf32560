import torch
from scipy.ndimage import distance_transform_edt
from solids_in_view import CAMERA, disturbed, painted, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import LMSettings, Normal, State, levenberg_marquardt
from resect.refine.object.region import Region, RegionSettings, signed_distance
from resect.refine.object.shown import Lens
from resect.refine.view import Meter, View, view


def looking(seed: int = 0) -> View:
    scene = painted()
    return view(scene, photograph(scene, pose(seed)), 160, Meter(), 1)


def test_distances_are_those_of_scipy_within_reach() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, 1, 8, 8, generator=generator)
    masks = torch.nn.functional.interpolate(coarse, size=(48, 40), mode="bilinear")[:, 0] > 0.5
    distance, nearest = signed_distance(masks, 6)
    for k in range(3):
        mask = masks[k].numpy()
        padded = torch.nn.functional.pad(masks[k][None, None].float(), (1, 1, 1, 1), value=1.0)[0, 0]
        around = torch.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]).amin(0)
        edge = mask & (around.numpy() < 1)
        exact = torch.from_numpy(distance_transform_edt(~edge)).float().clamp_max(6)
        torch.testing.assert_close(distance[k], torch.where(masks[k], -exact - 0.5, exact - 0.5).clamp(-6, 6))
        y, x = torch.meshgrid(torch.arange(48), torch.arange(40), indexing="ij")
        near = exact < 6
        there = nearest[k]
        apart_px = ((there // 40 - y).square() + (there % 40 - x).square()).sqrt()
        torch.testing.assert_close(apart_px[near], exact[near])


def test_the_true_outline_separates_colours_best() -> None:
    at, truth = looking(), pose(0)
    region = Region.of(at, RegionSettings())
    center = at.scene.bounds.mean(0)
    others = [disturbed(truth, 8.0, 4.0, seed, center) for seed in range(6)]
    gains = region.gain(Lens(at).shown(SE3.cat([truth, *others])))
    assert int(gains.argmax()) == 0
    assert float(gains[0]) > 0.3


def test_where_nothing_is_shown_the_gain_is_least() -> None:
    at = looking()
    away = SE3(torch.eye(3)[None], torch.tensor([[0.0, 0.0, -300.0]]))
    assert float(Region.of(at, RegionSettings()).gain(Lens(at).shown(away))[0]) == -torch.inf


def settled(region: Region, lens: Lens, start: SE3, center: torch.Tensor) -> SE3:
    """A few rounds, colours learned anew in each."""
    end = start
    for slope in (2.4, 1.2, 1.2):
        foreground = region.posterior(lens.shown(end))

        def system(state: State, held: torch.Tensor = foreground, slope: float = slope) -> Normal:
            return region.normal(lens.shown(state.cam_from_world), held[state.index], slope)

        steps = LMSettings(steps=10, policy="decrease", stop=1e-4)
        end = levenberg_marquardt(system, end, steps, length=40.0, pivot=center).cam_from_world
    return end


def test_the_outline_alone_brings_objects_back_to_where_they_were() -> None:
    scene, truth = painted(), SE3.cat([pose(seed) for seed in range(5)])
    center = scene.bounds.mean(0)
    before, after = [], []
    for k in range(5):
        at = view(scene, photograph(scene, truth[k : k + 1]), 160, Meter(), 1)
        region, lens = Region.of(at, RegionSettings()), Lens(at)
        start = disturbed(truth[k : k + 1], 8.0, 5.0, k, center)
        true, began, found = (
            lens.shown(p).inside for p in (truth[k : k + 1], start, settled(region, lens, start, center))
        )
        before.append(float((true & began).sum() / (true | began).sum()))
        after.append(float((true & found).sum() / (true | found).sum()))
    assert all(b < a for b, a in zip(before, after, strict=True))
    assert sum(before) / 5 < 0.83
    assert sum(after) / 5 > 0.91


def test_the_gradient_is_that_of_the_loss() -> None:
    """Central differences over a pixel or more: silhouettes move by whole pixels."""
    at, truth = looking(2), pose(2)
    lens, mask = Lens(at), Lens(at).shown(truth).inside[0].float().flatten()
    region = Region.of(at, RegionSettings(most=10**6), mask)
    cosines, ratios = [], []
    for seed in range(4):
        start = disturbed(truth, 4.0, 2.0, seed, at.scene.bounds.mean(0))
        held = region.posterior(lens.shown(start))
        gradient = region.normal(lens.shown(start), held, 2.0).gradient[0]
        found = []
        for axis in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[axis] = 1.5 if axis < 3 else 0.006
            both = [lens.shown(start.double().retract(sign * step[None]).float()) for sign in (1, -1)]
            plus, minus = (float(region.normal(s, held, 2.0).loss) for s in both)
            found.append((plus - minus) / float(2 * step[axis]))
        expected = torch.tensor(found, dtype=torch.float64)
        weigh = torch.tensor([1.0] * 3 + [1 / 300.0] * 3, dtype=torch.float64)
        cosines.append(float(torch.nn.functional.cosine_similarity(gradient * weigh, expected * weigh, dim=0)))
        ratios.append(float((gradient * weigh).norm() / (expected * weigh).norm()))
    assert min(cosines) > 0.9
    assert all(0.75 < r < 1.3 for r in ratios)


def test_a_mask_takes_the_place_of_colours() -> None:
    scene, truth = painted(), pose(1)
    at = view(scene, photograph(scene, truth), 160, Meter(), 1)
    blank = View(at.scene, at.camera, torch.full_like(at.observed, 0.5), at.weight, at.channel, at.meter, at.full)
    mask = Lens(at).shown(truth).inside[0].float().flatten()
    known, unknown = Region.of(blank, RegionSettings(), mask), Region.of(blank, RegionSettings())
    shown = Lens(blank).shown(SE3.cat([truth, disturbed(truth, 15.0, 5.0, 0, scene.bounds.mean(0))]))
    gain = known.gain(shown)
    assert float(gain[0]) > float(gain[1]) + 0.1
    assert abs(float(unknown.gain(shown)[0])) < 0.1
    assert CAMERA.width == at.camera.width
