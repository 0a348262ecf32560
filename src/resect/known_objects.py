"""Known objects: a mesh file, or several, as what answers photos. Nothing is fitted; compare `resect.place`.

where = open_object("mug.ply", units="mm")
photo = resect.read_photo("photo.jpg", fov_deg=60)
estimate = where.estimate(resect.with_target(photo, resect.target_from_box(photo, (410, 220, 530, 340))))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect import zoo
from resect.data.agreement import Finding
from resect.data.image import resize_area
from resect.data.mesh import read_mesh
from resect.data.mesh.units import judge_size, parse_units
from resect.data.model_files import meters_of_models, symmetries_of_models
from resect.data.target import with_target
from resect.errors import ResectError, unknown_name
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries
from resect.localizer import Localizer
from resect.priors.given import Given
from resect.priors.views import turned_in_place
from resect.protocols import Prior, Scene
from resect.types import Estimate, Hypotheses, Photo, Status

VIEWS = 4000
"""Rotations that are laid into a box: some 15° apart."""
_MOST_FOUND = 1000
_COMPARED_PX, _LEAST_OVERLAP = 640, 0.35  # right answers overlap a detector's mask by 0.46 or more, gross errors less
_NARROW_PX, _WIDE = 4.0, 4.0  # seen smaller, or larger than so many pictures, an object tells nothing
_SAME_UNITS = "Are mesh and start in the same units, and not one in millimetres and one in metres?"


def open_object(
    mesh: Mesh | Path | str,
    *,
    units: str | None = None,
    prior: Sequence[str | Path] = (),
    count: int = VIEWS,
    seed: int = 0,
    symmetries: Symmetries | None = None,
) -> Localizer:
    """What answers photos of one known object, from a visible box or mask (`Photo.target`) or from a start.

    Poses are in the frame and the units of the mesh; `cam_from_world` is the camera from the object.

    Args:
        mesh: the object, or its file.
        units: of the file: mm, cm, m, in, or metres per unit. It changes no number of the answer; it is what lengths
            are told by.
        prior: guesses in the order to try them: "views", which is every rotation and the default, or folders of fitted
            priors that know the object's rotation from its crop (viewpoint, image2sphere, ipdf).
        count: rotations to lay into the box.
        seed: of all randomness.
        symmetries: of the object; by default those that a `models_info.json` beside its file lists.
    """
    from resect.refine.object.refiner import ObjectInversion
    from resect.scenes.mesh.scene import MeshScene

    if not isinstance(mesh, Mesh):
        meters = meters_of_models(Path(mesh)) if units is None else parse_units(units)
        symmetries = symmetries_of_models(Path(mesh)) if symmetries is None else symmetries
        mesh = read_mesh(mesh, meters_per_unit=meters)
    scene = MeshScene(mesh, antialias=False)
    priors = tuple(_open_prior(str(name), mesh) for name in prior or ("views",))
    refiner = ObjectInversion(symmetries=symmetries or Symmetries())
    return Localizer(scene, priors, refiner, count=count, seed=seed)


def _open_prior(name: str, mesh: Mesh) -> Prior:
    """A guess of the object's pose: one that can be told the mesh lays its rotations into the box."""
    from resect.priors.views import Views

    if name == "views":
        return Views.of(mesh)
    if not (Path(name) / "artifact.json").is_file():
        raise unknown_name("--prior", name, ["views", "a folder of a fitted prior"])
    found = zoo.load(name, role="prior")
    of = getattr(found, "of", None)
    if of is None:
        raise ResectError(name, "a prior for objects: viewpoint, image2sphere or ipdf", type(found).__name__)
    prior: Prior = of(mesh)
    return prior


