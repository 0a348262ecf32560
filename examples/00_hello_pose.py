"""The pose of a photo from a rough guess: the shortest whole way.

python examples/00_hello_pose.py
"""

import torch

import resect
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.scenes.room import Room

# A photo of the built-in room, and the room itself as the scene: closed form, nothing to learn.
photos = make_capture(SyntheticSettings(photos=1, width=160, height=120, path="orbit"))
photo, truth = photos[0], photos.truth.cam_from_world[0]

# Someone says roughly where the camera was: 12 cm and 5° off.
error = torch.tensor([0.06, -0.05, 0.09, 0.05, -0.06, 0.04], dtype=torch.float64)
guess = resect.Given(truth.retract(error), sigma_deg=8.0, sigma_units=0.15)

where = resect.Localizer(Room(), prior=guess, refiner=resect.Inversion())
estimate = where.estimate(photo)

if estimate.cam_from_world is None:
    raise SystemExit(f"{estimate.status.sentence} {estimate.status.advice}")
left = (estimate.cam_from_world.double() @ truth.inverse()).log()
print(f"{estimate.status.name}: camera at {estimate.cam_from_world.center.tolist()} m")
print(f"error: {1000 * left[:3].norm():.2f} mm, {left[3:].norm().rad2deg():.4f}°")
assert left[:3].norm() < 0.02
assert left[3:].norm().rad2deg() < 1.0
