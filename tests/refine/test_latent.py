"""Refinement among latents, and by neighbours: against closed forms, and with truths that it must not see."""

from dataclasses import replace

import pytest
import torch
from scipy.optimize import minimize
from tests.priors.captures import TEST, TRAIN, capture
from tests.scenes.pose_decoder.decoders import knowing
from tests.scenes.pose_decoder.test_chart import features

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.latent import LatentRefiner
from resect.refine.neighbour_settings import NeighbourSettings, Orientation
from resect.refine.neighbours import NeighbourCombination, nearest, network_weights, simplex_weights
from resect.scenes.pose_decoder.scene import PIXEL
from resect.types import Hypotheses, Photo, Status

POSES = capture().truth.cam_from_world.double()
OFF = torch.tensor([0.04, -0.03, 0.05, 0.03, -0.02, 0.04], dtype=torch.float64)


def photo(k: int) -> Photo:
    return Photo(str(k), torch.zeros(2, 2, 3))


def start(k: int, count: int = 1, *, sigma: float | None = None) -> Hypotheses:
    scale = torch.arange(1, count + 1, dtype=torch.float64)[:, None]
    poses = SE3(POSES.R[k].expand(count, 3, 3), POSES.t[k].expand(count, 3)).retract(scale * OFF)
    information = None if sigma is None else (torch.eye(6, dtype=torch.float64) / sigma**2).expand(count, 6, 6)
    return Hypotheses(poses, -torch.arange(count).float(), information, source=("test",) * count)


def gap(a: SE3, b: SE3) -> float:
    return float((a @ b.inverse()).log().norm())


def test_it_finds_the_pose_whose_features_are_the_photos() -> None:
    for k in TEST:
        answer = LatentRefiner(steps=30).refine(knowing(), photo(k), start(k, 3))
        assert answer.status is Status.OK
        assert answer.cam_from_world is not None
        assert gap(answer.cam_from_world, POSES[k]) < 2e-3
        assert answer.loss is not None
        assert answer.loss[0] <= answer.loss[1]


def test_a_start_that_is_known_well_is_left_less() -> None:
    k = TEST[0]
    begun = start(k).cam_from_world[0]
    ends = [LatentRefiner().refine(knowing(0.3), photo(k), start(k, sigma=s)).cam_from_world for s in (1.0, 1e-3)]
    assert ends[0] is not None
    assert ends[1] is not None
    assert gap(ends[1], begun) < 0.1 * gap(ends[0], begun)


def test_a_start_at_the_best_pose_stays_and_none_is_none() -> None:
    k = TEST[0]
    here = Hypotheses(POSES[k : k + 1], torch.zeros(1))
    answer = LatentRefiner().refine(knowing(), photo(k), here)
    assert answer.cam_from_world is not None
    assert gap(answer.cam_from_world, POSES[k]) < 1e-3
    nobody = here.take([])
    assert LatentRefiner().refine(knowing(), photo(k), nobody).status is Status.NO_HYPOTHESIS
    combination = NeighbourCombination(POSES[list(TRAIN)])
    assert combination.refine(knowing(), photo(k), nobody).status is Status.NO_HYPOTHESIS


def test_it_ends_where_a_general_solver_would() -> None:
    """The loss written out, the features by the network in float64; a general minimiser finds nothing below."""
    scene, k = replace(knowing(0.02), project=50 * torch.eye(32)), TEST[0]
    guess = start(k, sigma=0.1)
    answer = LatentRefiner(steps=50).refine(scene, photo(k), guess)
    seen = scene.observe(photo(k), PIXEL).feature
    assert seen is not None
    assert answer.cam_from_world is not None
    assert answer.loss is not None
    observed, begun = seen[0, 0].double(), guess.cam_from_world[0]

    def loss(xi: object) -> float:
        pose = SE3.exp(torch.as_tensor(xi)[None]) @ begun[None]
        residual, away = features(scene, pose)[0] - observed, (pose[0] @ begun.inverse()).log()
        return float(4.5 * torch.log1p((residual / 3).square()).sum() + 0.5 * (away / 0.1).square().sum())

    end = (answer.cam_from_world @ begun.inverse()).log()
    assert loss(torch.zeros(6).double()) == pytest.approx(answer.loss[1], rel=1e-4)
    assert loss(end) == pytest.approx(answer.loss[0], rel=1e-4)
    assert minimize(loss, end.numpy(), method="Nelder-Mead", options={"maxfev": 400}).fun > answer.loss[0] - 1e-3
    assert answer.loss[0] < 0.9 * answer.loss[1]


