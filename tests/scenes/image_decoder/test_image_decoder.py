from pathlib import Path

import pytest
import torch
from tests.priors.captures import TRAIN, capture
from tests.scenes.pose_decoder.decoders import fitted

from resect import zoo
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.nn.picture import view_camera
from resect.scenes.image_decoder.fit import fit
from resect.scenes.image_decoder.scene import ImageDecoder
from resect.scenes.image_decoder.settings import ImageDecoderSettings, PublishedImageDecoderSettings

TINY = ImageDecoderSettings(size=8, widths=(16,), steps=30, batch=4, rate=1e-2, tensorboard=False)
POSES = capture().truth.cam_from_world.double()


def test_its_size_is_the_published_one() -> None:
    from resect.scenes.image_decoder.scene import make_network

    with torch.device("meta"):
        count = sum(p.numel() for p in make_network(PublishedImageDecoderSettings(), 512).parameters())
    assert count == pytest.approx(28e6, rel=0.02)


def test_it_shows_its_training_photos_better_than_their_mean_and_loads_again(tmp_path: Path) -> None:
    train = capture().subset(TRAIN)
    made = fit(train, TINY, parents=(fitted(),))
    camera = made.camera
    assert camera == view_camera(train.cameras[0], 8, 64 / 72)
    shown = made.render(camera, POSES[list(TRAIN)]).rgb
    assert shown is not None
    torch.testing.assert_close(
        shown.mT.unflatten(-1, (8, 8)).float(), made.images(POSES[list(TRAIN)]), atol=1e-4, rtol=0
    )
    made.save(tmp_path)
    again = zoo.load(tmp_path, role="scene")
    other = Camera.from_fov(0.5, 6, 4)
    torch.testing.assert_close(again.render(other, POSES[:2]).rgb, made.render(other, POSES[:2]).rgb, atol=1e-5, rtol=0)
    with pytest.raises(ResectError, match="pose decoder"):
        ImageDecoder.load(tmp_path).images(POSES)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ResectError, match="pose decoder"):
        fit(capture(), TINY)
    with pytest.raises(ResectError, match="widths"):
        ImageDecoderSettings(widths=(0,))
