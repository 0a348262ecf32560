"""A prior of your own: any class with `propose`. No import of ours is needed to be one.

python examples/03_your_own_prior.py
"""

import torch

import resect
from resect.data.synthetic import SyntheticSettings, make_capture


class LastKnown:
    """The pose of the photo before, as a robot would have it, with the spread that it can have moved by."""

    def __init__(self, cam_from_world: resect.SE3, sigma_units: float, sigma_rad: float) -> None:
        self.cam_from_world = cam_from_world
        self.information = torch.diag(torch.tensor([sigma_units**-2] * 3 + [sigma_rad**-2] * 3, dtype=torch.float64))

    def propose(self, photo: resect.Photo, count: int, generator: torch.Generator) -> resect.Hypotheses:
        """The last pose, and how far the camera may be from it."""
        poses = resect.SE3(self.cam_from_world.R[None], self.cam_from_world.t[None])
        return resect.Hypotheses(poses, torch.zeros(1), self.information[None], source=("last known",))


photos = make_capture(SyntheticSettings(photos=2, width=80, height=60, path="orbit"))
where = resect.Localizer(prior=LastKnown(photos.truth.cam_from_world[0], sigma_units=0.2, sigma_rad=0.2))
estimate = where.estimate(photos[1])  # without a scene, the prior's answer as it is
print(estimate.status.name, estimate.cam_from_world.center.tolist() if estimate.cam_from_world else None)
assert estimate.ok
