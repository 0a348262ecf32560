"""Frames of objects against frames that are known, with wrong detections among the right ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect import artifact
from resect.data.digest import photos_digest
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.priors.object_frames.prior import ObjectFrames, fit
from resect.priors.object_frames.settings import ObjectFrameSettings
from resect.types import Hypotheses, Photo, PhotoSet, Target, Truth, World

G = torch.Generator().manual_seed(4)
FRAMES = {
    name: Sim3(torch.tensor(0.02).double(), so3.random(1, generator=G)[0].double(), torch.tensor(t).double())
    for name, t in {"can": (0.3, -0.2, 0.1), "box": (-0.5, 0.1, 0.0)}.items()
}
CAMERA = Camera.from_fov(0.9, 32, 24)
EYES = 4 * torch.nn.functional.normalize(torch.randn(12, 3, generator=G, dtype=torch.float64), dim=-1)
POSES = look_at(EYES, torch.zeros(12, 3).double())


def cam_from_obj(pose: SE3, frame: Sim3) -> SE3:
    """As a perfect detector sees it, object units."""
    return frame.inverse().move_camera(pose)


class Told:
    """A detector that knows; every fourth photo it is wrong, and it cannot tell how the ball is turned."""

    def __init__(self, noise_deg: float = 0.0) -> None:
        self.noise = noise_deg

    def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        i, found = int(photo.name[:2]), []
        g = torch.Generator().manual_seed(i)
        for name in (*FRAMES, "ball"):
            pose = cam_from_obj(POSES[i], FRAMES.get(name, FRAMES["can"]))
            if i % 4 == 0 or name == "ball":
                pose = SE3(so3.random(1, generator=g)[0].double(), pose.t * 1.3)
            turn = so3.exp(torch.deg2rad(self.noise * torch.randn(3, generator=g)).double())
            pose = SE3(turn @ pose.R, pose.t)
            mask = torch.zeros(24, 32, dtype=torch.bool)
            mask[i : i + 4, 3:9] = name == "can"
            mask[2:5, i : i + 7] |= name == "box"
            target = Target(name, mask=mask, score=0.9)
            information = torch.eye(6, dtype=torch.float64)[None]
            guess = Hypotheses(SE3(pose.R[None], pose.t[None]), torch.zeros(1), information)
            found.append((replace(photo, target=target), guess))
        return found[:count]

    def save(self, folder: Path) -> None:
        artifact.save(folder, "told", {"noise": self.noise}, {"noise": torch.tensor(self.noise)})


def photos() -> PhotoSet:
    names = tuple(f"{i:02d}.png" for i in range(12))
    return PhotoSet(
        Path("desk"),
        "made",
        names,
        (CAMERA,) * 12,
        Truth(POSES),
        World(),
        lambda i: Photo(names[i], torch.zeros(24, 32, 3), CAMERA),
    )


@pytest.mark.parametrize(("noise", "turn", "shift"), [(0.0, 1e-6, 1e-3), (3.0, 0.05, 0.01), (10.0, 0.2, 0.01)])
def test_frames_are_found_among_wrong_detections(noise: float, turn: float, shift: float) -> None:
    made = fit(photos(), parents=(Told(noise),))
    assert set(made.standing) == {"can", "box"}
    for name, found in made.standing.items():
        true = FRAMES[name]
        assert float(so3.angle(found.world_from_obj.R, true.R)) < turn
        assert float(found.world_from_obj.s) == pytest.approx(0.02, rel=1e-3)  # turns say nothing of it
        assert float((found.world_from_obj.t - true.t).norm()) < shift
        assert found.photos == 12


def test_proposals_are_the_camera_in_the_world() -> None:
    made = fit(photos(), parents=(Told(),))
    photo = photos()[5]
    guess = made.propose(photo, 10, torch.Generator())
    assert guess.source == ("object-frames:can box", "object-frames:can", "object-frames:box")
    for k in range(3):
        assert float(so3.angle(guess.cam_from_world.R[k], POSES[5].R)) < 1e-5
        assert float((guess.cam_from_world.center[k] - POSES[5].center).norm()) < 1e-2
    assert guess.information is not None
    assert bool((torch.linalg.eigvalsh(guess.information) > 0).all())
    assert guess.target is not None
    assert guess.target.mask is not None
    assert bool(guess.target.mask[5:9, 3:9].all())
    assert len(replace(made, standing={}).propose(photo, 10, torch.Generator())) == 0


def test_what_is_seen_together_says_more_than_each_alone() -> None:
    class Rough(Told):
        """10° and 5 % of the distance off."""

        def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
            g = torch.Generator().manual_seed(int(photo.name[:2]) + 90)
            found = []
            for one, guess in super().detect(photo, count):
                far = 1 + 0.05 * float(torch.randn((), generator=g))
                pose = SE3(guess.cam_from_world.R, far * guess.cam_from_world.t)
                found.append((one, replace(guess, cam_from_world=pose)))
            return found

    made = fit(photos(), parents=(Rough(10.0),))
    together, alone = [], []
    for i in (1, 2, 3, 5, 6, 7, 9, 10, 11):
        guess = made.propose(photos()[i], 10, torch.Generator())
        assert " " in guess.source[0]
        off = (guess.cam_from_world.center - POSES[i].center).norm(dim=-1)
        together.append(float(off[0]))
        alone.append(float(off[1:].min()))
        assert guess.information is not None
        error = (guess.cam_from_world[0] @ POSES[i].inverse()).log()
        assert float(error @ guess.information[0] @ error) < 40  # a chi-square of 6 degrees of freedom
    assert sum(together) < 0.6 * sum(alone)


def test_a_detector_that_knows_no_rotation_says_where_all_the_same() -> None:
    class Unsure(Told):
        def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
            place = torch.diag(torch.tensor([1.0] * 3 + [0.0] * 3, dtype=torch.float64))[None]
            return [(p, replace(h, information=place)) for p, h in super().detect(photo, count)]

    guess = fit(photos(), parents=(Unsure(),)).propose(photos()[5], 10, torch.Generator())
    assert guess.information is not None
    assert bool((torch.linalg.eigvalsh(guess.information) > 0).all())
    sure = fit(photos(), parents=(Told(),)).propose(photos()[5], 10, torch.Generator())
    assert sure.information is not None
    assert guess.source[1] == sure.source[1] == "object-frames:can"
    assert float(guess.information[1, 5, 5]) < float(sure.information[1, 5, 5])


def test_objects_that_seem_to_be_elsewhere_in_each_photo_have_no_frame() -> None:
    class Moving(Told):
        def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
            g = torch.Generator().manual_seed(int(photo.name[:2]) + 50)
            found = []
            for one, guess in super().detect(photo, count):
                moved = guess.cam_from_world.t.norm() * torch.randn(1, 3, generator=g).double()
                if one.target is not None and one.target.object_id == "box":
                    guess = replace(guess, cam_from_world=SE3(guess.cam_from_world.R, moved))
                found.append((one, guess))
            return found

    assert set(fit(photos(), parents=(Moving(),)).standing) == {"can"}


def test_of_several_of_a_class_the_surest_is_taken() -> None:
    class Doubled(Told):
        def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
            found = super().detect(photo, count)
            g = torch.Generator().manual_seed(int(photo.name[:2]))
            false = [
                (p, replace(h, cam_from_world=SE3(so3.random(1, generator=g), h.cam_from_world.t))) for p, h in found
            ]
            return [*found, *false]

    one, two = (fit(photos(), parents=(detector,)).standing for detector in (Told(), Doubled()))
    assert set(one) == set(two)
    for name, standing in one.items():
        assert two[name].photos == standing.photos
        torch.testing.assert_close(two[name].world_from_obj.t, standing.world_from_obj.t)


def test_the_artefact_is_the_prior(tmp_path: Path) -> None:
    made = fit(photos(), out=tmp_path / "a", parents=(Told(),))
    assert (tmp_path / "a" / "detector").is_dir()
    found = ObjectFrames.load(tmp_path / "a").with_detector(Told())
    one, two = (m.propose(photos()[1], 3, torch.Generator()) for m in (made, found))
    torch.testing.assert_close(one.cam_from_world.matrix(), two.cam_from_world.matrix())
    text = (tmp_path / "a" / "artifact.json").read_text()
    (tmp_path / "a" / "artifact.json").write_text(text.replace('"s": 0.0', '"s": -0.0'))
    with pytest.raises(ResectError, match="similarity"):
        ObjectFrames.load(tmp_path / "a")


def test_detections_that_do_not_agree_are_no_frame() -> None:
    with pytest.raises(ResectError, match="agree"):
        fit(photos(), ObjectFrameSettings(share=0.9), parents=(Told(),))
    with pytest.raises(ResectError, match="detector"):
        fit(photos())


def test_it_goes_on_after_the_photos_that_were_looked_at(tmp_path: Path) -> None:
    class Stopped(Told):
        looked = 0

        def detect(self, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
            if self.looked == 5:
                raise KeyboardInterrupt
            self.looked += 1
            return super().detect(photo, count)

    class Counting(Stopped):
        looked = -100

    with pytest.raises(KeyboardInterrupt, match="5 of 12"):
        fit(photos(), out=tmp_path, parents=(Stopped(),))
    again, anew, other = Counting(), Counting(), Counting(1.0)
    made = fit(photos(), out=tmp_path, parents=(again,), resume=True)
    assert again.looked == -100 + 7
    assert not (tmp_path / "seen.json").exists()
    whole = fit(photos(), out=tmp_path, parents=(anew,), resume=True)
    assert anew.looked == -100 + 12
    for name, standing in whole.standing.items():
        torch.testing.assert_close(made.standing[name].world_from_obj.t, standing.world_from_obj.t)
    with pytest.raises(KeyboardInterrupt):
        fit(photos(), out=tmp_path, parents=(Stopped(),))
    fit(photos(), out=tmp_path, parents=(other,), resume=True)  # what another detector saw does not count
    assert other.looked == -100 + 12


@pytest.mark.parametrize("seen", [3, [{"can": 3}], [{"can": [1.0]}], [{"can": 7 * [None]}], ["can"], 13 * [{}]])
def test_what_was_seen_is_checked(seen: object, tmp_path: Path) -> None:
    Told().save(tmp_path / "detector")
    key = f"{photos_digest(photos())} {artifact.digest(tmp_path / 'detector')}"
    (tmp_path / "seen.json").write_text(json.dumps({"of": key, "seen": seen}))
    assert set(fit(photos(), out=tmp_path, parents=(Told(),), resume=True).standing) == {"can", "box"}
