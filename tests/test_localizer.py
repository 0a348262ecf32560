"""Guess → invert → judge with stand-ins, so that each rule is seen alone."""

from dataclasses import dataclass, field, replace

import pytest
import torch

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.localizer import Localizer
from resect.protocols import Scene
from resect.types import Cost, Estimate, Hypotheses, Photo, Status

CAMERA = Camera.from_fov(1.0, 80, 60)
PHOTO = Photo("a.png", torch.zeros(60, 80, 3), CAMERA, "flag")
UNKNOWN = Photo("a.png", torch.zeros(60, 80, 3))


def poses(count: int, source: str, camera: Camera | None = None) -> Hypotheses:
    delta = torch.zeros(count, 6)
    delta[:, 0] = torch.arange(count)
    return Hypotheses(SE3.exp(delta), -torch.arange(float(count)), source=(source,) * count, camera=camera)


@dataclass
class Guess:
    """Proposes what it is told to, and remembers having been asked."""

    name: str
    count: int = 1
    camera: Camera | None = None
    random: bool = False
    asked: list[str] = field(default_factory=list)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        self.asked.append(photo.name)
        found = poses(min(self.count, count), self.name, self.camera)
        if not self.random:
            return found
        noise = torch.randn(len(found), 6, generator=generator)
        return replace(found, cam_from_world=found.cam_from_world.retract(noise))


@dataclass
class Refine:
    """Accepts hypotheses of these sources; every answer costs ten renders."""

    accepts: tuple[str, ...]
    seen: list[Photo] = field(default_factory=list)

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        self.seen.append(photo)
        ok = hypotheses.source[0] in self.accepts
        cost = Cost(10.0, 1000, (("refine", 5.0),))
        return Estimate(Status.OK if ok else Status.NO_AGREEMENT, hypotheses if ok else None, cost=cost)


SCENE: Scene = object()  # type: ignore[assignment]


def test_priors_are_tried_in_order_until_one_answer_succeeds() -> None:
    first, empty, second, third = Guess("first"), Guess("empty", 0), Guess("second"), Guess("third")
    where = Localizer(SCENE, (first, empty, second, third), Refine(("second", "third")))
    found = where.estimate(PHOTO)
    assert found.ok
    assert found.modes is not None
    assert found.modes.source == ("second",)
    assert [len(g.asked) for g in (first, empty, second, third)] == [1, 1, 1, 0]
    assert found.cost.renders == 20  # the failed attempt is paid for too
    assert [stage for stage, _ in found.cost.ms] == ["prior", "refine", "prior", "prior", "refine"]


def test_a_failure_is_returned_with_all_it_cost_and_no_pose() -> None:
    where = Localizer(SCENE, (Guess("a"), Guess("b")), Refine(()))
    found = where.estimate(PHOTO)
    assert found.status is Status.NO_AGREEMENT
    assert found.cam_from_world is None
    assert found.cost.renders == 20
    assert found.camera == CAMERA
    nothing = Localizer(SCENE, Guess("a", 0), Refine(("a",))).estimate(PHOTO)
    assert nothing.status is Status.NO_HYPOTHESIS
    assert nothing.cost.renders == 0
    assert [stage for stage, _ in nothing.cost.ms] == ["prior"]


def test_a_start_takes_the_place_of_priors() -> None:
    prior = Guess("prior")
    found = Localizer(SCENE, prior, Refine(("given",))).estimate(PHOTO, poses(1, "given"))
    assert found.ok
    assert prior.asked == []


def test_a_prior_alone_gives_modes_best_first_with_masses() -> None:
    found = Localizer(prior=Guess("a", 3), count=3).estimate(PHOTO)
    assert found.modes is not None
    assert float(found.modes.log_weight.exp().sum()) == pytest.approx(1)
    assert found.modes.log_weight.tolist() == sorted(found.modes.log_weight.tolist(), reverse=True)
    assert found.camera_source == "flag"


def test_a_prior_alone_never_answers_with_numbers_that_are_not() -> None:
    class Broken:
        def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
            return Hypotheses(SE3(torch.eye(3)[None] * torch.nan, torch.zeros(1, 3)), torch.zeros(1))

    found = Localizer(prior=Broken()).estimate(PHOTO)
    assert found.status is Status.NON_FINITE
    assert found.cam_from_world is None


