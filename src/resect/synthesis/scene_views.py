"""Further training photos of a place, rendered from a scene of it at plausible new poses.

A pose lies between one training camera and one of its neighbours, or a little beyond, then is shifted and turned at
random. It is refused where the camera would stand in matter or look into nothing: where what it sees is much nearer,
or much less, than what the training cameras see. Exposure, blur and noise are drawn for each view. After Moreau et al.,
"LENS: localization enhanced by NeRF synthesis", CoRL 2021, which draws poses on a grid instead.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.metrics.pose import scene_scale
from resect.protocols import Scene
from resect.training.settings import check
from resect.types import Photo, PhotoSet, Truth

PREFIX = "rendered/"
_TRIES = 20
_LEAST_HABIT = 0.2
_GLANCE = 32  # pixels of the longer side, to see whether a pose is plausible


@dataclass(frozen=True)
class SceneViewSettings:
    """Which poses, and how they are photographed."""

    count: int = 1000
    """Views."""
    side: int = 160
    """Pixels of the longer side."""
    neighbours: int = 16
    """A pose lies towards one of this many nearest cameras."""
    beyond: float = 0.2
    """How far beyond either camera, parts of the way between them."""
    shift: float = 0.1
    """Greatest standard deviation of each coordinate of the shift, parts of the scene's scale."""
    turn_deg: float = 25.0
    """Greatest standard deviation of the turn, about the axis that the photographer turned about most; less about the
    others. Each view has its own, from 0 to this: most are near what was photographed, some far from it."""
    nearest: float = 0.5
    """Least distance of what is near, parts of what is usual among training cameras."""
    filled: float = 0.8
    """Least part of the picture that shows something, parts of what is usual."""
    exposure: float = 0.15
    """Standard deviation of the logarithm of the exposure."""
    blur_px: float = 0.6
    """Greatest standard deviation of the blur."""
    noise: float = 0.01
    """Standard deviation of each colour."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        within: dict[str, tuple[float, float]] = {
            "count": (1, 10_000_000),
            "side": (16, 4096),
            "neighbours": (1, 10_000),
            "beyond": (0, 2),
            "shift": (0, 1),
            "turn_deg": (0, 90),
            "nearest": (0, 1),
            "filled": (0, 1),
            "exposure": (0, 1),
            "blur_px": (0, 10),
            "noise": (0, 0.2),
        }
        check(self, within)


def scene_views(scene: Scene, train: PhotoSet, settings: SceneViewSettings | None = None) -> PhotoSet:
    """Views with poses, each rendered when it is asked for; always the same ones.

    Args:
        scene: of the place, learned from these photos alone.
        train: training photos.
        settings: which and how.

    Raises:
        ResectError: too few plausible poses were found.
    """
    s = settings or SceneViewSettings()
    g = torch.Generator().manual_seed(s.seed)
    whose, poses = plausible_poses(scene, train, s, g)
    cameras = tuple(train.cameras[i].fit_within(s.side) for i in whose.tolist())
    names = tuple(f"{PREFIX}{i:06d}.png" for i in range(s.count))

    def load(i: int) -> Photo:
        image = _photographed(scene, cameras[i], poses[i : i + 1], s, i)
        return Photo(names[i], image, cameras[i], "rendered")

    return replace(
        train, names=names, cameras=cameras, truth=Truth(poses), load=load, given_split=None, format="rendered"
    )


def joined(first: PhotoSet, second: PhotoSet) -> PhotoSet:
    """Photos of both, of the first one's world."""
    a, b, n = first.truth.cam_from_world.double(), second.truth.cam_from_world.double(), len(first)
    return replace(
        first,
        names=first.names + second.names,
        cameras=first.cameras + second.cameras,
        truth=Truth(SE3(torch.cat([a.R, b.R]), torch.cat([a.t, b.t])), first.truth.symmetries),
        load=lambda i: first.load(i) if i < n else second.load(i - n),
        given_split=None,
    )


