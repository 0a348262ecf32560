"""Names, axes and steps: what `cam_from_world` means.

python examples/01_conventions.py
"""

import torch

import resect

# A camera 2 m above the origin's right, looking at the origin, with z up in the world.
center, target = torch.tensor([3.0, 0.0, 2.0]), torch.zeros(3)
cam_from_world = resect.look_at(center, target)
camera = resect.Camera.from_fov(fov_rad=1.0, width=640, height=480)

# `a_from_b` moves points from b to a; neighbours cancel.
points_world = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])
points_cam = cam_from_world.apply(points_world)
pixels, valid = camera.project(points_cam)
assert bool(valid.all())
print("the origin is seen at", pixels[0].tolist(), "and 0.5 above it at", pixels[1].tolist())
assert pixels[1, 1] < pixels[0, 1]  # y points down in images

# Rays go back through pixels; the first pixel's centre is (0.5, 0.5).
assert torch.allclose(camera.pixels()[0], torch.tensor([0.5, 0.5]))
toward = camera.rays(pixels)
assert torch.allclose(toward, torch.nn.functional.normalize(points_cam, dim=-1), atol=1e-5)

# A step is δ = (v, ω): translation first, and it says what it turns about.
turned = cam_from_world.retract(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.1, 0.0]), about="camera")
assert torch.allclose(turned.center, center, atol=1e-5)  # turning about the camera does not move it
orbited = cam_from_world.retract(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.1]), about=target)
print("turning about the origin moves the camera to", orbited.center.tolist())