def object_start(cam_from_world: SE3, mesh: Mesh, *, sigma_deg: float = 10.0, sigma_part: float = 0.1) -> Hypotheses:
    """A start for `Localizer.estimate`, and how far off it may be.

    Args:
        cam_from_world: one pose of the object.
        mesh: the object.
        sigma_deg: standard deviation of each angle, turning about the middle of the object.
        sigma_part: of each coordinate of that middle, part of the object's diameter.
    """
    length = sigma_part * diameter(mesh.vertices)
    return Given(cam_from_world, sigma_deg, length, about=middle_of(mesh)).hypotheses


def middle_of(mesh: Mesh) -> tuple[float, float, float]:
    """Middle of the box around a mesh."""
    x, y, z = mesh.bounds.mean(0).tolist()
    return x, y, z


@dataclass(frozen=True, eq=False)
class KnownObjects:
    """Several known objects; meshes are read when they are first asked for.

    Attributes:
        files: object id → mesh.
        units: of all of them, as of `open_object`.
        count: rotations to lay into a box.
        seed: of all randomness.
        prior: as of `open_object`.
    """

    files: Mapping[str, Path]
    units: str | None = None
    count: int = VIEWS
    seed: int = 0
    prior: tuple[str, ...] = ()
    _opened: dict[str, tuple[Mesh, Localizer]] = field(default_factory=dict, init=False, repr=False)

    def mesh(self, object_id: str) -> Mesh:
        """The mesh of an object."""
        return self._open(object_id)[0]

    def localizer(self, object_id: str) -> Localizer:
        """What answers photos of an object."""
        return self._open(object_id)[1]

    def scene(self, object_id: str) -> Scene:
        """What an object looks like; of the only one where the id is empty."""
        found = self.localizer(object_id or next(iter(self.files))).scene
        assert found is not None
        return found

    def estimate(self, photo: Photo, start: Hypotheses | None = None) -> Estimate:
        """The pose of the object that the photo's target names, of the only one where it has none."""
        object_id = next(iter(self.files)) if photo.target is None else photo.target.object_id
        return self.localizer(object_id).estimate(photo, start)

    def _open(self, object_id: str) -> tuple[Mesh, Localizer]:
        if object_id not in self.files:
            raise unknown_name("object", object_id, self.files)
        if object_id not in self._opened:
            file = self.files[object_id]
            meters = meters_of_models(file) if self.units is None else parse_units(self.units)
            mesh, same = read_mesh(file, meters_per_unit=meters), symmetries_of_models(file)
            where = open_object(mesh, prior=self.prior, count=self.count, seed=self.seed, symmetries=same)
            self._opened[object_id] = mesh, where
        return self._opened[object_id]


def find_objects(objects: KnownObjects, detector: Any, photo: Photo) -> list[tuple[Photo, Hypotheses]]:
    """What a detector finds of these objects in a photo, its poses in the units of their meshes."""
    found = []
    for seen, guess in detector.detect(photo, _MOST_FOUND):
        if seen.target is None or seen.target.object_id not in objects.files:
            continue
        mine, its = objects.mesh(seen.target.object_id).meters_per_unit, getattr(detector, "meters_per_unit", None)
        found.append((seen, in_units(guess, its / mine) if mine and its else guess))
    return found


def refine_found(where: Localizer, photo: Photo, guess: Hypotheses | None) -> Estimate:
    """The pose of a detected object: from the detector's guess where it is a density or knows the rotation; where one
    pose does not, or leads nowhere, from every rotation laid into the object's box; without a box, at the place that
    was found.

    A detector's mask goes by cells and would be taken at its word pixel by pixel, so it is left out beside a box; and
    a density knows place and size better than the box around such cells. What the mask is good for is to refuse answers
    whose silhouettes lie elsewhere.
    """
    target = photo.target
    boxed, mask = target is not None and target.box is not None, None
    if target is not None and boxed:
        photo, mask = with_target(photo, replace(target, mask=None)), target.mask

    def answer(start: Hypotheses | None = None) -> Estimate:
        return _within(where, photo, where.estimate(photo, start), mask)

    if guess is None or not len(guess):
        return answer()
    if len(guess) > 1 and guess.information is not None:
        found = where.estimate(replace(photo, target=None), replace(guess, target=None))
        modes = None if found.modes is None else replace(found.modes, target=guess.target)
        return _within(where, photo, replace(found, modes=modes), mask)
    if guess.information is not None and not _knows_turn(guess.information[0].double()):
        if boxed or where.scene is None:
            return answer()
        middle = where.scene.bounds.mean(0)
        guess = replace(turned_in_place(guess.cam_from_world[0], middle, where.count), target=guess.target)
    first = answer(guess)
    if first.ok or not boxed:
        return first
    again = answer()
    return replace(again if again.ok else first, cost=first.cost + again.cost)


