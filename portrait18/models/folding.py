"""Fold batch norms and asymmetric padding into convolutions to speed up inference on CPUs.

In evaluation mode a batch norm is an affine map of each channel, which the convolution before it
can absorb (Jacob et al. 2018, section 3.2). Outputs change by rounding errors only. On two CPU
cores a network of depthwise convolutions takes a quarter less time, and one with TensorFlow's
padding another sixth less.
"""

import copy
from typing import cast

import torch
from torch import nn
from torch.nn.functional import conv2d, pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Largest allowed difference of the outputs, relative to the largest absolute output.
TOLERANCE = 1e-4


@torch.no_grad()  # not inference_mode, whose weights heat maps could not backpropagate through
def fold_batchnorm(network: nn.Module, size: int) -> nn.Module:
    """Return an equivalent network for inference with folded batch norms and padding.

    Two noise images are passed through the network to find which convolution feeds which batch
    norm. The input network is returned if there is nothing to fold, or if the folded network's
    outputs differ by more than `TOLERANCE` (e.g. a convolution's output that is used twice).

    Args:
        network: on the CPU, for float input (N, 3, size, size), 0 to 255. It is put into
            evaluation mode and not changed otherwise.
        size: input size in pixels.
    """
    photos = 255 * torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    result = copy.deepcopy(network.eval())
    if not (pairs := _conv_norm_pairs(result, photos)):
        return network
    names = {module: name for name, module in result.named_modules()}
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = fused.weight, fused.bias
        rest: nn.Module = nn.Identity()
        if _is_timm(norm, "BatchNormAct2d"):
            rest = nn.Sequential(cast(nn.Module, norm.drop), cast(nn.Module, norm.act))
        result.set_submodule(names[norm], rest)
    for module in names:
        if _is_timm(module, "Conv2dSame") and _is_depthwise(cast(nn.Conv2d, module)):
            result.set_submodule(names[module], _UnpaddedConv2dSame(cast(nn.Conv2d, module)))
    expected = network(photos)
    same = (result(photos) - expected).abs().max() <= TOLERANCE * expected.abs().max()
    return result if same else network


def _conv_norm_pairs(
    network: nn.Module, photos: torch.Tensor
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each convolution with the batch norm it feeds, if each of the two runs only once."""
    # The output tensors are kept alive, so that no other tensor can get the same id.
    producers: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def record_output(convolution: nn.Conv2d, _, output: torch.Tensor) -> None:
        producers[id(output)] = (convolution, output)

    def record_pair(norm: nn.BatchNorm2d, inputs: tuple) -> None:
        if id(inputs[0]) in producers:
            pairs.append((producers[id(inputs[0])][0], norm))

    convolutions = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    hooks = [m.register_forward_hook(record_output) for m in convolutions]
    norms = (
        cast(nn.BatchNorm2d, m)
        for m in network.modules()
        if type(m) is nn.BatchNorm2d or _is_timm(m, "BatchNormAct2d")
    )
    hooks += [norm.register_forward_pre_hook(record_pair) for norm in norms]
    network(photos)
    for hook in hooks:
        hook.remove()
    modules = [module for pair in pairs for module in pair]
    return [pair for pair in pairs if all(modules.count(module) == 1 for module in pair)]


def _is_timm(module: nn.Module, name: str) -> bool:
    """Return whether a module is of one of timm's layers, without importing timm."""
    kind = type(module)
    return kind.__name__ == name and kind.__module__.startswith("timm.layers.")


def _is_depthwise(convolution: nn.Conv2d) -> bool:
    return convolution.groups == convolution.in_channels > 1 and convolution.dilation == (1, 1)


class _UnpaddedConv2dSame(nn.Module):
    """A depthwise `Conv2dSame` for square inputs that avoids copying its input into a padded one.

    At stride 2, TensorFlow's padding is often a pixel wider at the right and bottom, which
    PyTorch's convolutions do not support. timm copies the input into a larger tensor, which takes
    longer than the convolution. A kernel with a row and a column of zeros in front gives the same
    result with equal padding on all sides. CPUs only: GPUs have special code for kernels of size
    3 and 5, but not for larger ones.
    """

    zero_padded_weight: torch.Tensor

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.convolution = convolution
        self.register_buffer(
            "zero_padded_weight", pad(convolution.weight, (1, 0, 1, 0)), persistent=False
        )

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        conv = self.convolution
        if photos.device.type != "cpu":
            return conv(photos)
        side, stride = photos.shape[-1], conv.stride[-1]
        # Left and right padding together, as in TensorFlow.
        padding = max(0, (-(-side // stride) - 1) * stride + conv.kernel_size[-1] - side)
        kernel = self.zero_padded_weight if padding % 2 else conv.weight
        return conv2d(photos, kernel, conv.bias, conv.stride, (padding + 1) // 2, 1, conv.groups)
