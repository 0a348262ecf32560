"""From a picture to all rotations that it allows: a small network learns a cube, and is asked about a photo of one.

python examples/07_density_of_a_picture.py                    # 15 s of one core; writes cube-density.png
python examples/07_density_of_a_picture.py RUN PHOTO          # of 'resect fit image2sphere' or 'resect import', yours
"""

import sys
from pathlib import Path

import torch

import resect
from resect.evaluation.rotation_pictures import beside, png
from resect.geometry import so3
from resect.priors.image2sphere.fit import fit
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.synthesis.symsol.make import SolidSettings, make_solids

truths = None
if len(sys.argv) == 3:
    prior, photo = resect.load(sys.argv[1]), resect.read_photo(sys.argv[2])
else:
    # Endless pictures of a cube; each shows one of its 24 rotations that look the same, and that one is all it is told.
    small = Image2SphereSettings(
        side=32, encoder_width=8, stages=2, lmax=4, features=32, resolution=5, grid_level=2, batch=16, steps=200,
        rate=1e-2, equivalents="random", tensorboard=False,
    )  # fmt: skip
    drawn = make_solids(SolidSettings(("cube",), images=20_000, side=small.side))
    prior = fit(drawn, small, progress=lambda step, of, remark: print(f"{step}/{of} {remark}", file=sys.stderr))
    new = make_solids(SolidSettings(("cube",), images=1, side=small.side, seed=1))  # it has not seen this one
    photo, truths = new.photo(0), new.equivalents(0) if new.equivalents else None

density = prior.density(photo)
modes = density.modes(24, least=0.005)
print(f"entropy {float(density.entropy()):.2f}; {len(modes)} modes hold {float(modes.mass.sum()):.0%}:")
for rotation, mass in list(zip(modes.rotation, modes.mass, strict=True))[:4]:
    print(f"  {float(mass):5.1%} at wxyz", " ".join(f"{x:+.3f}" for x in so3.to_quaternion(rotation).tolist()))

if truths is not None:
    apart = so3.angle(*torch.broadcast_tensors(modes.rotation[:, None], truths[None])).rad2deg()
    print(f"{int((apart.amin(0) < 10).sum())} of the cube's {len(truths)} rotations are found within 10°")
    print(f"the most probable one is {float(apart[0].min()):.1f}° off")

# A disc is a likely rotation: where an axis of the object looks, and in its colour the turn about it; rings are true.
Path("cube-density.png").write_bytes(png(beside(photo.image, density, truths)))
print("cube-density.png: the picture and its density")
