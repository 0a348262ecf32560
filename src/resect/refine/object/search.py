"""From hypotheses to the few candidates that templates or outlines like best."""

import math
from dataclasses import dataclass

import torch

from resect.geometry import so3
from resect.geometry.se3 import SE3, pivot
from resect.refine.halving import Candidates, join
from resect.refine.lookup import rotation_lattice
from resect.refine.object.sight import Sight, Work
from resect.refine.object.templates import Found, pick, slide
from resect.refine.view import View
from resect.types import Hypotheses

_CHUNK = 256


@dataclass(frozen=True)
class Reach:
    """How far the truth may be from a start: turn (radians), shift across and along the optical axis (units)."""

    turn_rad: float
    across: float
    along: float


def search(work: Work, hypotheses: Hypotheses) -> Candidates:
    """Templates around each of a few hypotheses, or of all of many: they cover what is possible by themselves."""
    few = len(hypotheses) <= work.settings.most_around
    with work.meter.stage("search"):
        found = [_around(work, hypotheses, k) for k in range(len(hypotheses))] if few else [_among(work, hypotheses)]
    nothing = Candidates(hypotheses.cam_from_world[:0], torch.zeros(0), torch.zeros(0, dtype=torch.long))
    joined = join([f for f in found if f is not None] or [nothing])
    work.trace.append(joined.step("search"))
    return joined


def reach_of(work: Work, hypotheses: Hypotheses, k: int) -> Reach:
    """From the information, carried to the object's middle, where turn and shift are independent."""
    s = work.settings
    turn, shift = math.radians(s.unknown_turn_deg), s.unknown_shift * work.radius
    across, along = shift, shift
    if hypotheses.information is not None:
        center = work.centers(hypotheses.cam_from_world[k : k + 1].double())[0]
        carry = pivot(center)
        here = carry.mT @ hypotheses.information[k].double() @ carry
        sigma = torch.linalg.pinv(here, hermitian=True).diagonal().clamp_min(0).sqrt()
        known = here.diagonal() > 0
        turn = float(sigma[3:].max()) if bool(known[3:].all()) else turn
        across = float(sigma[:2].max()) if bool(known[:2].all()) else across
        along = float(sigma[2]) if bool(known[2]) else along
    r = s.reach_sigma
    return Reach(min(math.pi, r * turn), r * across, r * along)


def _around(work: Work, hypotheses: Hypotheses, k: int) -> Candidates | None:
    """Turns and distances within reach of one hypothesis, itself among them, each where its template fits best."""
    start, reach = hypotheses.cam_from_world[k : k + 1], reach_of(work, hypotheses, k)
    sight = work.sight(start, work.settings.search_px, reach.across, facets_px=work.settings.facets_px)
    if sight is None:
        return None
    distance = float(work.centers(start)[0, 2])
    keep = 4 * work.settings.keep[0]
    found = _slid(work, sight.view, _grid(work, start[0], reach), reach.across / distance, 4 * keep)
    every = Candidates(found.cam_from_world, found.score, torch.full_like(found.candidate, k))
    return _ranked(sight, every.take(torch.arange(min(keep, len(every.score)))), _outlined(sight, every, keep))


def _among(work: Work, hypotheses: Hypotheses) -> Candidates | None:
    """The hypotheses as they are and, since a box may show a part only, nearer; the likeliest of a density anyway."""
    s, poses = work.settings, hypotheses.cam_from_world
    sight = work.sight(poses, s.search_px, facets_px=s.facets_px)
    if sight is None:
        return None
    center = work.centers(poses)
    nearer = [SE3(poses.R, poses.t + (factor - 1) * center) for factor in s.among_depths]
    reach = s.among_reach * work.radius / float(center[:, 2].median())
    keep = 4 * s.keep[0]
    found = _slid(work, sight.view, SE3.cat(nearer), reach, keep)
    by_template = Candidates(found.cam_from_world, found.score, found.candidate % len(poses))
    as_they_are = Candidates(poses, torch.zeros(len(poses)), torch.arange(len(poses)))
    told = 0 if hypotheses.information is None else min(keep // 4, len(poses))
    likely = as_they_are.take(hypotheses.log_weight.topk(told).indices)
    return _ranked(sight, by_template, _outlined(sight, as_they_are, keep), likely)


def _outlined(sight: Sight, candidates: Candidates, keep: int) -> Candidates:
    """Those whose outline separates colours best."""
    poses = candidates.cam_from_world
    gain = torch.cat([sight.gain(poses[k : k + _CHUNK]) for k in range(0, len(poses), _CHUNK)])
    return candidates.scored(gain).take(gain.topk(min(keep, len(gain))).indices)


def _ranked(sight: Sight, *lists: Candidates) -> Candidates:
    """All of them, ranked as settled ones are.

    Neither list is enough: a smooth object of one colour has nothing for templates to hold on to, and an outline says
    little before a wall of the object's colour. So the best of both are looked at again.
    """
    every = join(list(lists))
    poses = every.cam_from_world
    return every.scored(torch.cat([sight.rank(poses[k : k + _CHUNK]) for k in range(0, len(poses), _CHUNK)]))


def _slid(work: Work, at: View, grid: SE3, reach_rad: float, keep: int) -> Found:
    s = work.settings
    pixels = min(math.ceil(reach_rad / at.camera.pixel_rad), max(at.shape))
    scores, placed = slide(at, grid, work.middle, math.ceil(1.1 * s.search_px), pixels, s.template)
    return pick(at, scores, placed, work.middle, keep)


def _grid(work: Work, start: SE3, reach: Reach) -> SE3:
    """Turns about the object's middle and distances, within reach; the start first."""
    s, middle = work.settings, work.middle.to(start.t)
    pitch = min(math.radians(s.pitch_deg), max(reach.turn_rad / 2, 1e-3))
    turns = rotation_lattice(reach.turn_rad, pitch).to(start.t)
    turns = turns[so3.log(turns).norm(dim=-1).argsort()]
    center = start.R @ middle + start.t
    steps = max(0, math.ceil(reach.along / (s.depth_pitch * float(center[2])) - 0.5))
    steps = min(steps, math.ceil(1 / s.depth_pitch) - 1)  # none behind the camera, however near the start
    factors = 1 + s.depth_pitch * torch.arange(-steps, steps + 1).to(start.t)
    factors = factors[(factors - 1).abs().argsort()]
    rotation = (turns @ start.R).repeat(len(factors), 1, 1)
    places = (factors[:, None] * center).repeat_interleave(len(turns), 0)
    return SE3(rotation, places - rotation @ middle)
