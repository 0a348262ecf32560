"""Detections of a network whose answers are planted, the artefact, a fit, and what is no photo of an object."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.priors.posecnn.table import CAMERA, MESHES, TINY, picture, poses, table
from torch import Tensor

from resect import zoo
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.posecnn.batches import Batches
from resect.priors.posecnn.cuts import Cuts, cuts_of, shown_surface
from resect.priors.posecnn.fit import fit
from resect.priors.posecnn.found import Found, Seen
from resect.priors.posecnn.frames import Frames
from resect.priors.posecnn.loss import loss_of
from resect.priors.posecnn.network import make_network
from resect.priors.posecnn.objects import known_objects
from resect.priors.posecnn.prior import PoseCnn, _seen_box, ready
from resect.priors.posecnn.settings import PoseCnnSettings, PublishedPoseCnnSettings
from resect.priors.posecnn.spread import measured_spread
from resect.priors.posecnn.surface import Surface
from resect.training.loop import Turn
from resect.types import Photo

TOLD = 0.37  # radians to a rotation of the grid
MANY = replace(TINY, points=4096, patches=256)


def untrained(settings: PoseCnnSettings = TINY) -> PoseCnn:
    objects = known_objects(table(), settings.points, settings.patches, torch.Generator().manual_seed(0))
    network = ready(make_network(settings, 2, 0), settings)
    return PoseCnn(network, settings, objects, CAMERA, 1.3, 1.0)


def planted(made: PoseCnn, i: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network sees in every picture what is true of photo i."""
    frame = Frames(table(), made.objects, made.settings, CAMERA)[i]
    batch = Batches(Frames(table(), made.objects, made.settings, CAMERA), made.settings, made.depth, made.objects)
    label, centre = batch.targets(frame)
    probability = torch.nn.functional.one_hot(label[0], 3).movedim(-1, 0).float() * 0.97 + 0.01
    both = centre.expand(2, -1, -1, -1)
    monkeypatch.setattr(made, "look", lambda _, camera: Seen(probability, both, torch.zeros(3, 72, 96), camera))
    row = frame.kind.argsort()
    cuts = cuts_of(frame.box[row], CAMERA)
    rotation = cuts.turn.mT @ frame.rotation[row]
    told = true_surface(made, cuts, rotation, frame.middle[row])
    monkeypatch.setattr("resect.priors.posecnn.prior._seen_box", lambda camera, pose, known, box: box)
    monkeypatch.setattr(made.network, "surface", lambda _, k: Surface(told.shown[k], told.patch[k]))


def true_surface(made: PoseCnn, cuts: Cuts, rotation: Tensor, middle: Tensor) -> Surface:
    """What a good network makes of cuts, whose rows are the classes."""
    points = torch.stack([o.seen_from_middle(o.points) for o in made.objects])
    away = (cuts.turn.mT @ middle[..., None])[..., 0] / torch.tensor([[o.diameter] for o in made.objects])
    place, hit = shown_surface(cuts, points, rotation, away, 24)
    patches = torch.stack([o.seen_from_middle(o.patches) for o in made.objects])
    off = torch.cdist(place.flatten(1, 2), patches).mT.unflatten(2, hit.shape[1:])  # unsure between neighbours
    patch = -0.5 * (off / 0.1).square()
    return Surface(torch.where(hit, 20.0, -20.0), patch)


