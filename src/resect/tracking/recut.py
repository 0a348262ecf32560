"""Cut, fit, and cut again where the object was found to be: colour says roughly where it is, its shape the rest.

A shadow of the object's colour, or a lamp mirrored in it, spoils a cut by colour. A first pose from the spoiled cut is
near enough to say which pixels are far inside of the outline or far outside. The pose before the frame is not used
for it: cuts would follow the prediction, and the prediction them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Bool
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.protocols import Refiner, Scene
from resect.types import Estimate, Hypotheses, Photo


@dataclass(frozen=True, eq=False)
class Recut:
    """A refiner of one frame.

    Attributes:
        refiner: of a frame that was cut.
        cut: the frame, cut with the help of where the object should be seen; keyword `expected`.
        times: how often.
    """

    refiner: Refiner
    cut: Callable[..., Photo]
    times: int = 1

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """From the photo's cut, then from better ones; the last that agrees."""
        answer = self.refiner.refine(scene, photo, hypotheses)
        for _ in range(self.times):
            if answer.cam_from_world is None or answer.modes is None:
                break
            seen = self.cut(expected=outline(scene, photo, answer.cam_from_world))
            better = self.refiner.refine(scene, seen, answer.modes)
            cost = answer.cost + better.cost
            if not better.ok:
                return replace(answer, cost=cost)
            answer = replace(better, cost=cost)
        return answer


def outline(scene: Scene, photo: Photo, pose: SE3) -> Bool[Tensor, "h w"]:
    """Where the object is seen."""
    camera = photo.known_camera()
    alpha = scene.render(camera, pose[None].float(), ("alpha",)).alpha
    assert alpha is not None
    return alpha.reshape(camera.height, camera.width) > 0.5
