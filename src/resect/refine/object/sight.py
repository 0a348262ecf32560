"""One object and one photo side by side at one size, and how they are compared there."""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.data.mask import Box
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.levenberg_marquardt import Normal, State, System
from resect.refine.object.boxed import box_density, box_normal, box_surroundings
from resect.refine.object.crop import crop_around, projected_circles, sphere_around
from resect.refine.object.likeness import likeness
from resect.refine.object.outline import outline
from resect.refine.object.region import Region
from resect.refine.object.settings import ObjectSettings
from resect.refine.object.shown import Lens, Shown
from resect.refine.object.surface import surface
from resect.refine.view import Meter, View, view
from resect.types import Photo, Step


@dataclass(frozen=True, eq=False)
class Sight:
    """The part of a photo around some poses, at one size; `box` is where the target is visible, in its pixels."""

    view: View
    region: Region
    lens: Lens
    settings: ObjectSettings
    box: Box | None = None

    def system(self, poses: SE3, slope_px: float) -> System:
        """Normal equations of outline and surface, the colours of object and background held as H poses show them."""
        foreground = self.region.posterior(self.lens.shown(poses))

        def normal(state: State) -> Normal:
            shown, s = self.lens.shown(state.cam_from_world), self.settings.surface
            outline = self.region.normal(shown, foreground[state.index], slope_px)
            seen = outline + surface(self.view, shown, s) if s.strength > 0 else outline
            return self._boxed(seen, shown, self.settings.spread)

        return normal

    def fine_system(self, poses: SE3) -> System:
        """The same with the outline to a fraction of a pixel: for poses that are nearly right."""
        seen, s = replace(self.view, channel="alpha"), self.settings
        sides = outline(seen, poses, self.lens.shown(poses), self.region.usable, s.outline)

        def normal(state: State) -> Normal:
            shown = self.lens.shown(state.cam_from_world)
            return self._boxed(sides(state) + surface(self.view, shown, s.fine_surface), shown, s.fine_spread)

        return normal

    def _boxed(self, seen: Normal, shown: Shown, strength: float) -> Normal:
        """What is seen, and what the box says in its units."""
        return seen if self.box is None else seen + box_normal(shown, self.box, self.settings.box).scaled(strength)

    def gain(self, poses: SE3) -> Float[Tensor, "h"]:
        """How well the outlines of H poses separate colours, nats a pixel; −∞ out of view."""
        return self.region.gain(self.lens.shown(poses))

    def likeness(self, poses: SE3) -> Float[Tensor, "h"]:
        """How much H poses look like the photo, as the status is decided by; −∞ out of view."""
        return likeness(self.view, self.region, self.lens.shown(poses), self.settings.likeness)

    def fits_box(self, pose: SE3) -> bool:
        """Whether a pose (1) does not contradict the box."""
        if self.box is None:
            return True
        s = self.settings.box
        return bool(box_density(self.lens.shown(pose).inside, self.box, s) >= s.least)

    def rank(self, poses: SE3) -> Float[Tensor, "h"]:
        """Score of H poses against each other, higher is better; −∞ out of view."""
        shown, s = self.lens.shown(poses), self.settings
        looks = likeness(self.view, self.region, shown, s.rank)
        return looks if self.box is None else looks + s.mass * box_density(shown.inside, self.box, s.box)


class Work:
    """One photo and one object in hand, and the counter of the cost.

    Args:
        scene: with the channels "rgb", "alpha" and "depth".
        photo: with a known camera.
        settings: sizes.
    """

    def __init__(self, scene: Scene, photo: Photo, settings: ObjectSettings) -> None:
        self.scene, self.photo, self.settings, self.meter = scene, photo, settings, Meter()
        self.middle, self.radius = sphere_around(scene.bounds)
        self.trace: list[Step] = []

    def centers(self, poses: SE3) -> Float[Tensor, "h 3"]:
        """The object's middle in the camera's frame."""
        return poses.apply(self.middle.to(poses.t).expand(len(poses), 1, 3))[:, 0]

    def sight(self, poses: SE3, size_px: int, reach: float = 0.0, *, facets_px: float = 1.0) -> Sight | None:
        """The photo around H poses, the object `size_px` large, `reach` (units) more on each side.

        `facets_px` is how large the faces of a mesh may be there. `None` where no pose lies within the photo.
        """
        sphere = (self.middle, self.radius)
        part = crop_around(self.photo, sphere, poses, self.settings.margin + reach / self.radius)
        if part is None:
            return None
        _, spans, distance = projected_circles(part, sphere, poses)
        scale = min(1.0, size_px / (2 * float(spans[distance > 0].median())))
        side = max(8, round(scale * max(part.image.shape[:2])))
        target = None if part.target is None else part.target.mask
        camera = self.photo.known_camera()
        # The target's mask says where the object is, not which pixels may be looked at.
        whole, away = camera.width * camera.height, float(distance[distance > 0].median())
        at = view(self.scene, replace(part, target=None), side, self.meter, whole, distance=facets_px * away)
        mask = None if target is None else resize_area(target.to(part.image), at.camera.width, at.camera.height)
        box = None if part.target is None or mask is not None else part.target.box
        if box is not None:
            left, top, right, bottom = (side * at.camera.width / part.image.shape[1] for side in box)
            box = left, top, right, bottom
            around = box_surroundings(box, at.camera, self.settings.box)
            at = replace(at, weight=at.weight * around.flatten().to(at.weight))
        region = Region.of(at, self.settings.region, None if mask is None else mask.flatten())
        return Sight(at, region, Lens(at), self.settings, box)
