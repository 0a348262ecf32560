"""All frames and all objects at once: the camera's path and the objects' places that fit every measured pose best.

Gauss–Newton on SE(3). A pose of object k measured in frame t is a row log(T_t W_k Z⁻¹) with its own information, where
T is `cam_from_world`, W is `world_from_obj` (object 0 is the world) and Z the measured `cam_from_obj`; the path is held
together by white noise on acceleration. Frames form a chain, so time grows with their number.

Reference: Barfoot, "State Estimation for Robotics", 2017, §11 (white noise on acceleration). Differs: velocities are
eliminated; a row is the change of the mean velocity over two neighbouring intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.tracking.chain import Chain

_MEDIAN_OF_CHI2_3 = 2.366


@dataclass(frozen=True, eq=False)
class Measurement:
    """Poses of objects in frames.

    Attributes:
        frame: which frame.
        object: which object.
        cam_from_obj: M poses, float64.
        information: of δ in exp(δ) @ cam_from_obj.
    """

    frame: Int[Tensor, "m"]
    object: Int[Tensor, "m"]
    cam_from_obj: SE3
    information: Float[Tensor, "m 6 6"]


@dataclass(frozen=True)
class SmoothSettings:
    """How the path is held together.

    Attributes:
        shift: density of acceleration, world units / s^1.5; `None` is found from the measured poses.
        turn_rad: the same of turns.
        forgive: squared Mahalanobis distance (χ² of six degrees of freedom) from which on a measurement loses weight,
            as the square of how far it is beyond; 0 trusts all.
        steps: at most.
        stop: step at which it has converged, world units and radians.
    """

    shift: float | None = None
    turn_rad: float | None = None
    forgive: float = 16.8
    steps: int = 20
    stop: float = 1e-7


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The path and the map.

    Attributes:
        cam_from_world: of each frame.
        covariance: of δ in exp(δ) @ cam_from_world, objects' places included.
        world_from_obj: of each object; the identity for object 0.
        weight: of each measurement, 1 where it was trusted.
        converged: whether the last step was short.
    """

    cam_from_world: SE3
    covariance: Float[Tensor, "n 6 6"]
    world_from_obj: SE3
    weight: Float[Tensor, "m"]
    converged: bool


def smooth(
    seconds: Float[Tensor, "n"],
    cam_from_world: SE3,
    world_from_obj: SE3,
    measured: Measurement,
    settings: SmoothSettings | None = None,
) -> Smoothed:
    """The most likely path.

    Args:
        seconds: increasing, one a frame. Every frame must have a measurement: a lost one is left out, not filled in.
        cam_from_world: where to start.
        world_from_obj: where to start, the identity first; every object must be measured.
        measured: all poses.
        settings: how.
    """
    s = settings or SmoothSettings()
    _check(seconds, world_from_obj, measured)
    poses, places = cam_from_world.double(), world_from_obj.double()
    density = _density(seconds, poses, measured, s)
    converged = False
    for _ in range(s.steps):
        step, moved = _step(_system(seconds, poses, places, measured, density, s))
        poses, places = SE3.exp(step) @ poses, SE3.exp(moved) @ places
        if float(step.abs().max()) < s.stop and float(moved.abs().max()) < s.stop:
            converged = True
            break
    weight = _weights(_misfits(poses, places, measured)[1], s)
    covariance = _covariance(_system(seconds, poses, places, measured, density, s))
    return Smoothed(poses, covariance, places, weight, converged)


def _check(seconds: Tensor, places: SE3, measured: Measurement) -> None:
    if not bool((seconds.diff() > 0).all()):
        raise ResectError("smooth: seconds", "increasing time stamps", "equal or falling ones")
    for name, index, count in (("frame", measured.frame, len(seconds)), ("object", measured.object, len(places))):
        missing = set(range(count)) - set(index.tolist())
        if missing:
            fix = "Leave out what was never measured."
            raise ResectError("smooth", f"a measured pose of every {name}", f"none of {name} {min(missing)}", fix)


