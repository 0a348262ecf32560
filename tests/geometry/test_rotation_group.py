import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.geometry import so3
from resect.geometry.rotation_group import POLYHEDRA, closure, largest_subgroup, name_of, product_table, turn

X, Y, Z = torch.eye(3, dtype=torch.float64)


@pytest.mark.parametrize(("name", "order", "angle"), POLYHEDRA)
def test_two_axes_generate_the_group_of_a_polyhedron(name: str, order: int, angle: float) -> None:
    other = math.cos(angle) * Z + math.sin(angle) * X
    group = closure([turn(Z, order), turn(other, order)])
    assert group is not None
    assert name_of(group) == name
    known = torch.from_numpy(Rotation.create_group(name).as_matrix())
    assert len(group) == len(known)

    def classes(rotations: torch.Tensor) -> list[float]:
        return sorted(so3.angle(torch.eye(3, dtype=torch.float64).expand_as(rotations), rotations).tolist())

    assert classes(group) == pytest.approx(classes(known), abs=1e-7)


@pytest.mark.parametrize("n", [2, 3, 4, 9, 64])
def test_cyclic_and_dihedral_groups(n: int) -> None:
    cyclic, dihedral = closure([turn(Z, n)]), closure([turn(Z, n), turn(X, 2)])
    assert cyclic is not None
    assert dihedral is not None
    assert (name_of(cyclic), len(cyclic)) == (f"C{n}", n)
    assert (name_of(dihedral), len(dihedral)) == (f"D{n}", 2 * n)
    table = product_table(dihedral)
    torch.testing.assert_close(dihedral[table[1, 3 % len(table)]], dihedral[1] @ dihedral[3 % len(table)])
    assert table.sort(1).values.equal(torch.arange(2 * n).expand(2 * n, 2 * n))  # a Latin square


def test_what_is_no_finite_group_is_refused() -> None:
    assert closure([turn(Z, 5), turn(0.6 * Z + 0.8 * X, 5)], limit=200) is None


def test_largest_subgroup_of_those_allowed() -> None:
    cube = closure([turn(Z, 4), turn(X, 4)])
    assert cube is not None
    table = product_table(cube)
    keeps_z = cube[:, 2, 2].abs() > 0.9
    assert name_of(cube[largest_subgroup(table, keeps_z)]) == "D4"
    no_quarters = so3.angle(torch.eye(3, dtype=torch.float64).expand_as(cube), cube).sub(math.pi / 2).abs() > 1e-6
    assert name_of(cube[largest_subgroup(table, no_quarters)]) == "T"
    only = torch.zeros(24, dtype=torch.bool)
    assert len(largest_subgroup(table, only)) == 1
    only[1] = True  # a quarter turn without its powers is no group
    assert len(largest_subgroup(table, only)) == 1
