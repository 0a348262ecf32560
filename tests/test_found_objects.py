"""Detected objects before refinement: units, rotations that are known or not, failures that are tried again."""

from dataclasses import replace

import torch
from tests.priors.posecnn.table import MESHES, poses, table, untrained_information

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.known_objects import in_units, refine_found
from resect.localizer import Localizer
from resect.priors.views import Views, turned_in_place
from resect.scenes.mesh.scene import MeshScene
from resect.types import Estimate, Hypotheses, Photo, Status

PHOTO = table()["brick"].photos[0]


class Asked:
    """A refiner that notes what it is given, and fails where told."""

    def __init__(self, fails: int = 0) -> None:
        self.given: list[Hypotheses] = []
        self.seen: list[Photo] = []
        self.fails = fails

    def refine(self, scene: object, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        del scene
        self.given.append(hypotheses)
        self.seen.append(photo)
        if len(self.given) <= self.fails:
            return Estimate(Status.NO_AGREEMENT)
        return Estimate(Status.OK, hypotheses.take([0]))


def where(refiner: Asked) -> Localizer:
    mesh = MESHES["brick"]
    return Localizer(MeshScene(mesh), Views.of(mesh), refiner, count=200)  # type: ignore[arg-type]


def guess(turn_known: bool) -> Hypotheses:
    information = untrained_information(poses()[0, 0], turn_known)
    return Hypotheses(poses()[0, :1], torch.zeros(1), information[None], target=PHOTO.target)


def test_a_whole_guess_is_refined_as_it_is() -> None:
    refiner = Asked()
    assert refine_found(where(refiner), PHOTO, guess(True)).ok
    assert [len(h) for h in refiner.given] == [1]


def test_a_density_is_refined_as_it_is_and_without_the_box_of_cells() -> None:
    refiner, one = Asked(), guess(True)
    assert one.information is not None
    three = Hypotheses(SE3.cat(3 * [one.cam_from_world]), torch.zeros(3), one.information.repeat(3, 1, 1))
    found = refine_found(where(refiner), PHOTO, replace(three, target=PHOTO.target))
    assert [len(h) for h in refiner.given] == [3]
    assert refiner.seen[0].target is None
    assert found.modes is not None
    assert found.modes.target is PHOTO.target
    assert not refine_found(where(Asked(fails=1)), PHOTO, three).ok  # what no rotation of the density explains stays so


def test_every_rotation_is_laid_into_the_box_where_none_is_known() -> None:
    refiner = Asked()
    refine_found(where(refiner), PHOTO, guess(False))
    (given,) = refiner.given
    laid = Views.of(MESHES["brick"]).propose(PHOTO, 200, torch.Generator().manual_seed(0))
    torch.testing.assert_close(given.cam_from_world.t, laid.cam_from_world.t)


def test_a_mask_of_cells_is_left_out_beside_its_box() -> None:
    refiner = Asked(fails=1)
    assert PHOTO.target is not None
    assert PHOTO.target.mask is not None
    refine_found(where(refiner), PHOTO, guess(True))
    assert [p.target and (p.target.mask, p.target.box) for p in refiner.seen] == 2 * [(None, PHOTO.target.box)]


def test_a_place_alone_is_tried_with_every_rotation() -> None:
    assert PHOTO.target is not None
    refiner = Asked()
    refine_found(where(refiner), replace(PHOTO, target=replace(PHOTO.target, box=None)), guess(False))
    (given,) = refiner.given
    assert len(given) > 100
    middle = MESHES["brick"].bounds.mean(0).double()
    at = given.cam_from_world.apply(middle.expand(len(given), 1, 3))[:, 0]
    torch.testing.assert_close(at, at[:1].expand_as(at), atol=1e-6, rtol=0)
    assert float(so3.angle(given.cam_from_world.R, poses()[0, 0].R.double().expand(len(given), 3, 3)).min()) < 0.7


def test_a_failure_is_tried_again_from_the_box() -> None:
    refiner = Asked(fails=1)
    assert refine_found(where(refiner), PHOTO, guess(True)).ok
    assert len(refiner.given[0]) == 1
    assert len(refiner.given[1]) > 50
    bare = replace(PHOTO, target=None)
    assert not refine_found(where(Asked(fails=1)), bare, guess(True)).ok


def test_units_are_carried_over() -> None:
    one = guess(True)
    other = in_units(one, 1000.0)
    torch.testing.assert_close(other.cam_from_world.t, 1000 * one.cam_from_world.t)
    assert one.information is not None
    assert other.information is not None
    sigma = [torch.linalg.inv(h.information[0]).diagonal().sqrt() for h in (one, other)]  # type: ignore[index]
    torch.testing.assert_close(sigma[1], sigma[0] * torch.tensor([1000.0] * 3 + [1.0] * 3).double())


def test_turns_in_place_keep_the_place() -> None:
    pose, own = SE3(torch.eye(3), torch.tensor([0.1, 0.2, 1.0])), torch.tensor([0.3, 0.0, -0.1])
    found = turned_in_place(pose, own, 64)
    at = found.cam_from_world.apply(own.double().expand(len(found), 1, 3))[:, 0]
    torch.testing.assert_close(at, (pose.t + own).double().expand_as(at))


def test_answers_that_lie_elsewhere_than_the_mask_are_none() -> None:
    true = poses()[0, :1]
    aside = SE3(true.R, true.t + torch.tensor([[0.3, 0.3, 0.0]]))

    class Sure(Asked):
        def refine(self, scene: object, photo: Photo, hypotheses: Hypotheses) -> Estimate:
            del scene, photo, hypotheses
            return Estimate(Status.AMBIGUOUS if len(self.told) > 1 else Status.OK, self.told)

        def __init__(self, *told: SE3) -> None:
            self.told = Hypotheses(SE3.cat(list(told)), torch.zeros(len(told)))

    assert refine_found(where(Sure(true)), PHOTO, guess(False)).status is Status.OK
    assert refine_found(where(Sure(aside)), PHOTO, guess(False)).status is Status.NO_AGREEMENT
    one = refine_found(where(Sure(aside, true)), PHOTO, guess(False))
    assert one.status is Status.OK
    assert one.cam_from_world is not None
    torch.testing.assert_close(one.cam_from_world.t, true.t[0])
