"""The training photos that look most like a photo: small pictures and gradient histograms; no learning, no features.

Two likenesses are added. The first is the correlation of small pictures (longer side 30), each colour channel less its
mean. The second is the dot product of histograms of gradient directions, one for each of 4 × 4 parts.

All pictures are taken in the field of view of the first training camera. What a photo with another camera does not
cover is left out of its comparisons.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect import artifact
from resect.data.image import resize_area
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.retrieval_settings import RetrievalSettings as RetrievalSettings
from resect.training.log import Progress
from resect.types import Hypotheses, Photo, PhotoSet

_KIND = "retrieval"
_MOST = 1_000_000
_LEAST_COVER = 0.25  # with less of the view in common, the pictures are compared as they are
_SAME_FOCAL = 1.01


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Training photos as small pictures, with their poses.

    Attributes:
        settings: what was kept.
        camera: the view that all pictures are taken in, at `gradient_side`.
        names: of the photos.
        cam_from_world: of the photos.
        pictures: colours in [0, 1] of each photo's cells in row order.
        gradients: histograms of each photo, part after part.
    """

    settings: RetrievalSettings
    camera: Camera
    names: tuple[str, ...]
    cam_from_world: SE3
    pictures: Float[Tensor, "n c 3"]
    gradients: Float[Tensor, "n g"]

    def __len__(self) -> int:
        return len(self.names)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """Poses of the `count` most alike training photos; none for a photo without any contrast."""
        likeness = self.likeness(photo)
        order = likeness.argsort(descending=True, stable=True)[: max(0, count)]
        order = order[likeness[order].isfinite()]
        return Hypotheses(
            self.cam_from_world[order],
            self.settings.sharpness * likeness[order],
            source=tuple(f"{_KIND}:{self.names[i]}" for i in order.tolist()),
            target=photo.target,
        )

    def likeness(self, photo: Photo) -> Float[Tensor, "n"]:
        """In [−1, 2] for each training photo; −∞ for all where the photo has no contrast."""
        image, cover = _view(photo, self.camera)
        picture, seen = _picture(image, cover, self.settings.picture_side)
        query = _centred(picture[None], seen)
        if float(query.norm()) == 0:
            return torch.full((len(self),), -torch.inf)
        histograms = _gradients(image, cover, self.settings)
        parts = histograms.norm(dim=-1) > 0
        known = self.gradients.unflatten(-1, histograms.shape) * parts[:, None]
        known = torch.nn.functional.normalize(known.flatten(1), dim=-1)
        shape = torch.nn.functional.normalize(histograms.flatten(), dim=0)
        return _centred(self.pictures, seen) @ query[0] + known @ shape

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        tensors = {
            "pictures": self.pictures,
            "gradients": self.gradients,
            "rotation": self.cam_from_world.R,
            "translation": self.cam_from_world.t,
        }
        artifact.save(
            folder, _KIND, self.settings, tensors, extra={"camera": asdict(self.camera), "names": list(self.names)}
        )

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads and checks the artefact."""
        found = artifact.load(folder, _KIND)
        where = f"{folder}/artifact.json"
        settings = artifact.settings_from_json(RetrievalSettings, found.settings, where)
        camera = artifact.settings_from_json(Camera, found.extra.get("camera") or {}, where)
        names = found.extra.get("names")
        n = len(names) if isinstance(names, list) else 0
        if not isinstance(names, list) or not all(isinstance(x, str) for x in names) or not 0 < n <= _MOST:
            raise ResectError(f"{where}: names", "1 to a million photo names", f"{n}", "Fit it again.")
        small = camera.fit_within(settings.picture_side)
        made = cls(
            settings=settings,
            camera=camera,
            names=tuple(names),
            cam_from_world=SE3(
                found.tensor("rotation", (n, 3, 3), torch.float64), found.tensor("translation", (n, 3), torch.float64)
            ),
            pictures=found.tensor("pictures", (n, small.width * small.height, 3), torch.float32),
            gradients=found.tensor("gradients", (n, settings.parts**2 * settings.bins), torch.float32),
        )
        parts = (made.cam_from_world.R, made.cam_from_world.t, made.pictures, made.gradients)
        if not all(bool(x.isfinite().all()) for x in parts):
            raise ResectError(folder, "finite numbers", "others", "The artefact is damaged; fit it again.")
        return made


def fit(
    data: PhotoSet,
    settings: RetrievalSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Retrieval:
    """Describes training photos; nothing in it is random.

    Args:
        data: training photos only, e.g. `data.subset(split.train)`.
        settings: what to keep.
        out: folder to save to.
        parents: none are needed.
        resume: it takes seconds and is made whole.
        generator: not needed.
        progress: called with (done, total, remark).
    """
    s = settings or RetrievalSettings()
    if len(data) == 0:
        raise ResectError("photos for retrieval", "at least 1", "0")
    camera = data.cameras[0].fit_within(s.gradient_side)
    pictures, gradients = [], []
    for i, photo in enumerate(data):
        image, cover = _view(photo, camera)
        picture, seen = _picture(image, cover, s.picture_side)
        middle = picture[seen].mean(0) if bool(seen.any()) else torch.full((3,), 0.5)
        pictures.append(torch.where(seen[:, None], picture, middle))
        gradients.append(_gradients(image, cover, s).flatten())
        if progress is not None:
            progress(i + 1, len(data), photo.name)
    poses = data.truth.cam_from_world.double()
    made = Retrieval(s, camera, data.names, poses, torch.stack(pictures), torch.stack(gradients))
    if out is not None:
        made.save(out)
    return made


def _view(photo: Photo, camera: Camera) -> tuple[Float[Tensor, "h w 3"], Bool[Tensor, "h w"]]:
    """What `camera` would have shown of the photo from the same place, and where the photo covers that."""
    width, height = camera.width, camera.height
    image = photo.image.detach().float().cpu()
    usable = torch.ones(image.shape[:2]) if photo.mask is None else photo.mask.float().cpu()
    mine = photo.camera
    if mine is not None and not _alike(mine, camera):
        shrink = min(1.0, camera.fx / mine.fx)
        small = mine.rescale(max(1, round(mine.width * shrink)), max(1, round(mine.height * shrink)))
        pixels, within = small.project(camera.rays(camera.pixels()))
        if float(within.float().mean()) >= _LEAST_COVER:
            stack = torch.cat([image, usable[..., None]], -1)
            source = resize_area(stack, small.width, small.height).permute(2, 0, 1)[None]
            grid = (2 * pixels / torch.tensor([small.width, small.height]) - 1).view(1, height, width, 2)
            seen = torch.nn.functional.grid_sample(source, grid, padding_mode="border", align_corners=False)[0]
            return seen[:3].permute(1, 2, 0), within.view(height, width) & (seen[3] > 0.5)
    return resize_area(image, width, height), resize_area(usable, width, height) > 0.5


def _alike(a: Camera, b: Camera) -> bool:
    """Whether two cameras have one field of view, so that resizing alone turns one picture into the other."""
    scaled = a.rescale(b.width, b.height)
    focal = max(scaled.fx / b.fx, b.fx / scaled.fx, scaled.fy / b.fy, b.fy / scaled.fy)
    return a.model == b.model and a.distortion == b.distortion and focal < _SAME_FOCAL


def _picture(
    image: Float[Tensor, "h w 3"], cover: Bool[Tensor, "h w"], side: int
) -> tuple[Float[Tensor, "c 3"], Bool[Tensor, "c"]]:
    scale = min(1.0, side / max(image.shape[:2]))
    height, width = (max(1, round(x * scale)) for x in image.shape[:2])
    share = resize_area(cover.float(), width, height)
    colour = resize_area(image * cover[..., None], width, height) / share.clamp_min(1e-6)[..., None]
    return colour.flatten(0, 1), (share > 0.5).flatten()


def _centred(pictures: Float[Tensor, "n c 3"], seen: Bool[Tensor, "c"]) -> Float[Tensor, "n d"]:
    """The seen cells, each channel less its mean, as unit vectors; zero without contrast."""
    cells = pictures[:, seen]
    if cells.shape[1] == 0:
        return torch.zeros(len(pictures), 1)
    flat = (cells - cells.mean(1, keepdim=True)).flatten(1)
    length = flat.norm(dim=-1, keepdim=True)
    return torch.where(length > 1e-3 * flat.shape[1] ** 0.5, flat / length.clamp_min(1e-12), torch.zeros_like(flat))


def _gradients(
    image: Float[Tensor, "h w 3"], cover: Bool[Tensor, "h w"], settings: RetrievalSettings
) -> Float[Tensor, "p b"]:
    """Histograms of gradient direction by part, square-rooted; zero for parts that are mostly not covered."""
    grey, k, bins = image.mean(-1), settings.parts, settings.bins
    height, width = grey.shape
    if height < 3 or width < 3:
        return torch.zeros(k * k, bins)
    dx = grey[1:-1, 2:] - grey[1:-1, :-2]
    dy = grey[2:, 1:-1] - grey[:-2, 1:-1]
    turn = (torch.atan2(dy, dx) / (2 * torch.pi) % 1) * bins
    low = turn.floor()
    y = (torch.arange(1, height - 1) * k // height)[:, None]
    x = (torch.arange(1, width - 1) * k // width)[None]
    part = (y * k + x).expand(dx.shape)
    size = torch.hypot(dx, dy) * cover[1:-1, 1:-1]
    table = torch.zeros(k * k * bins)
    for step, share in ((0, 1 - (turn - low)), (1, turn - low)):
        index = part * bins + (low.long() + step) % bins
        table.index_add_(0, index.flatten(), (size * share).flatten())
    roots = table.view(k * k, bins).sqrt()
    covered = torch.zeros(k * k).index_add_(0, part.flatten(), cover[1:-1, 1:-1].float().flatten())
    total = torch.bincount(part.flatten(), minlength=k * k)
    # The small constant keeps parts without contrast from becoming pure noise of unit length.
    roots = roots / (roots.norm(dim=-1, keepdim=True) + 0.02)
    return torch.where((covered > 0.5 * total)[:, None], roots, torch.zeros_like(roots))