def test_starts_are_refined_as_if_each_were_alone_and_nonsense_ends_last() -> None:
    k = TEST[0]
    every = start(k, 3, sigma=0.1)
    bad = SE3(every.cam_from_world.R, every.cam_from_world.t.clone())
    bad.t[1] = torch.nan
    found = LatentRefiner().refine(knowing(0.3), photo(k), replace(every, cam_from_world=bad)).modes
    assert found is not None
    assert not bool(found.cam_from_world[2].finite)
    for one in (0, 2):
        alone = LatentRefiner().refine(knowing(0.3), photo(k), every.take([one])).modes
        assert alone is not None
        assert min(gap(alone.cam_from_world[0], found.cam_from_world[j]) for j in (0, 1)) < 1e-9
    nowhere = LatentRefiner().refine(knowing(0.3), photo(k), replace(every, cam_from_world=bad).take([1]))
    assert nowhere.status is Status.NON_FINITE


def test_a_scene_without_latents_is_refused() -> None:
    from resect.scenes.room import Room

    with pytest.raises(ResectError, match="pose-decoder"):
        LatentRefiner().refine(Room(), photo(0), start(0))


def test_exact_weights_are_those_of_a_general_solver() -> None:
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        latents, target = torch.randn(4, 12, generator=g).double(), torch.randn(12, generator=g).double()
        found = simplex_weights(latents, target)

        def loss(a, latents=latents, target=target):
            return float((torch.from_numpy(a) @ latents - target).square().sum())

        best = minimize(
            loss, [0.25] * 4, bounds=[(0, 1)] * 4, constraints={"type": "eq", "fun": lambda a: a.sum() - 1}, tol=1e-12
        )
        assert loss(found.numpy()) == pytest.approx(best.fun, rel=1e-4)
        assert float(found.sum()) == pytest.approx(1)


def test_published_weights_move_towards_the_target_and_are_fixed_by_the_seed() -> None:
    latents = 3 * torch.eye(3, 16)
    share = network_weights(latents, latents[1], steps=60)
    assert int(share.argmax()) == 1
    assert torch.equal(network_weights(latents, latents[1]), network_weights(latents, latents[1]))
    assert float(network_weights(latents, latents[1]).sum()) == pytest.approx(1)


def test_neighbours_are_near_in_place_and_direction() -> None:
    found = nearest(POSES, POSES[5], 3)
    assert int(found[0]) == 5


@pytest.mark.parametrize("way", ["keep", "affine", "eigen", "closest", "max"])
def test_the_answer_lies_between_training_poses(way: Orientation) -> None:
    k, training = TEST[0], POSES[list(TRAIN)]
    answer = NeighbourCombination(training, NeighbourSettings(weights="exact", orientation=way)).refine(
        knowing(), photo(k), start(k)
    )
    assert answer.cam_from_world is not None
    around = training[nearest(training, start(k).cam_from_world[0], 3)]
    low, high = around.center.amin(0), around.center.amax(0)
    assert bool(((answer.cam_from_world.center >= low - 1e-9) & (answer.cam_from_world.center <= high + 1e-9)).all())
    spread = float(so3.angle(around.R[:, None].expand(3, 3, 3, 3), around.R[None].expand(3, 3, 3, 3)).max())
    limit = spread if way != "keep" else 1e-9
    to = around.R if way != "keep" else start(k).cam_from_world.R
    assert float(so3.angle(answer.cam_from_world.R.expand(to.shape), to).max()) <= limit + 1e-6


def test_shuffled_truth_of_the_test_split_changes_nothing() -> None:
    """The published evaluation searched neighbours among the test poses; here they come from the training half."""
    data = capture()
    poses = data.truth.cam_from_world.matrix().clone()
    poses[list(TEST)] = poses[list(TEST)].flip(0)
    shuffled = replace(data, truth=replace(data.truth, cam_from_world=data.truth.cam_from_world.from_matrix(poses)))
    answers = []
    for photos in (data, shuffled):
        combination = NeighbourCombination(photos.subset(TRAIN).truth.cam_from_world)
        answers.append([combination.refine(knowing(), photo(k), start(k)).cam_from_world for k in TEST])
    for a, b in zip(*answers, strict=True):
        assert a is not None
        assert b is not None
        assert torch.equal(a.matrix(), b.matrix())


def test_too_many_neighbours_are_refused() -> None:
    with pytest.raises(ResectError, match="1 to 2"):
        NeighbourCombination(POSES[:2], NeighbourSettings(count=3))
