"""The fitted map: which landmarks a photo shows, and from where.

A query is: features of the photo; its strongest ones against the whole map; a first pose by RANSAC; then, twice, every
landmark is projected with the pose and looks for its feature near by, and the pose is solved again from all that were
found. The second pass finds three to five times as many points as the first and is where the accuracy comes from.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect import artifact
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.landmarks.features import Features, detect
from resect.priors.landmarks.guided import Look, Points, chance_matches, guided_matches
from resect.priors.landmarks.matching import best_two
from resect.priors.landmarks.resection import Seen, Solution, first_pose, refine
from resect.priors.landmarks.settings import LandmarkSettings
from resect.priors.landmarks.uncertainty import Excess, gap, shared
from resect.types import Hypotheses, Photo

_KIND = "landmarks"
_QUANTA = 512.0  # descriptors are stored as bytes, as COLMAP does
_MOST = 5_000_000
_TRIALS = 2000
_UNKNOWN_LENS = 16.0  # growth of the covariance where distortion is unknown
_CENTRE = 0.01  # standard deviation of a phone's principal point from the middle, share of the longer side
_AGREES_PX = 2.0  # working pixels
_ASIDE_PX = 16.0  # working pixels: nothing is found twice, and a heap of landmarks is not left
_UNKNOWN_FOCAL = 1.2  # focal length over the longer side where nothing is known, as COLMAP assumes


@dataclass(frozen=True, eq=False)
class LandmarkMatch:
    """What the landmarks say of a photo.

    Attributes:
        hypotheses: poses, best first; none if the photo does not show the place. `log_weight` = log of the inliers.
        camera: of the photo; its focal length found here where it was unknown.
        inliers: points that agree with the best pose within 2 working pixels.
        share: of the points found near where they should be, how many agree; in [0, 1].
        tentative: matches before any geometry.
        points: world, of the inliers of the best pose.
        pixels: in the photo, of the same.
        sigma_px: standard deviation of their error, photo pixels.
    """

    hypotheses: Hypotheses
    camera: Camera
    inliers: int
    share: float
    tentative: int
    points: Float[Tensor, "n 3"]
    pixels: Float[Tensor, "n 2"]
    sigma_px: float


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Points of a place with the look of their surroundings.

    Attributes:
        settings: how it was made and is asked.
        points: where they are and how they look.
        views: how many training photos saw each.
        camera: of the first training photo.
        training: poses of the training photos.
        excess: by how much squared errors of poses exceed what their residuals say; information is divided by it.
    """

    settings: LandmarkSettings
    points: Points
    views: Int[Tensor, "n"]
    camera: Camera
    training: SE3
    excess: Excess = field(default_factory=Excess)

    def __len__(self) -> int:
        return len(self.points)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """At most `count` poses, mostly one; none if too few landmarks agree."""
        seed = int(torch.randint(1 << 31, (1,), generator=generator))
        return self.localize(photo, count=count, seed=seed).hypotheses

    def localize(
        self, photo: Photo, *, count: int = 1, seed: int = 0, features: Features | None = None
    ) -> LandmarkMatch:
        """The poses with all that speaks for them.

        Args:
            photo: with an unknown camera the focal length is found too (square pixels, centred, no distortion).
            count: most poses. A second one is looked for among the matches that the first does not explain.
            seed: of RANSAC.
            features: of the photo, where they were detected before with the settings of the map.
        """
        s = self.settings
        find_focal = photo.camera is None
        camera = photo.camera or self._guess_camera(photo)
        found = features or detect(photo, max_side=s.max_side, max_features=s.max_features, contrast=s.contrast)
        nothing = self._nothing(photo, camera)
        for most in (s.first_features, s.max_features):
            matches = self._first_matches(found, most, camera)
            answers = self._modes(found, matches, camera, find_focal, count, seed)
            if answers or len(found) <= s.first_features:
                break
        if not answers:
            return replace(nothing, tentative=len(matches))
        return self._report(photo, answers, len(matches), find_focal)

    def _guess_camera(self, photo: Photo) -> Camera:
        height, width = photo.image.shape[:2]
        focal = _UNKNOWN_FOCAL * max(height, width)
        return Camera(focal, focal, width / 2, height / 2, width, height)

    def _nothing(self, photo: Photo, camera: Camera) -> LandmarkMatch:
        none = Hypotheses(
            SE3.identity(0, dtype=torch.float64), torch.zeros(0), torch.zeros(0, 6, 6, dtype=torch.float64),
            target=photo.target,
        )  # fmt: skip
        return LandmarkMatch(none, camera, 0, 0.0, 0, torch.zeros(0, 3), torch.zeros(0, 2), 1.0)

    def _first_matches(self, found: Features, most: int, camera: Camera) -> Seen:
        """The strongest features with a clear best landmark."""
        best, second, index, _ = best_two(found.descriptors[:most], self.points.descriptors)
        clear = 1 - best < self.settings.ratio**2 * (1 - second)
        return self._seen(index[clear], found.pixels[:most][clear], found.scale)

    def _seen(self, landmarks: Int[Tensor, "n"], pixels: Float[Tensor, "n 2"], scale: float) -> Seen:
        return Seen(self.points.xyz[landmarks], self.points.covariance[landmarks], pixels.double(), 0.5 * scale)

    def _modes(
        self, found: Features, matches: Seen, camera: Camera, find_focal: bool, count: int, seed: int
    ) -> list[tuple[Solution, Seen, float]]:
        """Poses with their inliers and the share of those that were expected, the one with the most inliers first."""
        answers: list[tuple[Solution, Seen, float]] = []
        while len(answers) < count and len(matches) >= self.settings.min_inliers // 2:
            start = self._start(matches, camera, find_focal, found.scale, seed)
            answer = None if start is None else self._polish(found, matches.take(start[2]), start, find_focal)
            if start is None or answer is None:
                break
            answers.append(answer)
            matches = matches.take(~start[2])
            if len(matches) < 0.5 * int(start[2].sum()):
                break
        return sorted(answers, key=lambda a: -len(a[1]))

    def _start(
        self, matches: Seen, camera: Camera, find_focal: bool, scale: float, seed: int
    ) -> tuple[SE3, Camera, Tensor] | None:
        """The first pose; with an unknown focal length the training camera's is tried beside a free one.

        A free one fits chance better, so it must explain clearly more.
        """
        limit = self.settings.ransac_px * scale
        start = first_pose(matches, camera, find_focal=find_focal, max_error_px=limit, trials=_TRIALS, seed=seed)
        if not find_focal:
            return start
        share = self.camera.fx / max(self.camera.width, self.camera.height)
        usual = camera.with_focal_scale(share * max(camera.width, camera.height) / camera.fx)
        fixed = first_pose(matches, usual, find_focal=False, max_error_px=limit, trials=_TRIALS, seed=seed)
        if start is None or fixed is None:
            return start or fixed
        return fixed if int(fixed[2].sum()) > 0.8 * int(start[2].sum()) else start

    def _polish(
        self, found: Features, inliers: Seen, start: tuple[SE3, Camera, Tensor], find_focal: bool
    ) -> tuple[Solution, Seen, float] | None:
        """Two guided passes from a first pose; `None` if too few landmarks agree in the end."""
        s = self.settings
        solution = refine(inliers, start[0], start[1], find_focal=find_focal)
        for radius in (s.guided_px, 0.5 * s.guided_px):
            look = Look(radius * found.scale, s.guided_cosine, s.guided_ratio, s.size_factor)
            place = (solution.camera, solution.cam_from_world)
            landmarks, features = guided_matches(found, self.points, *place, look)
            if len(landmarks) < s.min_inliers:
                return None
            seen = self._seen(landmarks, found.pixels[features], found.scale)
            solution = refine(seen, solution.cam_from_world, solution.camera, find_focal=find_focal)
        agree = solution.error_px < _AGREES_PX * found.scale
        place, offset = (solution.camera, solution.cam_from_world), _ASIDE_PX * found.scale
        chance = chance_matches(found, self.points, *place, look, offset)
        if int(agree.sum()) < s.min_inliers + s.over_chance * chance:
            return None
        return solution, seen.take(agree), float(agree.double().mean())

    def _report(
        self, photo: Photo, answers: list[tuple[Solution, Seen, float]], tentative: int, find_focal: bool
    ) -> LandmarkMatch:
        best, seen, share = answers[0]
        inliers = torch.tensor([len(a[1]) for a in answers])
        poses = SE3.stack([a[0].cam_from_world for a in answers])
        own = torch.linalg.inv(torch.stack([a[0].information for a in answers]))
        together = torch.stack([shared(of, solution) for solution, of, _ in answers])
        information = torch.linalg.inv(own + together) / self.excess.at(gap(poses, self.training))[:, None, None]
        hypotheses = Hypotheses(
            poses,
            inliers.double().log(),
            _with_unknown_lens(information, best.camera) if find_focal else information,
            source=(_KIND,) * len(answers),
            target=photo.target,
            camera=best.camera if find_focal else None,
        )
        return LandmarkMatch(
            hypotheses, best.camera, int(inliers[0]), share, tentative, seen.points, seen.pixels, best.sigma_px
        )

    def save(self, folder: Path) -> None:
        """Writes the artefact; about 200 bytes a landmark."""
        upper = torch.triu_indices(3, 3)
        tensors = {
            "points": self.points.xyz,
            "covariance": self.points.covariance[:, upper[0], upper[1]],
            "toward": self.points.toward.float(),
            "size": self.points.size.float(),
            "views": self.views.int(),
            "training": self.training.matrix()[:, :3].double().contiguous(),
            "descriptors": (self.points.descriptors * _QUANTA).round().clamp(0, 255).to(torch.uint8),
        }
        extra = {"camera": asdict(self.camera), "landmarks": len(self), "excess": asdict(self.excess)}
        artifact.save(folder, _KIND, self.settings, tensors, extra=extra)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, _KIND)
        xyz = found.tensor("points", (None, 3), torch.float64)
        n = len(xyz)
        upper = found.tensor("covariance", (n, 6), torch.float64)
        toward = found.tensor("toward", (n, 3), torch.float32).double()
        size = found.tensor("size", (n,), torch.float32).double()
        training = SE3.from_matrix(found.tensor("training", (None, 3, 4), torch.float64))
        where = f"{folder}/artifact.json"
        excess = artifact.settings_from_json(Excess, found.extra.get("excess") or {}, where)
        numbers = (xyz, upper, toward, size, training.R, training.t)
        fine = all(bool(x.isfinite().all()) for x in numbers) and bool((size > 0).all())
        if not fine or not 0 < n <= _MOST or not len(training) or not excess.valid:
            got = f"{n} landmarks of {len(training)} photos, {excess}, finite: {fine}"
            raise ResectError(folder, "finite landmarks", got, "The artefact is damaged; fit it again.")
        settings = artifact.settings_from_json(LandmarkSettings, found.settings, where)
        camera = artifact.settings_from_json(Camera, found.extra.get("camera") or {}, where)
        covariance = upper[:, torch.tensor([0, 1, 2, 1, 3, 4, 2, 4, 5])].unflatten(-1, (3, 3))
        stored = found.tensor("descriptors", (n, 128), torch.uint8).float()
        descriptors = torch.nn.functional.normalize(stored, dim=-1)
        views = found.tensor("views", (n,), torch.int32).long()
        return cls(settings, Points(xyz, covariance, toward, size, descriptors), views, camera, training, excess)


def _with_unknown_lens(information: Float[Tensor, "h 6 6"], camera: Camera) -> Float[Tensor, "h 6 6"]:
    """Less information: a principal point that is not in the middle turns the camera, a bent lens does worse."""
    angle = _CENTRE * max(camera.width, camera.height) * camera.pixel_rad
    more = torch.diag(torch.tensor([0.0, 0.0, 0.0, angle**2, angle**2, 0.0], dtype=information.dtype))
    return torch.linalg.inv(_UNKNOWN_LENS * torch.linalg.inv(information) + more)


def quantised(descriptors: Float[Tensor, "n 128"]) -> Float[Tensor, "n 128"]:
    """Unit vectors as they will be after saving and loading, so that both give the same answers."""
    return torch.nn.functional.normalize((descriptors * _QUANTA).round().clamp(0, 255), dim=-1)
