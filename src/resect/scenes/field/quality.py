"""How well a field shows photos that it was not trained on. For logs and benchmarks; nothing is chosen by it."""

import math

import torch

from resect.metrics.image import psnr, ssim
from resect.scenes.field.scene import Field
from resect.types import PhotoSet


@torch.no_grad()
def held_out_quality(field: Field, photos: PhotoSet, max_side: int) -> tuple[float, float]:
    """Mean PSNR (dB) and mean SSIM over photos, at the size a field is trained at."""
    values = []
    for i in range(len(photos)):
        camera = photos.cameras[i].fit_within(max_side)
        shown = field.render(camera, photos.truth.cam_from_world[i : i + 1]).rgb
        seen = field.observe(photos[i], camera).rgb
        assert shown is not None
        assert seen is not None
        a, b = (x.reshape(camera.height, camera.width, 3).clamp(0, 1) for x in (shown, seen))
        values.append((psnr(a, b), ssim(a, b) if min(a.shape[:2]) >= 11 else math.nan))
    return sum(v[0] for v in values) / len(values), sum(v[1] for v in values) / len(values)