def _within(where: Localizer, photo: Photo, answer: Estimate, mask: Bool[Tensor, "h w"] | None) -> Estimate:
    """The modes of an answer whose silhouettes overlap a mask of what was detected; no answer where none does."""
    if mask is None or where.scene is None or answer.modes is None or not answer.ok:
        return answer
    camera, poses = photo.known_camera().fit_within(_COMPARED_PX), answer.modes.cam_from_world.float()
    alpha = where.scene.render(camera, poses, ("alpha",)).alpha
    assert alpha is not None
    inside = alpha.view(len(poses), -1) > 0.5
    asked = (resize_area(mask.float(), camera.width, camera.height) > 0.5).view(1, -1).to(inside.device)
    overlap = (inside & asked).sum(1) / (inside | asked).sum(1).clamp_min(1)
    keep = (overlap >= _LEAST_OVERLAP).nonzero()[:, 0].to(poses.t.device)
    if len(keep) == 0:
        return replace(answer, status=Status.NO_AGREEMENT)
    if len(keep) == len(poses):
        return answer
    status = Status.OK if len(keep) == 1 and answer.status is Status.AMBIGUOUS else answer.status
    modes = answer.modes.take(keep)
    return replace(answer, status=status, modes=replace(modes, log_weight=modes.log_weight.log_softmax(0)))


def _knows_turn(information: Float[Tensor, "6 6"]) -> bool:
    """Whether a rotation is known: with nothing but a place, three directions have no information."""
    values = torch.linalg.eigvalsh(information)
    return bool(values[2] > 1e-9 * values[-1])


def in_units(guess: Hypotheses, factor: float) -> Hypotheses:
    """The same guesses where lengths count `factor` times as many units."""
    pose = SE3(guess.cam_from_world.R, factor * guess.cam_from_world.t)
    if guess.information is None or factor == 1:
        return replace(guess, cam_from_world=pose)
    scale = torch.tensor([1 / factor] * 3 + [1.0] * 3).to(guess.information)
    return replace(guess, cam_from_world=pose, information=scale[:, None] * guess.information * scale)


def judge_start(mesh: Mesh, photo: Photo, start: Hypotheses) -> Finding | None:
    """A warning where a start cannot be true of a photo: much larger or smaller than the box, or than any picture.

    Millimetres given as metres show here.
    """
    camera, sizes = photo.known_camera(), mesh.bounds.double()
    if not len(start):
        return None
    middle = start.cam_from_world[0].double().apply(sizes.mean(0)[None])[0]
    depth, distance, size = float(middle[2]), float(middle.norm()), float((sizes[1] - sizes[0]).norm())
    if distance < size / 2:
        sentence = f"At the start the camera is within the object, which is {size:.3g} units large. {_SAME_UNITS}"
        return Finding("warning", sentence)
    if not depth > 0:
        return Finding("warning", "At the start the object lies behind the camera.")
    box = None if photo.target is None else photo.target.box
    if box is not None:
        return judge_size(mesh, camera, depth, box)
    width = camera.fx * diameter(mesh.vertices) / depth
    if _NARROW_PX <= width <= _WIDE * max(camera.width, camera.height):
        return None
    picture = f"the picture is {camera.width}x{camera.height}"
    return Finding("warning", f"At the start the object would be {width:.3g} px wide; {picture}. {_SAME_UNITS}")