def test_camera_in_order_photo_scene_prior() -> None:
    """The training camera comes before the focal length that landmarks find, as on the command line."""
    theirs, scenes = Camera.from_fov(0.7, 80, 60), Camera.from_fov(1.3, 160, 120)
    refine = Refine(("a",))
    where = Localizer(SCENE, Guess("a", camera=theirs), refine, camera=scenes)
    assert where.estimate(PHOTO).camera == CAMERA
    found = where.estimate(UNKNOWN)
    assert (found.camera, found.camera_source) == (scenes.rescale(80, 60), "scene")
    assert refine.seen[-1].camera == scenes.rescale(80, 60)
    found = replace(where, camera=None).estimate(UNKNOWN)
    assert (found.camera, found.camera_source) == (theirs, "prior")


def test_without_any_camera_the_next_prior_is_asked_then_it_is_said() -> None:
    square = Photo("b.png", torch.zeros(60, 60, 3))
    finder = Guess("finder", camera=Camera.from_fov(0.7, 60, 60))
    where = Localizer(SCENE, (Guess("a"), finder), Refine(("finder",)), camera=CAMERA)
    assert where.estimate(square).camera_source == "prior"
    alone = Localizer(SCENE, Guess("a"), Refine(("a",)), camera=CAMERA).estimate(square)
    assert alone.status is Status.NO_CAMERA
    assert "fov-deg" in alone.status.advice
    assert Localizer(SCENE, Guess("a"), Refine(("a",))).estimate(UNKNOWN).status is Status.NO_CAMERA


def test_a_refined_camera_is_the_answers() -> None:
    longer = CAMERA.with_focal_scale(1.1)

    class Focal:
        def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
            return Estimate(Status.OK, hypotheses, camera=longer)

    assert Localizer(SCENE, Guess("a"), Focal()).estimate(PHOTO).camera == longer


def test_the_order_of_photos_does_not_matter_but_name_and_seed_do() -> None:
    def centers(seed: int, *names: str) -> dict[str, list[float]]:
        where = Localizer(prior=Guess("a", 2, random=True), seed=seed)
        found = {}
        for name in names:
            pose = where.estimate(replace(PHOTO, name=name)).cam_from_world
            assert pose is not None
            found[name] = pose.center.tolist()
        return found

    forward, backward = centers(0, "a", "b", "c"), centers(0, "c", "b", "a")
    assert forward == backward
    assert forward["a"] != forward["b"]
    assert centers(1, "a")["a"] != forward["a"]


def test_what_cannot_work_is_refused_at_once() -> None:
    with pytest.raises(ResectError, match="refiner"):
        Localizer(SCENE, Guess("a"))
    with pytest.raises(ResectError, match="neither"):
        Localizer()
    with pytest.raises(ResectError, match="a prior or a start"):
        Localizer(SCENE, None, Refine(())).estimate(PHOTO)
    with pytest.raises(ResectError, match="a prior or a start"):
        Localizer(SCENE, (), Refine(())).estimate(PHOTO)


@dataclass
class Turns:
    """Knows rotations alone, but of every `placed`-th pose all."""

    placed: int = 99

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        information = torch.zeros(4, 6, 6, dtype=torch.float64)
        information[:, 3:, 3:] = torch.eye(3, dtype=torch.float64)
        information[self.placed :: self.placed, :3, :3] = torch.eye(3, dtype=torch.float64)
        return replace(poses(4, "turns"), information=information)


def test_a_rotation_alone_is_no_pose() -> None:
    assert Localizer(prior=Turns()).estimate(PHOTO).status is Status.NO_TRANSLATION
    refine = Refine(("turns", "other"))
    assert Localizer(SCENE, Turns(), refine).estimate(PHOTO).status is Status.NO_TRANSLATION
    assert refine.seen == []
    assert Localizer(SCENE, (Turns(), Guess("other")), refine).estimate(PHOTO).ok
    found = Localizer(SCENE, Turns(placed=2), refine).estimate(PHOTO).modes
    assert found is not None
    assert len(found) == 1