def plausible_poses(
    scene: Scene, train: PhotoSet, s: SceneViewSettings, generator: torch.Generator
) -> tuple[Tensor, SE3]:
    """Numbers of the training cameras that views are drawn about, and their poses, float64."""
    known = train.truth.cam_from_world.double()
    glance = train.cameras[0].fit_within(_GLANCE)
    usual = [float(x.median()) for x in _sight(scene, glance, known[:: max(1, len(known) // 32)])]
    found: list[tuple[Tensor, SE3]] = []
    have = 0
    for _ in range(_TRIES):
        whose, poses = _between(known, s, 2 * (s.count - have) + 8, generator)
        near, filled = _sight(scene, glance, poses)
        good = (near >= s.nearest * usual[0]) & (filled >= s.filled * usual[1])
        found.append((whose[good], poses[good]))
        have += int(good.sum())
        if have >= s.count:
            every = SE3(torch.cat([p.R for _, p in found]), torch.cat([p.t for _, p in found]))
            return torch.cat([w for w, _ in found])[: s.count], every[: s.count]
    fix = "Draw poses nearer to the cameras (--shift, --turn-deg, --beyond), or ask for fewer."
    raise ResectError("views of a scene", f"{s.count} plausible poses", f"{have} after {_TRIES} rounds", fix)


def _between(known: SE3, s: SceneViewSettings, count: int, g: torch.Generator) -> tuple[Tensor, SE3]:
    """Poses between training cameras, shifted and turned."""
    scale, n = scene_scale(known), len(known)
    whose = torch.randint(n, (count,), generator=g)
    far = torch.cdist(known.center, known.center) / scale
    far = far + so3.angle(known.R[:, None].expand(n, n, 3, 3), known.R[None].expand(n, n, 3, 3))
    near = far.argsort(1)[:, 1 : 1 + s.neighbours] if n > 1 else torch.zeros(1, 1, dtype=torch.long)
    pick = torch.randint(near.shape[1], (count,), generator=g)
    a, b = known[whose], known[near[whose, pick]]
    way = torch.rand(count, 1, generator=g, dtype=torch.float64) * (1 + 2 * s.beyond) - s.beyond
    shift, turn = torch.randn(2, count, 3, generator=g, dtype=torch.float64)
    wide = torch.rand(2, count, 1, generator=g, dtype=torch.float64)
    center = a.center + way * (b.center - a.center) + s.shift * scale * wide[0] * shift
    turn = math.radians(s.turn_deg) * wide[1] * (turn @ _habit(known))
    rotation = so3.exp(turn + way * so3.log(b.R @ a.R.mT)) @ a.R
    return whose, SE3(rotation, -(rotation @ center[..., None])[..., 0])


def _habit(known: SE3) -> Float[Tensor, "3 3"]:
    """How far the photographer turned about each of the camera's axes, parts of the most: the root of the second
    moment of the turns between training cameras. A hand that only pans gives views that are panned, not rolled.
    """
    some = known.R[:: max(1, len(known) // 64)]
    turns = so3.log(some[None] @ some[:, None].mT).flatten(0, 1)
    values, axes = torch.linalg.eigh(turns.mT @ turns / len(turns))
    spread = (values.clamp_min(0) / values.max().clamp_min(1e-12)).sqrt().clamp_min(_LEAST_HABIT)
    return axes @ torch.diag(spread) @ axes.mT


def _sight(scene: Scene, camera: Camera, poses: SE3, at_once: int = 256) -> tuple[Tensor, Tensor]:
    """Of each pose: the distance that a twentieth of what is seen is nearer than, and the share that shows anything."""
    near, filled = [], []
    for k in range(0, len(poses), at_once):
        seen = scene.render(camera, poses[k : k + at_once], ("depth", "alpha"))
        if seen.depth is None or seen.alpha is None:
            raise ResectError("views of a scene", "a scene that renders depth and opacity", "another")
        depth = torch.where(seen.depth > 0, seen.depth, torch.nan)
        near.append(depth.nanquantile(0.05, dim=1).nan_to_num(0.0))
        filled.append(seen.alpha.mean(1))
    return torch.cat(near), torch.cat(filled)


def _photographed(scene: Scene, camera: Camera, pose: SE3, s: SceneViewSettings, index: int) -> Tensor:
    """(h, w, 3) in [0, 1]: what a camera would have taken."""
    g = torch.Generator().manual_seed((s.seed * 1_000_003 + index) % 2**63)
    with torch.no_grad():
        rgb = scene.render(camera, SE3(pose.R.float(), pose.t.float()), ("rgb",)).rgb
    if rgb is None:
        raise ResectError("views of a scene", "a scene that renders colour", "another")
    image = rgb[0].view(1, camera.height, camera.width, 3).permute(0, 3, 1, 2)
    exposure, width = torch.randn((), generator=g), torch.rand((), generator=g)
    offset = torch.arange(-2, 3).float()
    kernel = torch.exp(-0.5 * (offset / (s.blur_px * width).clamp_min(0.05)).square())
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 5)
    image = functional.conv2d(functional.pad(image, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)
    image = functional.conv2d(image, kernel.mT, groups=3)
    image = image * torch.exp(s.exposure * exposure) + s.noise * torch.randn(image.shape, generator=g)
    return image[0].permute(1, 2, 0).clamp(0, 1)
