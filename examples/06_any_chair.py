"""The pose of a chair that nobody has measured, by a network that has learned others (docs/category.md)."""

import torch

from resect import load
from resect.category import open_category
from resect.cli.demo_category import DENSITY, NETWORK
from resect.geometry import so3
from resect.geometry.look_at import look_at
from resect.refine.category.settings import CategorySettings
from resect.synthesis.instances import instance, picture_of_solid
from resect.types import Photo

scene = load(NETWORK)  # or what 'resect fit sigma-srn' made
camera, up = scene.learned.camera, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
truth = look_at(torch.tensor([[1.2, 0.8, 0.9]], dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64), up)
image = picture_of_solid(instance("chair", "test", 7))(camera, truth)[0]

quick = CategorySettings(sides=(12, 24), keep=(6, 2), steps=(6, 5))
where = open_category(scene, [str(DENSITY)], settings=quick)  # without it: from views all around
found = where.estimate(Photo("chair.png", image, camera))
print(found.status.name, "after", len(found.trace), "stages from", len(found.trace[0].cam_from_world), "starts")
assert found.modes is not None
assert found.modes.code is not None
turn = so3.angle(found.modes.cam_from_world.R[0].double(), truth.R[0]).rad2deg()
near = (scene.codes - found.modes.code[0]).norm(dim=1).argmin()
print(f"{float(turn):.1f} degrees off, most like {scene.instances[int(near)]}")

one = scene.of(found.modes.code[0])  # a scene without codes: every other refiner works on it
shown = one.render(camera, found.modes.cam_from_world[:1]).rgb
print("rendered", tuple(shown.shape))
