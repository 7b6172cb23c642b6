"""Batch norms folded into the convolutions before them."""

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from portrait18.models.folding import TOLERANCE, fold_batchnorm


def _randomize_norms(network: nn.Module) -> nn.Module:
    """Give the batch norms arbitrary weights and statistics, as after a training."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


def _count_norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"])
@torch.inference_mode()
def test_every_norm_is_folded_and_outputs_stay_the_same(name):
    network = _randomize_norms(timm.create_model(name, num_classes=5))
    result, photos = fold_batchnorm(network, 48), 255 * torch.rand(4, 3, 64, 64)
    assert _count_norms(network)
    assert not _count_norms(result)
    expected = network(photos)
    assert expected.std() > 0
    error = (result(photos) - expected).abs().max()
    assert error <= 10 * TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_asymmetric_padding_is_not_copied_and_outputs_stay_the_same(kernel, stride):
    network = _randomize_norms(
        nn.Sequential(
            nn.Conv2d(3, 6, 1), Conv2dSame(6, 6, kernel, stride, groups=6), nn.BatchNorm2d(6)
        )
    )
    result = fold_batchnorm(network, 8)
    assert type(result[1]) is not Conv2dSame
    for size in range(1, 14):
        photos, calls = torch.rand(2, 3, size, size), []
        expected = network(photos)
        with _Recorder(calls):
            outputs = result(photos)
        torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-4)
        assert torch.ops.aten.constant_pad_nd.default not in calls
        assert torch.ops.aten.convolution.default in calls


class _Recorder(TorchDispatchMode):
    def __init__(self, calls: list):
        super().__init__()
        self.calls = calls

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls.append(function)
        return function(*args, **(kwargs or {}))


def test_a_network_without_batch_norm_is_returned_as_it_is():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    assert fold_batchnorm(network, 8) is network


class _Twice(nn.Module):
    """A convolution whose output is also used without its norm, so that folding would change it."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        seen = self.convolution(photos)
        return self.norm(seen) + seen


class _Shared(nn.Module):
    """A convolution that feeds two norms."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norms = (
            nn.Conv2d(3, 3, 1),
            nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)]),
        )

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.norms[1](self.convolution(self.norms[0](self.convolution(photos))))


@pytest.mark.parametrize("make", [_Twice, _Shared])
def test_nothing_is_folded_where_it_would_change_outputs(make):
    network = _randomize_norms(make())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert fold_batchnorm(network, 8) is network
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
