"""How exact a scene is, measured on photos that it was not fitted to.

A scene has seen its training photos and agrees with them too well, so the photos to measure on are left out of a second
scene, fitted with the same settings to the rest (`leave_out`); that one is a little worse, so the answer is on the safe
side.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.default import Inversion
from resect.refine.judge import ErrorModel, with_floor
from resect.refine.recipe import RefineSettings, Work, seen_distance
from resect.types import Hypotheses, PhotoSet

_NEUTRAL = ErrorModel(residual=0.1, independent=20.0, turn_rad=1e-7, least_agreement=-2.0)
_SOLVED_RAD = math.radians(5.0)
_SOLVED_SHIFT = 0.05
_CHI2_6_90 = 10.6446  # 90 % of χ² with six degrees of freedom
_MEDIAN_CHI2_3 = 2.3660


@dataclass(frozen=True)
class CalibrationSettings:
    """How starts are drawn on the photos that were left out.

    Attributes:
        turn_deg: largest turn of a start.
        shift: largest shift of each coordinate of the camera's centre, part of the distance of what is seen.
        agreement_share: the least agreement asked for, as a part of the lowest among solved photos.
        seed: of the starts.
    """

    turn_deg: float = 10.0
    shift: float = 0.05
    agreement_share: float = 0.5
    seed: int = 0


def leave_out(count: int, most: int = 24) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices to fit the second scene to, and indices left out: a run of an eighth, and every sixth of the others.

    New photos may lie between the others or beyond them, where a scene is less exact and looks less like its photos.
    Neighbours in the order of the photos mostly are neighbours on the path that the camera took.

    Args:
        count: of the training photos.
        most: isolated photos to leave out.
    """
    run = range(count // 4, count // 4 + count // 8)
    every = max(6, count // most)
    held = set(range(every // 2, count, every)) | set(run)
    return tuple(i for i in range(count) if i not in held), tuple(sorted(held))


def calibrate(
    scene: Scene,
    photos: PhotoSet,
    held: Sequence[int],
    settings: CalibrationSettings | None = None,
    refine: RefineSettings | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> ErrorModel:
    """The error model of a scene from photos it has not seen.

    Args:
        scene: fitted without the photos `held`.
        photos: all training photos, with their poses.
        held: indices to measure on.
        settings: how starts are drawn.
        refine: the refiner's settings, the ones it is to be used with.
        report: called after each photo with how many are done, and of how many.
    """
    if not held:
        raise ResectError("calibrate", "photos that were left out of the scene", "none")
    s, r = settings or CalibrationSettings(), refine or RefineSettings()
    truth = photos.truth.cam_from_world[list(held)].double()
    first = Work(scene, photos[held[0]], r)
    length = seen_distance(first.view(r.coarse_side), truth.float()[: min(8, len(held))])
    inversion = Inversion(r, replace(_NEUTRAL, length=length), seed=s.seed)
    generator = torch.Generator().manual_seed(s.seed)
    errors, informations, losses, agreements = [], [], [], []
    for k, index in enumerate(held):
        start = _near(truth[k], s, length, generator)
        answer = inversion.refine(scene, photos[index], start)
        report(k + 1, len(held))
        modes = answer.modes
        if modes is None or modes.information is None or answer.loss is None:
            continue
        found = modes.cam_from_world[0].double()
        turn, shift = so3.angle(found.R, truth[k].R), (found.center - truth[k].center).norm()
        if float(turn) < _SOLVED_RAD and float(shift) < _SOLVED_SHIFT * length:
            errors.append((truth[k] @ found.inverse()).log())
            informations.append(modes.information[0].double())
            losses.append(answer.loss[0])
            agreements.append(inversion.agreement(scene, photos[index], modes.cam_from_world[:1]))
    if len(errors) < 3:
        return ErrorModel(length=length, photos=len(errors))
    return _model(torch.stack(errors), torch.stack(informations), losses, agreements, length, s, r.floor_share)


def _near(truth: SE3, s: CalibrationSettings, length: float, generator: torch.Generator) -> Hypotheses:
    """A start near the truth with the information that its distribution amounts to."""
    draw = 2 * torch.rand(7, generator=generator, dtype=torch.float64) - 1
    axis = torch.nn.functional.normalize(torch.randn(3, generator=generator, dtype=torch.float64), dim=0)
    turn, shift = math.radians(s.turn_deg), s.shift * length
    start = truth.retract(torch.cat([shift * draw[:3], turn * draw[6] * axis]))
    sigma = torch.tensor([shift / math.sqrt(3)] * 3 + [turn / 3] * 3, dtype=torch.float64)
    pose = SE3(start.R[None].float(), start.t[None].float())
    return Hypotheses(pose, torch.zeros(1), torch.diag(sigma**-2)[None], source=("oracle:calibration",))


def _model(
    errors: Tensor,
    informations: Tensor,
    losses: list[float],
    agreements: list[float],
    length: float,
    settings: CalibrationSettings,
    floor_share: float,
) -> ErrorModel:
    """Spread from medians, which one bad photo does not move, then as many independent rays as coverage allows."""
    variance = sum(losses) / len(losses)
    shift, turn = (float((e.square().sum(1).median() / _MEDIAN_CHI2_3).sqrt()) for e in errors.split(3, dim=1))
    per_ray = informations * _NEUTRAL.residual**2 / _NEUTRAL.independent / variance
    rays = torch.logspace(math.log10(0.5), 3, 100, dtype=torch.float64)
    floor = (floor_share * turn, floor_share * shift)
    distance = torch.stack([_distance(errors, with_floor(float(n) * per_ray, *floor)) for n in rays])
    covered = distance.quantile(0.9, dim=1) <= _CHI2_6_90
    return ErrorModel(
        residual=math.sqrt(variance),
        independent=float(rays[covered].max()) if bool(covered.any()) else float(rays[0]),
        turn_rad=turn,
        shift=shift,
        least_agreement=max(0.2, settings.agreement_share * min(agreements)),
        length=length,
        photos=len(errors),
    )


def _distance(errors: Tensor, informations: Tensor) -> Tensor:
    return (errors[:, None] @ informations @ errors[..., None]).flatten()
