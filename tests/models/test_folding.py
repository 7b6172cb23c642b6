"""Batch norms taken into the convolutions before them."""

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from portrait18.models import folding
from portrait18.models.folding import TOLERANCE, folded


def _seasoned(network: nn.Module) -> nn.Module:
    """With batch norms that do something, as after a training."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"])
@torch.inference_mode()
def test_every_norm_is_folded_and_other_photos_are_answered_alike(name):
    network = _seasoned(timm.create_model(name, num_classes=5))
    result, photos = folded(network, 48), 255 * torch.rand(4, 3, 64, 64)
    assert _norms(network)
    assert not _norms(result)
    wanted = network(photos)
    assert wanted.std() > 0
    assert (result(photos) - wanted).abs().max() <= 10 * TOLERANCE * wanted.abs().max()


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_borders_of_unlike_widths_are_not_written_and_answers_are_the_same(kernel, stride):
    network = _seasoned(
        nn.Sequential(
            nn.Conv2d(3, 6, 1), Conv2dSame(6, 6, kernel, stride, groups=6), nn.BatchNorm2d(6)
        )
    )
    result = folded(network, 8)
    assert isinstance(result[1], folding._Bordered)
    for size in range(1, 14):
        photos, written = torch.rand(2, 3, size, size), []
        wanted = network(photos)
        with _Recorded(written):
            answers = result(photos)
        torch.testing.assert_close(answers, wanted, atol=1e-5, rtol=1e-4)
        assert torch.ops.aten.constant_pad_nd.default not in written
        assert torch.ops.aten.convolution.default in written


class _Recorded(TorchDispatchMode):
    def __init__(self, calls: list):
        super().__init__()
        self.calls = calls

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls.append(function)
        return function(*args, **(kwargs or {}))


def test_a_network_without_batch_norm_is_left_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    assert folded(network, 8) is network


class _Twice(nn.Module):
    """A convolution whose output is used beside its norm too, where folding would change it."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        seen = self.convolution(photos)
        return self.norm(seen) + seen


class _Shared(nn.Module):
    """A convolution that two norms take turns behind."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norms = (
            nn.Conv2d(3, 3, 1),
            nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)]),
        )

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.norms[1](self.convolution(self.norms[0](self.convolution(photos))))


@pytest.mark.parametrize("make", [_Twice, _Shared])
def test_where_folding_would_change_answers_nothing_is_folded(make):
    network = _seasoned(make())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert folded(network, 8) is network
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
