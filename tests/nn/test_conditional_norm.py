import torch
from torch.nn import functional

from resect.nn.conditional_norm import ConditionalBatchNorm, OccupancyDecoder
from resect.nn.point_net import PointNet


def test_at_first_it_is_plain_batch_normalisation() -> None:
    x, code = torch.randn(4, 50, 6), torch.randn(4, 3)
    layer = ConditionalBatchNorm(3, 6)
    expected = functional.batch_norm(x.reshape(200, 6), None, None, training=True).view(4, 50, 6)
    assert torch.allclose(layer(x, code), expected, atol=1e-5)


def test_the_code_scales_and_shifts() -> None:
    x, code = torch.randn(2, 50, 6), torch.randn(2, 3)
    layer = ConditionalBatchNorm(3, 6).eval()
    torch.nn.init.normal_(layer.conv_gamma.weight)
    torch.nn.init.normal_(layer.conv_beta.weight)
    layer.bn.running_mean.normal_()  # type: ignore[union-attr]
    layer.bn.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    # The released arithmetic: features before points, convolutions of width 1.
    normal = layer.bn(x.mT)
    gamma, beta = layer.conv_gamma(code[..., None]), layer.conv_beta(code[..., None])
    assert torch.allclose(layer(x, code), (gamma * normal + beta).mT, atol=1e-5)


def test_the_decoder_is_the_published_one() -> None:
    decoder = OccupancyDecoder()
    state = decoder.state_dict()
    assert state["fc_p.weight"].shape == (256, 3, 1)
    assert state["block4.bn_1.conv_gamma.weight"].shape == (256, 256, 1)
    assert state["bn.bn.running_mean"].shape == (256,)
    assert state["fc_out.weight"].shape == (1, 256, 1)
    assert 2.0e6 < sum(p.numel() for p in decoder.parameters()) < 2.2e6
    assert not any(name.endswith("bn.weight") for name in state)  # no affine of its own


def test_points_do_not_know_of_each_other_once_trained() -> None:
    decoder = OccupancyDecoder(4, 8, 2, frequencies=3).eval()
    points, code = torch.rand(1, 20, 3), torch.randn(1, 4)
    whole = decoder(points, code)
    assert whole.shape == (1, 20)
    assert torch.allclose(decoder(points[:, 7:9], code), whole[:, 7:9], atol=1e-6)


def test_a_cloud_has_no_order() -> None:
    network = PointNet(5, 16)
    cloud = torch.randn(2, 40, 3)
    shuffled = cloud[:, torch.randperm(40)]
    assert torch.allclose(network(cloud), network(shuffled), atol=1e-6)
    assert {"fc_pos.weight", "block_4.shortcut.weight", "fc_c.bias"} <= set(network.state_dict())
    assert network.state_dict()["block_1.fc_0.weight"].shape == (16, 32)
