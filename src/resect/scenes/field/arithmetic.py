"""Numba's dtypes and decorators for the field's kernels, and two fast functions in float32.

Helpers are forced inline: numba's calls are cheap, a call per voxel is not.
Numba's on-disk cache follows the file of the *calling* kernel only; after editing this file, touch the kernels.
"""
# numba infers the types: annotations would be comments at best
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import numpy as np
from numba import njit

f32 = np.float32
i32 = np.int32
u32 = np.uint32
u64 = np.uint64

HELPER = {"forceinline": True, "fastmath": True, "error_model": "numpy"}
KERNEL = {"nogil": True, "fastmath": True, "error_model": "numpy", "cache": True}

SH0 = f32(0.28209479)
"""Spherical harmonic of degree 0, 1 / (2 sqrt(pi))."""
SH1 = f32(0.48860251)
"""Factor of the three spherical harmonics of degree 1, sqrt(3 / (4 pi)); order (-y, z, -x)."""


@njit(**HELPER)
def fast_exp(x):
    """exp(x) by a degree-5 polynomial on [-ln2/2, ln2/2] and a shifted exponent; relative error < 4e-6, |x| <= 80."""
    x = min(max(x, f32(-80)), f32(80))
    y = x * f32(1.44269504)
    n = i32(y + f32(0.5)) if y > f32(0) else i32(y - f32(0.5))
    q = (y - f32(n)) * f32(0.69314718)
    p = f32(1) + q * (f32(1) + q * (f32(0.5) + q * (f32(0.16666667) + q * (f32(0.0416666) + q * f32(0.0083333)))))
    return p * i32((n + i32(127)) << i32(23)).view(np.float32)


@njit(**HELPER)
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return f32(1) / (f32(1) + fast_exp(-x))
