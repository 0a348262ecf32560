"""Known objects that stand in a place say where the camera is: the detector's poses carried into the place's world."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect import artifact
from resect.data.digest import photos_digest
from resect.data.mask import box_of
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3, pivot
from resect.geometry.sim3 import Sim3
from resect.priors.lay import information_of
from resect.priors.object_frames.register import Standing, register
from resect.priors.object_frames.settings import ObjectFrameSettings
from resect.priors.object_frames.sightings import MOST, SEEN, by_object, look
from resect.priors.object_frames.together import together
from resect.protocols import Detector
from resect.training.log import Progress
from resect.types import Hypotheses, Photo, PhotoSet, Target

KIND = "object-frames"
_EACH = 8  # poses of an object that are carried on


class SavedDetector(Detector, Protocol):
    """A detector that can be kept inside of an artefact."""

    def save(self, folder: Path) -> None:
        """Writes its artefact."""
        ...


@dataclass(frozen=True, eq=False)
class ObjectFrames:
    """Where known objects stand in a place, and what finds them in photos.

    Attributes:
        settings: how they were found.
        standing: object id → its frame in the place's world.
        detector: finds them; kept in the artefact.
    """

    settings: ObjectFrameSettings
    standing: dict[str, Standing]
    detector: SavedDetector | None = None

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """Poses of the camera from the likeliest of each object that is found; the target holds their masks."""
        del generator
        if self.detector is None:
            raise ResectError("object-frames", "its detector", "none", "Open it by resect.load.")
        seen = [] if photo.camera is None else self.detector.detect(replace(photo, target=None), MOST)
        found = [
            (p.target, g) for p, g in seen if p.target is not None and p.target.object_id in self.standing and len(g)
        ]
        if not found:
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0))
        asked = self._asked([t for t, _ in found]) if self.settings.masked else None
        each = [self._carried(target.object_id, guess) for target, guess in found]
        if len({target.object_id for target, _ in found}) > 1:
            each.append(self._agreed([t.object_id for t, _ in found], [g for _, g in found], Hypotheses.cat(each)))
        return Hypotheses.cat(each, asked).best(max(1, count))

    def _agreed(self, names: list[str], guesses: list[Hypotheses], each: Hypotheses) -> Hypotheses:
        """What all of them together say; as likely as those that agree with it."""
        seen = SE3.stack([g.best(1).cam_from_world[0].double() for g in guesses])
        pose, information, agree = together(seen, [self.standing[name] for name in names], each.cam_from_world)
        weight = torch.stack([g.log_weight.max() for g in guesses])
        with_it = weight[agree] if bool(agree.any()) else weight
        return Hypotheses(
            SE3(pose.R[None], pose.t[None]),
            torch.logsumexp(with_it, 0)[None].to(each.log_weight),
            information[None],
            source=(f"{KIND}:{' '.join(name for name, same in zip(names, agree.tolist(), strict=True) if same)}",),
        )

    def _carried(self, name: str, guess: Hypotheses) -> Hypotheses:
        """From the object's frame to the world; what the frame itself may be off is added to the spread."""
        standing, best = self.standing[name], guess.best(_EACH)
        frame, n = standing.world_from_obj, len(best)
        pose = frame.move_camera(best.cam_from_world.double())
        eye = torch.eye(3, dtype=torch.float64)
        own = torch.block_diag(standing.shift**2 * eye, standing.turn_rad**2 * eye)
        carry = pivot(pose.apply(frame.t.expand(n, 1, 3))[:, 0])
        covariance = carry @ own @ carry.mT + 1e-12 * torch.eye(6, dtype=torch.float64)
        if best.information is not None:
            scale = torch.tensor([float(frame.s)] * 3 + [1.0] * 3, dtype=torch.float64)
            covariance = covariance + scale[:, None] * torch.linalg.inv(_bounded(best.information)) * scale
        names = n * (f"{KIND}:{name}",)
        return replace(best, cam_from_world=pose, information=information_of(covariance), source=names, target=None)

    def _asked(self, targets: list[Target]) -> Target | None:
        """All that was found, as one target."""
        masks = [t.mask for t in targets if t.mask is not None]
        if not masks:
            return None
        mask: Bool[Tensor, "h w"] = torch.stack(masks).any(0)
        return Target("objects", box=box_of(mask), mask=mask, score=max(t.score for t in targets))

    def save(self, folder: Path) -> None:
        """Writes the artefact, with that of the detector inside."""
        if self.detector is not None:
            self.detector.save(folder / "detector")
        self._save_frames(folder)

    def _save_frames(self, folder: Path) -> None:
        facts = {
            name: {
                "s": float(s.world_from_obj.s),
                "wxyz": so3.to_quaternion(s.world_from_obj.R).tolist(),
                "t": s.world_from_obj.t.tolist(),
                "photos": s.photos,
                "turn_rad": s.turn_rad,
                "shift": s.shift,
                "aim_rad": s.aim_rad,
                "away": s.away,
            }
            for name, s in self.standing.items()
        }
        artifact.save(folder, KIND, self.settings, {}, extra={"standing": facts})

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads and checks the artefact, without its detector."""
        found, where = artifact.load(folder, KIND), f"{folder}/artifact.json"
        settings = artifact.settings_from_json(ObjectFrameSettings, found.settings, where)
        facts = found.extra.get("standing")
        if not isinstance(facts, dict) or not 0 < len(facts) <= MOST:
            raise ResectError(f"{where}: standing", "frames of objects", type(facts).__name__, "Fit it again.")
        return cls(settings, {str(k): _standing(v, f"{where}: {k}") for k, v in facts.items()})

    def with_detector(self, detector: SavedDetector) -> "ObjectFrames":
        """The same with what finds the objects."""
        return replace(self, detector=detector)


def _standing(facts: Any, where: str) -> Standing:
    try:
        values = torch.tensor([facts["s"], *facts["wxyz"], *facts["t"]], dtype=torch.float64).reshape(8)
        turn, shift, aim, away = (float(facts[name]) for name in ("turn_rad", "shift", "aim_rad", "away"))
        photos = int(facts["photos"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ResectError(where, "a similarity", str(error)[:80], "Fit it again.") from None
    sound = bool(values.isfinite().all()) and float(values[0]) > 0 and abs(float(values[1:5].norm()) - 1) < 1e-3
    if not sound or not (0 <= turn < 4 and 0 <= aim < 4 and 0 <= shift < math.inf and 0 <= away < math.inf):
        raise ResectError(where, "a similarity", str(facts)[:80], "Fit it again.")
    return Standing(Sim3(values[0], so3.from_quaternion(values[1:5]), values[5:]), photos, turn, shift, aim, away)


def fit(
    data: PhotoSet,
    settings: ObjectFrameSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[Any, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> ObjectFrames:
    """Finds the objects' frames by what a detector finds in training photos, of each object where it is surest of it.

    Args:
        data: the training photos, with poses.
        settings: how.
        out: folder for the artefact; nothing is written when not given.
        parents: the detector.
        resume: goes on after the photos that an interrupted run in `out` has looked at.
        generator: not used.
        progress: called with (photo, photos, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C; with `out`, what was seen is kept.
    """
    del generator
    if len(parents) != 1:
        raise ResectError("object-frames", "one detector as parent", f"{len(parents)}", "Give --detector DIR.")
    detector, s = parents[0], settings or ObjectFrameSettings()
    kept, key = None, ""
    if out is not None:
        detector.save(out / "detector")
        kept, key = out / SEEN, f"{photos_digest(data)} {artifact.digest(out / 'detector')}"
        if not resume:
            kept.unlink(missing_ok=True)
    seen = look(data, detector, kept, key, progress)
    made = ObjectFrames(s, register(by_object(data.truth.cam_from_world, seen), s), detector)
    if kept is not None:
        made._save_frames(kept.parent)
        kept.unlink(missing_ok=True)
    return made


def _bounded(information: Float[Tensor, "k 6 6"]) -> Float[Tensor, "k 6 6"]:
    """Information on detected poses; where their rotation is unknown, that it is half a turn off at most.

    That is the same about any point: it says nothing of where the point is.
    """
    half = torch.tensor([0.0] * 3 + [math.pi**-2] * 3, dtype=torch.float64)
    return information.double() + torch.diag(half)
