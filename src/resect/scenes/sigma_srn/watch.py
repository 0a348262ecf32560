"""What is looked at while a category network learns: held-out views, and pictures of how it learns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.data.instances import InstanceSet
from resect.errors import ResectError
from resect.metrics.image import psnr, ssim
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned
from resect.scenes.sigma_srn.scene import SigmaSrn
from resect.scenes.sigma_srn.settings import SigmaSrnSettings

_MOST_VIEWS, _SHOWN = 64, 4


def judge_of(
    held_out: InstanceSet, learned: Learned, settings: SigmaSrnSettings
) -> Callable[[nn.Module], Mapping[str, float]]:
    """PSNR and SSIM on at most 64 views of learned instances that are not learned from, spread over all.

    Raises:
        ResectError: an instance that is not learned; the order of folders does not matter.
    """
    if missing := [name for name in held_out.names if name not in learned.instances]:
        got = f"{len(missing)} others, such as {missing[0]}"
        fix = "Give other views of the same instances, such as the val of 'resect data instances'."
        raise ResectError(held_out.photos.root, "views of the instances that are learned", got, fix)
    rows = (
        [k * len(held_out.photos) // _MOST_VIEWS for k in range(_MOST_VIEWS)]
        if len(held_out.photos) > _MOST_VIEWS
        else range(len(held_out.photos))
    )

    def judge(network: nn.Module) -> Mapping[str, float]:
        scene = SigmaSrn(_inner(network), settings, learned)
        found = torch.tensor([quality(scene, held_out, k) for k in rows])
        value, likeness = found.mean(0).tolist()
        return {"val_psnr": value, "val_ssim": likeness}

    return judge


@torch.no_grad()
def quality(
    scene: SigmaSrn, data: InstanceSet, row: int, code: Float[Tensor, "d"] | None = None
) -> tuple[float, float]:
    """PSNR and SSIM of one view, by the code of its instance's name where none is given."""
    shown, seen = picture(scene, data, row, code)
    return psnr(shown, seen), ssim(shown, seen)


@torch.no_grad()
def picture(
    scene: SigmaSrn, data: InstanceSet, row: int, code: Float[Tensor, "d"] | None = None
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 3"]]:
    """What is shown and what was seen, in the view's own size or the greatest that was learned."""
    camera = data.photos.cameras[row].fit_within(max(scene.settings.sides))
    known = scene.of(data.names[int(data.instance[row])] if code is None else code)
    shown = known.render(camera, data.photos.truth.cam_from_world[row : row + 1].float()).rgb
    seen = scene.observe(data.photos[row], camera).rgb
    assert shown is not None
    assert seen is not None
    return (x[0].cpu().reshape(camera.height, camera.width, 3) for x in (shown, seen))  # type: ignore[return-value]


def side_by_side(shown: Float[Tensor, "h w 3"], seen: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w3 3"]:
    """Seen, shown and four times the squared difference."""
    error = (4 * (shown - seen).square().mean(-1, keepdim=True)).clamp(0, 1).expand_as(seen)
    return torch.cat([seen, shown, error], 1)


def pictures_of(
    data: InstanceSet, learned: Learned, settings: SigmaSrnSettings, folder: Path
) -> Callable[[int, nn.Module], None]:
    """Writes a strip of seen, shown, squared error for a few views to TensorBoard, where it is installed."""
    rows = [k * len(data.photos) // _SHOWN for k in range(min(_SHOWN, len(data.photos)))]

    def peek(step: int, network: nn.Module) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        scene = SigmaSrn(_inner(network), settings, learned)
        strips = []
        for k in rows:
            strips.append(side_by_side(*picture(scene, data, k)))
        writer: Any = SummaryWriter(str(folder))
        writer.add_image("views: seen, shown, squared error", torch.cat(strips), step, dataformats="HWC")
        writer.close()

    return peek


def _inner(network: nn.Module) -> SigmaSrnNetwork:
    found = network.network
    assert isinstance(found, SigmaSrnNetwork)
    return found
