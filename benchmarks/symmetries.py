"""Which symmetries are found in a mesh, with what evidence, in how many seconds.

Specification, fixed before the first number was taken with it:

- "made": solids whose group is known (Schoenflies: C1, Cn, Dn, T, O, I; Coo is an axis, Doo an axis and a flip, K all
  rotations about a point). Each is turned by a random rotation, moved by up to two diameters, its faces cut unevenly
  (every face whose centre lies on one side of a random plane into 16), seed 0; with no noise and with noise of 0.05 %
  and 0.15 % of the diameter (standard deviation, normal to the surface, on vertices at most 4 % of the diameter apart).
- "nearly": solids with one thing that breaks a symmetry: a side 5 % longer, a bump 6 % of the diameter wide and 4 %
  high, a hole 12 % wide in a sheet, one leg of a table 10 % thicker; and the largest group that is left.
- "painted": the same shape with colours that leave a smaller group; expected with colour and without.
- "files": meshes given on the command line; nothing is expected, but where a `models_info.json` stands beside the
  file its symmetries are printed too. With colour and without, at the default tolerances, and the least tolerance at
  which each found or rejected motion would pass ("residual", in diameters).
- Default tolerances are chosen on made, nearly and painted solids alone: halfway, on a logarithmic scale, between the
  largest residual of a true symmetry with noise and the smallest of a broken one, rounded.
- Right means the group's name, and its motions within 1° and 1 % of the diameter of the true ones.
- Seconds: one thread, wall clock, one run a mesh, the median and greatest over a kind.

    python benchmarks/symmetries.py [FILE…] [--tolerance 0.01]
"""
