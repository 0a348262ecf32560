"""The pose of a known object: its mesh, a photo, and the box that it is seen in.

python examples/04_known_object.py
"""

import math

import torch

import resect
from resect.geometry import so3
from resect.geometry.mesh_edit import concatenated
from resect.geometry.solids import box, cylinder

# The object, in millimetres: a block with a knob on one side. Any mesh file serves: resect.open_object("mug.ply").
block, knob = box((80.0, 40.0, 30.0)), cylinder(12.0, 40.0, 24)
parts = [resect.Mesh(block.vertices, block.faces), resect.Mesh(knob.vertices + torch.tensor([25.0, 0, 30]), knob.faces)]
shape = concatenated(parts)
colors = 0.1 + 0.8 * torch.rand(len(shape.vertices), 3, generator=torch.Generator().manual_seed(3))
mesh = resect.Mesh(shape.vertices, shape.faces, colors, meters_per_unit=0.001)

# A photo of it, 35 cm away, in front of a wall.
camera = resect.Camera.from_fov(math.radians(40), 320, 240)
truth = resect.SE3(so3.exp(torch.tensor([[1.9, 0.7, -0.5]])), torch.tensor([[30.0, -20.0, 350.0]]))
shown = resect.MeshScene(mesh).render(camera, truth, ("rgb", "alpha"))
wall = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
wall = torch.nn.functional.interpolate(wall, (240, 320), mode="bilinear")[0].movedim(0, -1).reshape(-1, 3)
rgb = torch.where(shown.alpha[0, :, None] > 0.5, shown.rgb[0], 0.3 + 0.4 * wall)
photo = resect.Photo("wall.png", rgb.reshape(240, 320, 3), camera, "made")

# Someone draws a box around it.
rows, columns = (shown.alpha[0].reshape(240, 320) > 0.5).nonzero(as_tuple=True)
target = resect.target_from_box(photo, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))

where = resect.open_object(mesh, count=1000)
estimate = where.estimate(resect.with_target(photo, target))
if estimate.cam_from_world is None:
    raise SystemExit(f"{estimate.status.sentence} {estimate.status.advice}")

turn = so3.angle(estimate.cam_from_world.R, truth.R[0]).rad2deg()
shift = (estimate.cam_from_world.t - truth.t[0]).norm()
print(f"{estimate.status.name}: the object is at {estimate.cam_from_world.t.tolist()} mm from the camera")
print(f"error: {turn:.2f}°, {shift:.1f} mm")
assert turn < 6
assert shift < 15
