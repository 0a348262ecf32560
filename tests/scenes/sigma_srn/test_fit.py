"""Learning three coloured boxes from their views."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.interrupted import interrupt_at

from resect import zoo
from resect.data.image import png_bytes
from resect.data.instances import InstanceSet, read_instances, write_instance
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.solids import box
from resect.metrics.image import psnr
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.sigma_srn.fit import Views, fit
from resect.scenes.sigma_srn.scene import SigmaSrn
from resect.scenes.sigma_srn.settings import SigmaSrnSettings
from resect.scenes.sigma_srn.watch import quality

CAMERA = Camera.from_fov(0.8, 16, 16)
SETTINGS = SigmaSrnSettings(
    code=8, width=32, state=8, marches=4, sides=(8, 16), shares=(0.4, 0.6), pixels=128, views=0, batch=4, steps=150,
    rate=3e-3, tensorboard=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> InstanceSet:
    root = tmp_path_factory.mktemp("boxes")
    angle = torch.arange(8) * torch.pi / 4
    poses = look_at(torch.stack([2 * angle.cos(), 2 * angle.sin(), 0.8 * torch.ones(8)], -1), torch.zeros(8, 3))
    for k, (size, colour) in enumerate((((0.6, 0.6, 0.9), 0), ((1.1, 0.4, 0.4), 1), ((0.5, 1.0, 0.3), 2))):
        mesh = box(size)
        paint = torch.full((len(mesh.vertices), 3), 0.2)
        paint[:, colour] = 0.9
        scene = MeshScene(replace(mesh, colors=paint), background=(1.0, 1.0, 1.0))
        rgb = scene.render(CAMERA, poses).rgb
        assert rgb is not None
        images = [png_bytes((255 * x.reshape(16, 16, 3)).round().byte()) for x in rgb]
        write_instance(root / f"box-{k}", images, CAMERA, poses)
    return read_instances(root)


def mean_psnr(made: SigmaSrn, data: InstanceSet) -> float:
    values = []
    for k in range(0, len(data.photos), 5):
        code = made.code_of(int(data.instance[k]))[None]
        pose = data.photos.truth.cam_from_world[k : k + 1].float()
        shown = made.render(CAMERA, pose, code=code).rgb
        seen = made.observe(data.photos[k], CAMERA).rgb
        assert shown is not None
        assert seen is not None
        values.append(psnr(shown, seen))
    return sum(values) / len(values)


def test_it_tells_three_boxes_apart(boxes: InstanceSet, tmp_path: Path) -> None:
    """With the colour of the last place alone, which learns fastest here."""
    plain = replace(SETTINGS, weighted=False, sides=(16,), shares=(1.0,), marches=6, steps=220)
    made = fit(boxes, plain, out=tmp_path)
    assert mean_psnr(made, boxes) > 13.5  # all boxes in one mean colour give 12.5
    found = zoo.load(tmp_path)
    assert isinstance(found, SigmaSrn)
    assert mean_psnr(found, boxes) == mean_psnr(made, boxes)
    assert bool((made.bounds[0] < 0).all())


def test_interrupted_and_resumed_it_is_the_same(
    boxes: InstanceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(SETTINGS, steps=8)
    whole = fit(boxes, few)
    with monkeypatch.context() as patched:
        interrupt_at(5, Views, patched)
        with pytest.raises(KeyboardInterrupt):
            fit(boxes, few, out=tmp_path)
    again = fit(boxes, few, out=tmp_path, resume=True)
    for one, other in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_one_instance_needs_no_code_and_several_do(boxes: InstanceSet) -> None:
    with pytest.raises(ResectError, match="several instances"):
        fit(boxes, replace(SETTINGS, code=0))
    alone = read_instances(boxes.photos.root, instances=("box-1",))
    made = fit(alone, replace(SETTINGS, code=0, steps=2))
    assert made.code_dim == 0
    assert made.render(CAMERA, alone.photos.truth.cam_from_world[:1].float()).rgb is not None


def test_images_that_fill_the_memory_are_refused(boxes: InstanceSet) -> None:
    with pytest.raises(ResectError, match="memory_gb"):
        fit(boxes, replace(SETTINGS, memory_gb=1e-9))


def test_codes_of_new_instances_are_learned_with_the_networks_held(boxes: InstanceSet, tmp_path: Path) -> None:
    two = read_instances(boxes.photos.root, instances=("box-0", "box-1"))
    other = read_instances(boxes.photos.root, instances=("box-2",), views=1)
    made = fit(two, replace(SETTINGS, steps=20, weighted=False))
    new = fit(other, replace(SETTINGS, steps=15, width=4), out=tmp_path, frozen=made)
    assert new.instances == ("box-2",)
    assert new.settings.width == made.settings.width
    assert torch.equal(new.network.hyper[1].net[2].weight, made.network.hyper[1].net[2].weight)
    assert not torch.equal(new.codes[0], made.codes.mean(0))
    assert quality(new, other, 0)[0] >= quality(made, other, 0, made.codes.mean(0))[0]


def test_held_out_views_are_judged_by_name_and_others_refused(boxes: InstanceSet, tmp_path: Path) -> None:
    few = replace(SETTINGS, steps=4, validate_every=2)
    fit(boxes, few, out=tmp_path, held_out=read_instances(boxes.photos.root, views=2))
    lines = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert any("val_psnr" in line and "val_ssim" in line for line in lines)
    one = read_instances(boxes.photos.root, instances=("box-1",))
    with pytest.raises(ResectError, match="box-0"):
        fit(one, few, held_out=boxes)