def _misfits(poses: SE3, places: SE3, m: Measurement) -> tuple[SE3, Tensor]:
    """T W Z⁻¹ of each measurement, and the squared Mahalanobis norm of its logarithm."""
    off = poses[m.frame] @ places[m.object] @ m.cam_from_obj.double().inverse()
    error = off.log()
    return off, (error * (m.information.double() @ error[..., None])[..., 0]).sum(-1)


def _weights(d2: Tensor, s: SmoothSettings) -> Tensor:
    return (s.forgive / d2.clamp_min(1e-12)).square().clamp_max(1.0) if s.forgive > 0 else torch.ones_like(d2)


def _measured_rows(poses: SE3, places: SE3, m: Measurement, s: SmoothSettings) -> tuple[Tensor, ...]:
    """Normal equations of the measurements: (by frame, frame × object, by object) blocks, then both gradients."""
    n, k = len(poses), len(places)
    off, d2 = _misfits(poses, places, m)
    jacobian = off.inverse_left_jacobian()
    weighted = jacobian.mT @ (m.information.double() * _weights(d2, s)[:, None, None])
    block, force = weighted @ jacobian, (weighted @ off.log()[..., None])[..., 0]
    carry = poses[m.frame].adjoint()
    frames = torch.zeros(n, 6, 6, dtype=torch.float64).index_add(0, m.frame, block)
    flat = m.frame * k + m.object
    cross = torch.zeros(n * k, 6, 6, dtype=torch.float64).index_add(0, flat, block @ carry).unflatten(0, (n, k))
    objects = torch.zeros(k, 6, 6, dtype=torch.float64).index_add(0, m.object, carry.mT @ block @ carry)
    pull = torch.zeros(n, 6, dtype=torch.float64).index_add(0, m.frame, force)
    pull_objects = torch.zeros(k, 6, dtype=torch.float64).index_add(0, m.object, (carry.mT @ force[..., None])[..., 0])
    return frames, cross, objects, pull, pull_objects


def _motion_rows(seconds: Tensor, poses: SE3, density: Tensor) -> tuple[Tensor, Tensor]:
    """The change of velocity between neighbouring intervals as a whole n·6 band: blocks (t, t + j), j = 0, 1, 2.

    ξ = log(T_{t+1} T_t⁻¹) changes by J (δ_{t+1} − Ad δ_t).
    """
    n = len(poses)
    band = torch.zeros(3, n, 6, 6, dtype=torch.float64)
    pull = torch.zeros(n, 6, dtype=torch.float64)
    if n < 3:
        return band, pull
    wait = seconds.diff()[:, None, None]
    motion = poses[1:] @ poses[:-1].inverse()
    later = motion.inverse_left_jacobian() / wait
    earlier = -later @ motion.adjoint()
    change = (motion.log() / wait[..., 0]).diff(dim=0)
    parts = [-earlier[:-1], earlier[1:] - later[:-1], later[1:]]
    weight = 3 / (density * (wait[:-1, 0] + wait[1:, 0]))
    for a in range(3):
        weighted = parts[a].mT * weight[:, None, :]
        pull[a : n - 2 + a] += (weighted @ change[..., None])[..., 0]
        for b in range(a, 3):
            band[b - a, a : n - 2 + a] += weighted @ parts[b]
    return band, pull


def _chain(band: Tensor) -> Chain:
    """Two frames a block: then blocks meet their neighbours only. An odd last frame gets a companion of its own."""
    if band.shape[1] % 2:
        alone = torch.zeros_like(band[:, :1])
        alone[0] = torch.eye(6, dtype=band.dtype)
        band = torch.cat([band, alone], 1)
    even, odd = band[:, 0::2], band[:, 1::2]
    diagonal = torch.cat([torch.cat([even[0], even[1]], -1), torch.cat([even[1].mT, odd[0]], -1)], -2)
    upper = torch.cat([torch.cat([even[2], torch.zeros_like(even[2])], -1), torch.cat([odd[1], odd[2]], -1)], -2)
    return Chain.factor(diagonal, upper[:-1])


