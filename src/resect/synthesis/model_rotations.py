"""Pictures of CAD models at uniform rotations, after ModelNet10-SO(3): for learning a category's rotation.

Image i shows model i mod M at the i-th Haar rotation of the seed (as in `synthesis/symsol`), on white, grey, lit in the
camera's frame from (−0.4, −0.6, −1) with brightness 0.35 + 0.65 max(0, n · l) and albedo 0.7; four rays a pixel. The
camera's focal length is two image sides; the sphere about the model's box fills 1 / 1.1 of the image. All models of a
set stand alike (up and front agree), else there is nothing to learn.

The released pictures' camera and light are not published; a set made here is not ModelNet10-SO(3), and says so.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.synthesis.model_rotation_settings import ModelRotationSettings
from resect.synthesis.symsol.equivalents import haar
from resect.synthesis.symsol.render import GREY, LIGHT, brightness
from resect.types import Photo, Target

_FOCAL, _MARGIN = 2.0, 1.1
_MOST_SCENES = 256  # kept


def make_model_rotations(
    models: Sequence[str],
    load: Callable[[int], Scene],
    settings: ModelRotationSettings,
    symmetries: Mapping[str, Float[Tensor, "s 3 3"]] | None = None,
) -> RotationSet:
    """A set whose pictures are drawn when they are asked for; `data.rotations.table` writes it.

    Args:
        models: "category/model" of each.
        load: the scene of model number i, with channels "normal" and "alpha".
        settings: how many, and how large.
        symmetries: of models of which they are known, rotations of the object's frame that change nothing.
    """
    if not models:
        raise ResectError("model rotations", "at least one model", "none", "Give folders with meshes in them.")
    count = settings.views * len(models)
    rotation = haar(count, settings.seed)
    of = tuple(models[i % len(models)] for i in range(count))
    categories = tuple(name.rpartition("/")[0] or name for name in of)
    names = tuple(f"{name}/{i // len(models):04d}" for i, name in enumerate(of))
    camera = Camera(*(_FOCAL * settings.side,) * 2, *(settings.side / 2,) * 2, settings.side, settings.side)
    scenes: dict[int, Scene] = {}

    def photo(i: int) -> Photo:
        which = i % len(models)
        if which not in scenes:
            if len(scenes) >= _MOST_SCENES:
                scenes.clear()
            scenes[which] = load(which)
        image, box = draw(scenes[which], rotation[i], camera)
        return Photo(names[i], image, camera, "made", Target(of[i], category=categories[i], box=box))

    def equivalents(i: int) -> Float[Tensor, "s 3 3"]:
        assert symmetries is not None
        return rotation[i] @ symmetries[of[i]].double()

    known = symmetries is not None and all(name in symmetries for name in models)
    return RotationSet("model views", names, categories, rotation, photo, equivalents=equivalents if known else None)


def draw(
    scene: Scene, rotation: Float[Tensor, "3 3"], camera: Camera
) -> tuple[Float[Tensor, "h w 3"], tuple[float, float, float, float]]:
    """A model at a rotation, and the box of its silhouette; the whole image where nothing is seen."""
    low, high = scene.bounds.double()
    radius = 0.5 * float((high - low).norm())
    depth = _MARGIN * radius * 2 * camera.fx / camera.width
    turn = rotation.double()
    t = torch.tensor([0.0, 0.0, depth], dtype=torch.float64) - turn @ ((low + high) / 2)
    fine = camera.rescale(2 * camera.width, 2 * camera.height)
    shown = scene.render(fine, SE3(turn.float()[None], t.float()[None]), ("normal", "alpha"))
    assert shown.normal is not None
    assert shown.alpha is not None
    normal, solid = shown.normal[0] @ turn.float().mT, shown.alpha[0] > 0.5
    away = fine.rays(fine.pixels())
    normal = torch.where(((normal * away).sum(-1) > 0)[:, None], -normal, normal)
    light = torch.nn.functional.normalize(torch.tensor(LIGHT), dim=0)
    grey = torch.where(solid, GREY * brightness(normal @ light), 1.0).view(fine.height, fine.width)
    image = grey.unflatten(0, (-1, 2)).unflatten(2, (-1, 2)).mean((1, 3))
    rows, columns = solid.view(fine.height, fine.width).nonzero(as_tuple=True)
    box = (0.0, 0.0, float(camera.width), float(camera.height))
    if len(rows):
        box = tuple(float(v) / 2 for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))  # type: ignore[assignment]
    return image[..., None].expand(-1, -1, 3).clamp(0, 1).contiguous(), box
