"""The records that flow from a photo to an answer: frozen dataclasses of tensors, leading batch dimensions.

Truth cannot reach an estimate, by type: a `Photo` has no pose. Conventions are those of `docs/conventions.md`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.rotation_density import RotationDensity as RotationDensity
from resect.geometry.se3 import SE3


class Status(Enum):
    """How an estimate ended: (succeeded, what happened, what to do)."""

    OK = (True, "The render agrees with the photo.", "")
    AMBIGUOUS = (
        True,
        "More than one pose explains the photo.",
        "Look at all modes, or say where the camera is about: --near, or --start for objects.",
    )
    NOT_IMPROVED = (
        True,
        "The start already agrees with the photo, and no better pose was found.",
        "The answer is the start itself; start from another guess to see whether it holds.",
    )
    NO_HYPOTHESIS = (
        False,
        "The prior found nothing to start from.",
        "Check that the photo shows the place, or the object in its box; try another --prior, or give --start.",
    )
    NO_CAMERA = (
        False,
        "The photo's camera is unknown, and nothing could find it.",
        "Give --camera FILE or --fov-deg.",
    )
    NO_TRANSLATION = (
        False,
        "Only the rotation is known.",
        "Give a visible box or a mask so that the translation can be found.",
    )
    OUT_OF_VIEW = (False, "The scene is not in view at the start.", "Give a start from which the scene can be seen.")
    NO_AGREEMENT = (
        False,
        "No pose was found at which the scene looks like the photo.",
        "Check that the photo shows this scene, and its camera; a blurred or dark photo fails too.",
    )
    NOT_CONVERGED = (
        False,
        "The search did not settle on a pose.",
        "Start nearer, use more hypotheses (--count), or photograph from nearer to the training photos.",
    )
    NON_FINITE = (False, "The numbers stopped being finite.", "Check the camera and the start; then report a bug.")

    def __init__(self, ok: bool, sentence: str, advice: str) -> None:
        self.ok, self.sentence, self.advice = ok, sentence, advice


@dataclass(frozen=True, eq=False)
class Target:
    """What is asked for in a photo. `None` in a `Photo` means the place itself.

    Attributes:
        object_id: name or number of the object in its dataset.
        instance: which of several equal objects.
        category: e.g. "chair"; networks of several take `object_id` for it where it is empty.
        box: visible box (left, top, right, bottom) in pixels.
        mask: (h, w), true where the object is visible.
        score: confidence of the detector.
    """

    object_id: str
    instance: int = 0
    category: str = ""
    box: tuple[float, float, float, float] | None = None
    mask: Bool[Tensor, "h w"] | None = None
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class Photo:
    """One image and what is known of how it was taken; never its pose.

    Attributes:
        name: path relative to the data folder, or the file's name.
        image: RGB in [0, 1]; where the file has transparency, laid on white.
        camera: intrinsics at this image's size; `None` if unknown.
        camera_source: where the camera came from ("transforms.json", "exif", "scene", "flag", "unknown", …).
        target: what is asked for; `None` is the place itself.
        depth: along the optical axis, world units; 0 where unknown.
        alpha: opacity in [0, 1] where the file has transparency.
        mask: true where pixels may be used.
    """

    name: str
    image: Float[Tensor, "h w 3"]
    camera: Camera | None = None
    camera_source: str = "unknown"
    target: Target | None = None
    depth: Float[Tensor, "h w"] | None = None
    alpha: Float[Tensor, "h w"] | None = None
    mask: Bool[Tensor, "h w"] | None = None

    def known_camera(self) -> Camera:
        """The camera, or an error that says how to give one."""
        if self.camera is None:
            fix = "Give --camera FILE or --fov-deg."
            raise ResectError(self.name, "a photo whose camera is known", "no intrinsics", fix)
        return self.camera


@dataclass(frozen=True, eq=False)
class Truth:
    """True poses. Only fitting, metrics and labelled oracle starts take it.

    Attributes:
        cam_from_world: of all photos.
        symmetries: for a symmetric object, the rotations about its own frame that change nothing, identity included.
    """

    cam_from_world: SE3
    symmetries: Float[Tensor, "s 3 3"] | None = None


@dataclass(frozen=True, eq=False)
class World:
    """The frame that the poses of a dataset are given in.

    Attributes:
        meters_per_unit: length of one unit; `None` if unknown, and then reports say "units" and refuse "cm".
        up: unit vector, if known.
        bounds: corners (least, greatest) of a box around what is to be seen, if known.
        depth_range: nearest and farthest content seen from the cameras, world units, if known.
    """

    meters_per_unit: float | None = None
    up: Float[Tensor, "3"] | None = None
    bounds: Float[Tensor, "2 3"] | None = None
    depth_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Split:
    """Which photos are learned from and which are held out, as indices into a `PhotoSet`.

    Attributes:
        train: indices of training photos.
        test: indices of held-out photos.
        rule: how it was made: "every:8", "blocks:20:4", "file:NAMES", "given" or "none".
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    rule: str

    def __post_init__(self) -> None:
        if set(self.train) & set(self.test):
            raise ResectError("split", "no photo in both halves", f"{len(set(self.train) & set(self.test))} shared")


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Posed photos of one place, read when asked for.

    Attributes:
        root: the data folder.
        format: name of the format that was read.
        names: path of each photo relative to the root, sorted.
        cameras: intrinsics of each photo.
        truth: N poses.
        world: units, up, bounds.
        load: reads photo number i.
        given_split: the split that came with the data, if any.
        notes: what the reader wants to be known ("17 of 67 listed images are missing …").
    """

    root: Path
    format: str
    names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    truth: Truth
    world: World
    load: Callable[[int], Photo]
    given_split: Split | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Photo:
        return self.load(index)

    def __iter__(self) -> Iterator[Photo]:
        return (self.load(i) for i in range(len(self)))

    def subset(self, indices: Sequence[int]) -> "PhotoSet":
        """Only these photos, in this order; their split is forgotten."""
        order = tuple(indices)
        load = self.load
        truth = replace(self.truth, cam_from_world=self.truth.cam_from_world[list(order)])
        return replace(
            self,
            names=tuple(self.names[i] for i in order),
            cameras=tuple(self.cameras[i] for i in order),
            truth=truth,
            load=lambda i: load(order[i]),
            given_split=None,
        )


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Weighted poses: what a prior guesses, and what a refiner ends with.

    Attributes:
        cam_from_world: H poses.
        log_weight: log of each one's weight; need not be normalised.
        information: of δ = (v, ω) in exp(δ) @ cam_from_world, world units and radians; zero rows mean unknown.
        code: latent code of each hypothesis, for scenes that take one.
        source: where each came from, e.g. "landmarks", "retrieval:images/0012.jpg", "oracle:0".
        target: what the poses are of.
        camera: the camera under which the poses hold, where the prior had to find it because the photo's was unknown.
    """

    cam_from_world: SE3
    log_weight: Float[Tensor, "h"]
    information: Float[Tensor, "h 6 6"] | None = None
    code: Float[Tensor, "h d"] | None = None
    source: tuple[str, ...] = ()
    target: Target | None = None
    camera: Camera | None = None

    def __len__(self) -> int:
        return len(self.log_weight)

    @property
    def oracle(self) -> bool:
        """Whether any pose was made from the truth."""
        return any(s.startswith("oracle") for s in self.source)

    def take(self, indices: Sequence[int] | Tensor) -> "Hypotheses":
        """These hypotheses, in this order."""
        i = torch.as_tensor(indices, dtype=torch.long)
        return replace(
            self,
            cam_from_world=self.cam_from_world[i],
            log_weight=self.log_weight[i],
            information=None if self.information is None else self.information[i],
            code=None if self.code is None else self.code[i],
            source=tuple(self.source[k] for k in i.tolist()) if self.source else (),
        )

    def best(self, count: int) -> "Hypotheses":
        """At most `count` of them, the heaviest first; equals in their order."""
        return self.take(self.log_weight.argsort(descending=True, stable=True)[:count])

    @classmethod
    def cat(cls, parts: "Sequence[Hypotheses]", target: Target | None = None) -> "Hypotheses":
        """All of several, in order, as poses of one target; information where all have it, no codes and cameras."""
        known = [h.information for h in parts if h.information is not None]
        return cls(
            SE3.cat([h.cam_from_world for h in parts]),
            torch.cat([h.log_weight for h in parts]),
            torch.cat(known) if len(known) == len(parts) else None,
            source=sum((h.source for h in parts), ()),
            target=target,
        )


