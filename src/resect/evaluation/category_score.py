"""Novel views of a category: PSNR and SSIM of pictures, IoU of what is not white; a row a view, a mean an instance."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.instances import InstanceSet
from resect.errors import ResectError
from resect.metrics.image import psnr, ssim
from resect.scenes.sigma_srn.scene import SigmaSrn
from resect.scenes.sigma_srn.watch import picture

_WHITE = 0.95  # darker is of the object


@dataclass(frozen=True)
class ViewScore:
    """One view.

    Attributes:
        photo: its name.
        instance: of what.
        psnr: decibels.
        ssim: structural similarity.
        iou: of what is not white in the photo and in the render; of the background where nothing is in either: 1.
    """

    photo: str
    instance: str
    psnr: float
    ssim: float
    iou: float


@dataclass(frozen=True)
class CategoryScore:
    """All of them."""

    views: tuple[ViewScore, ...]

    def means(self, instance: str | None = None) -> tuple[float, float, float]:
        """PSNR, SSIM and IoU over the views, or over those of one instance."""
        rows = [v for v in self.views if instance in (None, v.instance)]
        columns = zip(*((v.psnr, v.ssim, v.iou) for v in rows), strict=True)
        a, b, c = (sum(column) / len(rows) for column in columns)
        return a, b, c

    @property
    def instances(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(v.instance for v in self.views))

    def as_json(self) -> dict[str, Any]:
        """The means."""
        value, likeness, iou = self.means()
        return {"views": len(self.views), "instances": len(self.instances), "psnr": value, "ssim": likeness, "iou": iou}

    def text(self, most: int = 20) -> str:
        """A table; the worst instances where there are many."""
        order = sorted(self.instances, key=lambda name: self.means(name)[0])
        lines = [f"{'instance':<24}{'PSNR':>8}{'SSIM':>8}{'IoU':>8}"]
        rows = [(name, self.means(name)) for name in order[:most]] + [(f"all {len(order)}", self.means())]
        lines += [f"{name[:23]:<24}{a:8.2f}{b:8.3f}{c:8.3f}" for name, (a, b, c) in rows]
        note = [f"(the {most} worst instances of {len(order)})"] if len(order) > most else []
        return "\n".join([*lines, *note])

    def write_csv(self, path: Path) -> None:
        """A row a view."""
        rows = [f"{v.photo},{v.instance},{v.psnr:.4f},{v.ssim:.5f},{v.iou:.5f}" for v in self.views]
        write_atomic(path, "\n".join(["photo,instance,psnr,ssim,iou", *rows, ""]).encode())


def score_category(
    scene: SigmaSrn,
    data: InstanceSet,
    show: Callable[[str, Float[Tensor, "h w 3"], Float[Tensor, "h w 3"]], None] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> CategoryScore:
    """Renders every view by the code of its instance's name.

    Args:
        scene: the category.
        data: views; all of instances that it has learned.
        show: called with the name of a view, what is shown and what was seen.
        progress: called with (done, total, name).
    """
    if missing := [name for name in data.names if name not in scene.instances]:
        fix = "Codes of new instances are learned by 'resect fit sigma-srn … --frozen'."
        raise ResectError(data.photos.root, "views of learned instances", f"others, such as {missing[0]}", fix)
    rows = []
    for k, name in enumerate(data.photos.names):
        shown, seen = picture(scene, data, k)
        instance = data.names[int(data.instance[k])]
        rows.append(ViewScore(name, instance, psnr(shown, seen), ssim(shown, seen), foreground_iou(shown, seen)))
        if show is not None:
            show(name, shown, seen)
        if progress is not None:
            progress(k + 1, len(data.photos), name)
    return CategoryScore(tuple(rows))


def foreground_iou(shown: Float[Tensor, "h w 3"], seen: Float[Tensor, "h w 3"]) -> float:
    """Of the pixels that are not white; 1 where neither has any."""
    a, b = (x.amin(-1) < _WHITE for x in (shown, seen))
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0