@dataclass(frozen=True, eq=False)
class _System:
    """[A B; Bᵀ C] of frames and of objects but the first, which is the world; and both gradients.

    Attributes:
        chain: A, factored.
        through: A⁻¹ B.
        corner: C − Bᵀ A⁻¹ B.
        free: A⁻¹ times the frames' gradient.
        pull: the objects' gradient − Bᵀ A⁻¹ × the frames'.
    """

    chain: Chain
    through: Float[Tensor, "n 6 k"]
    corner: Float[Tensor, "k k"]
    free: Float[Tensor, "n 6"]
    pull: Float[Tensor, "k"]


def _system(seconds: Tensor, poses: SE3, places: SE3, m: Measurement, density: Tensor, s: SmoothSettings) -> _System:
    n, k = len(poses), len(places) - 1
    frames, cross, objects, pull, pull_objects = _measured_rows(poses, places, m, s)
    band, held = _motion_rows(seconds, poses, density)
    band[0] += frames
    chain = _chain(band)
    beside = cross[:, 1:].permute(0, 2, 1, 3).reshape(n, 6, 6 * k)
    right = torch.cat([(pull + held)[..., None], beside], -1)
    padded = torch.cat([right, torch.zeros_like(right[: n % 2])]).reshape(-1, 12, right.shape[-1])
    found = chain.solve(padded).reshape(-1, 6, right.shape[-1])[:n]
    free, through = found[..., 0], found[..., 1:]
    corner = torch.block_diag(*objects[1:]) if k else torch.zeros(0, 0, dtype=torch.float64)
    corner = corner - torch.einsum("nij,nik->jk", beside, through)
    return _System(chain, through, corner, free, pull_objects[1:].flatten() - torch.einsum("nij,ni->j", beside, free))


def _step(system: _System) -> tuple[Float[Tensor, "n 6"], Float[Tensor, "k 6"]]:
    """The Gauss–Newton step of the frames and of the objects; the world stays."""
    moved = -torch.linalg.solve(system.corner, system.pull)
    step = -system.free - system.through @ moved
    return step, torch.cat([moved.new_zeros(6), moved]).unflatten(0, (-1, 6))


def _covariance(system: _System) -> Float[Tensor, "n 6 6"]:
    """Of the frames, with the objects' places marginalised: Σ_A + Y C⁻¹ Yᵀ with Y = A⁻¹ B."""
    both = system.chain.inverse_diagonal()
    alone = torch.stack([both[:, :6, :6], both[:, 6:, 6:]], 1).flatten(0, 1)[: len(system.free)]
    return alone + system.through @ torch.linalg.inv(system.corner) @ system.through.mT


def _density(seconds: Tensor, poses: SE3, m: Measurement, s: SmoothSettings) -> Float[Tensor, "6"]:
    """Squared densities of acceleration: as told, or what the measured path shows beyond the measurements' noise."""
    shift, turn = s.shift, s.turn_rad
    if (shift is None or turn is None) and len(poses) >= 3:
        wait = seconds.diff()
        change = ((poses[1:] @ poses[:-1].inverse()).log() / wait[:, None]).diff(dim=0).square()
        information = torch.zeros(len(poses), 6, 6, dtype=torch.float64).index_add(0, m.frame, m.information.double())
        spread = torch.linalg.inv(information).diagonal(dim1=-2, dim2=-1)
        noise = (spread[1:] + spread[:-1]) / wait[:, None].square()
        extra = change - noise[1:] - noise[:-1]
        time = (wait[1:] + wait[:-1]) / 3
        found = [float((extra[:, g].sum(1) / time).median()) / _MEDIAN_OF_CHI2_3 for g in (slice(0, 3), slice(3, 6))]
        seen = [float((change[:, g].sum(1) / time).median()) / _MEDIAN_OF_CHI2_3 for g in (slice(0, 3), slice(3, 6))]
        found = [max(f, 0.01 * v, 1e-16) for f, v in zip(found, seen, strict=True)]
        shift = math.sqrt(found[0]) if shift is None else shift
        turn = math.sqrt(found[1]) if turn is None else turn
    values: Sequence[float] = [(shift or 1.0) ** 2] * 3 + [(turn or 1.0) ** 2] * 3
    return torch.tensor(values, dtype=torch.float64)