@pytest.mark.parametrize("i", [0, 1])
def test_true_maps_give_true_poses(i: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = untrained(MANY)
    planted(made, i, monkeypatch)
    image, masks = picture(i)
    found = made.detect(Photo("a.png", image, CAMERA), 10)
    assert {p.target.object_id for p, _ in found if p.target} == set(MESHES)
    for photo, guess in found:
        assert photo.target is not None
        assert photo.target.mask is not None
        k = list(MESHES).index(photo.target.object_id)
        true = poses()[i, k]
        assert float(so3.angle(guess.cam_from_world.R[0].float(), true.R)) < TOLD
        own = MESHES[photo.target.object_id].bounds.mean(0).expand(1, 1, 3)
        gap = guess.cam_from_world[:1].float().apply(own) - poses()[i, k : k + 1].apply(own)
        assert float(gap.norm()) < 0.15 * float(true.t[2])
        assert bool((guess.log_weight.diff() <= 0).all())
        assert float(guess.log_weight.exp().sum()) == pytest.approx(photo.target.score, rel=1e-3)
        both = (photo.target.mask & masks[k]).sum() / (photo.target.mask | masks[k]).sum()
        assert float(both) > 0.7  # cells of four pixels
        assert 0.9 < photo.target.score <= 1
        assert guess.information is not None
        assert bool((torch.linalg.eigvalsh(guess.information[0]) > 0).all())


def test_the_second_cut_is_of_the_box_that_the_first_pose_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    made = untrained(MANY)
    frame = Frames(table(), made.objects, made.settings, CAMERA)[0]
    other = torch.tensor([1.0, 2.0, 3.0, 4.0])
    for k, known in enumerate(made.objects):
        row = int((frame.kind == k).nonzero()[0, 0])
        pose = poses()[0, k : k + 1].double()
        gap = _seen_box(CAMERA, pose, known, other) - frame.box[row]
        assert float(gap.abs().max()) < 2.5  # pixels; nothing hides either of them
        behind = SE3(pose.R, pose.t - torch.tensor([0.0, 0.0, 3.0]))
        assert torch.equal(_seen_box(CAMERA, behind, known, other), other)
    asked = []
    whole = made._poses_in
    monkeypatch.setattr(made, "_poses_in", lambda s, f, boxes, n: asked.append((boxes, n)) or whole(s, f, boxes, n))
    seen = Seen(torch.zeros(3, 18, 24), torch.zeros(2, 3, 18, 24), picture(0)[0].permute(2, 0, 1), CAMERA)
    cells = torch.zeros(18, 24, dtype=torch.bool)
    cells[5:9, 6:14] = True
    ((found, _),) = made.poses(seen, [Found(0, cells, torch.tensor([40.0, 28.0]), 1.2, 1.0)])
    (first, one), (second, many) = asked
    assert (one, many) == (1, made.settings.poses)
    assert first.tolist() == [[24.0, 20.0, 56.0, 36.0]]
    assert not torch.equal(first, second)
    assert len(found) == many


def test_a_photo_of_another_camera_gets_masks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = untrained(MANY)
    planted(made, 0, monkeypatch)
    other = Camera(CAMERA.fx * 2, CAMERA.fy * 2, 80.0, 70.0, 160, 140)
    image = torch.rand(140, 160, 3, generator=torch.Generator().manual_seed(0))
    for photo, guess in made.detect(Photo("a.png", image, other), 10):
        assert photo.target is not None
        assert photo.target.mask is not None
        assert photo.target.mask.shape == (140, 160)
        k = list(MESHES).index(photo.target.object_id)
        middle = MESHES[photo.target.object_id].bounds.mean(0).double()
        at, _ = other.project(guess.cam_from_world[0].apply(middle[None]))
        left, top, right, bottom = photo.target.box or (0, 0, 0, 0)
        assert left - 20 < float(at[0, 0]) < right + 20
        assert top - 20 < float(at[0, 1]) < bottom + 20
        assert k in (0, 1)


def test_propose_is_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    made = untrained(MANY)
    planted(made, 0, monkeypatch)
    photo = table()["rod"].photos[0]
    guess = made.propose(photo, 4, torch.Generator())
    assert len(guess) == 4
    assert float(so3.angle(guess.cam_from_world.R[0].float(), poses()[0, 1].R)) < TOLD
    assert photo.target is not None
    with pytest.raises(ResectError, match="object"):
        made.propose(replace(photo, target=replace(photo.target, object_id="ball")), 4, torch.Generator())


def test_nothing_is_found_in_nothing() -> None:
    made = untrained()
    blank = Photo("a.png", torch.full((72, 96, 3), 0.4), CAMERA)
    assert made.detect(blank, 5) == []
    assert len(made.propose(blank, 5, torch.Generator())) == 0
    with pytest.raises(ResectError, match="intrinsics"):
        made.detect(replace(blank, camera=None), 5)
    assert len(made.propose(replace(blank, camera=None), 5, torch.Generator())) == 0


def test_the_artefact_is_the_detector(tmp_path: Path) -> None:
    made = untrained()
    made.save(tmp_path / "a")
    found = zoo.load(tmp_path / "a", role="prior")
    assert isinstance(found, PoseCnn)
    assert found.names == ("brick", "rod")
    assert found.camera == CAMERA
    image = picture(0)[0].permute(2, 0, 1)
    assert torch.equal(found.look(image, CAMERA).centres, made.look(image, CAMERA).centres)
    text = (tmp_path / "a" / "artifact.json").read_text()
    (tmp_path / "a" / "artifact.json").write_text(text.replace('"depth": 1.3', '"depth": -1.3'))
    with pytest.raises(ResectError, match="objects"):
        PoseCnn.load(tmp_path / "a")


def test_a_fit_writes_what_it_gives(tmp_path: Path) -> None:
    made = fit(table(), replace(TINY, steps=2), out=tmp_path / "a")
    found = PoseCnn.load(tmp_path / "a")
    for name, value in made.network.state_dict().items():
        assert torch.equal(value, found.network.state_dict()[name]), name
    assert made.depth == pytest.approx(float(frames_depth()), rel=1e-4)
    assert made.meters_per_unit == 1.0
    assert not torch.equal(made.network.labels.out.weight, untrained().network.labels.out.weight)


def frames_depth() -> torch.Tensor:
    own = torch.stack([m.bounds.mean(0) for m in MESHES.values()])
    return (poses().R @ own[..., None])[..., 0].add(poses().t)[..., 2].mean()


def test_every_setting_has_a_finite_loss_and_gradient() -> None:
    published = replace(
        PublishedPoseCnnSettings(), backbone="mobilenet_v2", pretrained="", held=(), width=96, height=72,
        strides=(8, 16), cell=2, cut=32, surface_width=8, points=64, batch=2, tensorboard=False,
    )  # fmt: skip
    for s in (TINY, published):
        objects = known_objects(table(), s.points, s.patches, torch.Generator().manual_seed(0))
        network = make_network(s, 2, 0).train()
        batch = Batches(Frames(table(), objects, s), s, 1.3, objects).batch(Turn(0, 0))
        terms = loss_of(objects, s)(network, batch)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        assert bool(terms["loss"].isfinite())
        assert all(
            p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters() if p.requires_grad
        )


def test_objects_without_masks_or_meshes_are_refused() -> None:
    brick = table()["brick"]
    with pytest.raises(ResectError, match="mesh"):
        fit({"brick": replace(brick, load_mesh=None)}, TINY)
    load = brick.photos.load
    bare = replace(brick.photos, load=lambda i: replace(load(i), target=None))
    with pytest.raises(ResectError, match="masks"):
        fit({"brick": replace(brick, photos=bare)}, TINY)


def test_the_published_sizes() -> None:
    s = PublishedPoseCnnSettings(pretrained="")
    network = make_network(s, 10, 0)
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert shapes["labels.out.weight"] == (11, 64, 1, 1)
    assert shapes["centres.out.weight"] == (30, 128, 1, 1)
    assert max(int(k.split(".")[3]) for k in shapes if k.startswith("backbone.body.features.")) == 28


def test_the_spread_is_that_of_training_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    made = untrained(MANY)
    planted(made, 0, monkeypatch)
    monkeypatch.setattr("resect.priors.posecnn.spread._LOOKED_AT", 1)
    frames = Frames(table(), made.objects, TINY, CAMERA)
    found = measured_spread(made, frames)
    assert 0.03 <= found.turn_rad < TOLD
    assert found.across < 0.03
    back = so3.exp(torch.tensor([0.0, 2.0, 0.0]))
    told = {k: replace(p, rotation=p.rotation @ back) for k, p in made._patterns.items()}  # of objects turned otherwise
    monkeypatch.setattr(made, "_patterns", told)
    made.spread = measured_spread(made, frames)
    assert made.spread.turn_rad > 0.4
    guess = made.propose(table()["rod"].photos[0], 1, torch.Generator())
    assert guess.information is not None
    known = torch.linalg.eigvalsh(guess.information[0]) > 1e-6
    assert int(known.sum()) == 3  # where it is, but not how it is turned


def test_it_begins_from_another() -> None:
    still = replace(TINY, steps=1, rate=1e-12)
    first = untrained(still)
    made = fit(table(), still, parents=(first,))
    theirs = first.network.state_dict()
    for name, value in made.network.state_dict().items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, theirs[name], atol=1e-5), name
    other = PoseCnn(first.network, still, first.objects[::-1], CAMERA, 1.3, 1.0)
    with pytest.raises(ResectError, match="begin from"):
        fit(table(), still, parents=(other,))