@dataclass(frozen=True, eq=False)
class Render:
    """What a scene would show along H × N rays, or what a photo shows in the scene's terms (H = 1).

    Attributes:
        rgb: colour in [0, 1], background included.
        depth: median depth along the optical axis, world units; 0 where nothing is hit.
        expected_depth: mean depth along the optical axis; 0 where nothing is hit.
        alpha: opacity in [0, 1].
        normal: unit normals in the world frame.
        feature: scene-specific channels.
    """

    rgb: Float[Tensor, "h n 3"] | None = None
    depth: Float[Tensor, "h n"] | None = None
    expected_depth: Float[Tensor, "h n"] | None = None
    alpha: Float[Tensor, "h n"] | None = None
    normal: Float[Tensor, "h n 3"] | None = None
    feature: Float[Tensor, "h n c"] | None = None


Channel = Literal["rgb", "depth", "expected_depth", "alpha", "normal", "feature"]


@dataclass(frozen=True, eq=False)
class Linearized:
    """Residuals of H hypotheses and their derivatives with respect to P parameters.

    Attributes:
        residual: r, render − photo or another difference.
        jacobian: dr / d(parameters).
        weight: w ≥ 0 of each row in Σ w r².
        names: of the P columns: "vx vy vz wx wy wz" first, then extras such as "gain", "bias", "log_focal", "code0".
    """

    residual: Float[Tensor, "h m"]
    jacobian: Float[Tensor, "h m p"]
    weight: Float[Tensor, "h m"]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One moment of a refinement: where H hypotheses stood after a stage, and their losses there."""

    stage: str
    cam_from_world: SE3
    loss: Float[Tensor, "h"]


@dataclass(frozen=True)
class Cost:
    """What an answer cost.

    Attributes:
        renders: images rendered, in units of the photo's working size.
        rays: rays rendered, those with derivatives counted once.
        ms: milliseconds by stage, in the order they ran.
    """

    renders: float = 0.0
    rays: int = 0
    ms: tuple[tuple[str, float], ...] = ()

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.renders + other.renders, self.rays + other.rays, self.ms + other.ms)

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(ms for _, ms in self.ms) / 1000


@dataclass(frozen=True, eq=False)
class Estimate:
    """The answer for one photo.

    Attributes:
        status: how it ended; on failure there is no pose.
        modes: possible poses, best first, `log_weight` = log mass, `information` = inverse covariance.
        trace: every hypothesis from start to end.
        cost: what it took.
        camera: the camera that was used (its focal length refined if that was asked for).
        camera_source: where that camera came from.
        extra_names: further parameters that were solved for.
        extras: their values, one row a mode.
        loss: of mode 0 on pixels that were not used for stepping, and of the start on the same pixels.
    """

    status: Status
    modes: Hypotheses | None = None
    trace: tuple[Step, ...] = ()
    cost: Cost = field(default_factory=Cost)
    camera: Camera | None = None
    camera_source: str = "unknown"
    extra_names: tuple[str, ...] = ()
    extras: Float[Tensor, "k e"] | None = None
    loss: tuple[float, float] | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a pose to use."""
        return self.status.ok

    @property
    def cam_from_world(self) -> SE3 | None:
        """Pose of the best mode; `None` on failure."""
        return self.modes.cam_from_world[0] if self.ok and self.modes is not None else None

    @property
    def covariance(self) -> Float[Tensor, "6 6"] | None:
        """Of δ = (v, ω) in exp(δ) @ cam_from_world; `None` on failure or where a direction is unknown."""
        if not self.ok or self.modes is None or self.modes.information is None:
            return None
        factor, failed = torch.linalg.cholesky_ex(self.modes.information[0].double())
        if int(failed) or not bool(factor.isfinite().all()):
            return None
        found = torch.cholesky_inverse(factor)
        return found if bool(found.isfinite().all()) else None
