"""Batch norm and uneven thresholds taken into convolutions: the same answers, up to rounding, for fewer passes over memory.

In evaluation a batch norm multiplies each channel by a number and adds another; so can the convolution before it
(Jacob et al. 2018, section 3.2). On two CPU cores a network of depthwise convolutions answers a quarter sooner, and
one whose thresholds are TensorFlow's another sixth.
"""

import copy

import torch
from timm.layers import BatchNormAct2d, Conv2dSame, get_same_padding
from torch import nn
from torch.nn.functional import conv2d, pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Largest difference that a folded network's outputs may have, as a share of the largest output.
TOLERANCE = 1e-4


@torch.no_grad()  # inference_mode would make weights that heat maps can't go back through
def folded(network: nn.Module, size: int) -> nn.Module:
    """A network for inference whose batch norms, and thresholds of unlike widths, are part of its convolutions.

    Which convolution feeds which batch norm is seen from two photos of noise that go through. Where the folded
    network answers them otherwise (a convolution's output used twice, or weights that are computed), or where there
    is nothing to fold, it is the network as it came.

    Args:
        network: on the CPU; takes float (N, 3, size, size), 0 to 255. It stays as it is but for its mode.
        size: pixels that it sees.
    """
    photos = 255 * torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    result = copy.deepcopy(network.eval())
    if not (pairs := _pairs(result, photos)):
        return network
    names = {module: name for name, module in result.named_modules()}
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = fused.weight, fused.bias
        left = (
            nn.Sequential(norm.drop, norm.act)
            if isinstance(norm, BatchNormAct2d)
            else nn.Identity()
        )
        result.set_submodule(names[norm], left)
    for convolution in [
        module for module in names if type(module) is Conv2dSame and _is_depthwise(module)
    ]:
        result.set_submodule(names[convolution], _Bordered(convolution))
    wanted = network(photos)
    same = (result(photos) - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
    return result if same else network


def _pairs(network: nn.Module, photos: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions, each with the batch norm that its output goes into; those that run once alone."""
    made: dict[
        int, tuple[nn.Conv2d, torch.Tensor]
    ] = {}  # the tensor is held, so that no other takes its id
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after(convolution: nn.Conv2d, _, output: torch.Tensor) -> None:
        made[id(output)] = (convolution, output)

    def before(norm: nn.BatchNorm2d, inputs: tuple) -> None:
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], norm))

    hooks = [m.register_forward_hook(after) for m in network.modules() if isinstance(m, nn.Conv2d)]
    norms = (m for m in network.modules() if type(m) in (nn.BatchNorm2d, BatchNormAct2d))
    hooks += [norm.register_forward_pre_hook(before) for norm in norms]
    network(photos)
    for hook in hooks:
        hook.remove()
    each = [module for pair in pairs for module in pair]
    return [pair for pair in pairs if all(each.count(module) == 1 for module in pair)]


def _is_depthwise(convolution: nn.Conv2d) -> bool:
    return convolution.groups == convolution.in_channels > 1 and convolution.dilation == (1, 1)


class _Bordered(nn.Module):
    """A depthwise convolution of square photos with TensorFlow's border of zeros, which it does not write.

    At stride 2 that border is often a pixel wider at the right and bottom, which PyTorch's convolutions can't do: the
    photo is copied into a larger one, for longer than the convolution itself takes. A kernel with a row and a column of
    zeros before it sees the same pixels within a border that is as wide on all sides. CPUs alone: on GPUs, kernels of 3
    and 5 have code of their own, the longer ones have not.
    """

    def __init__(self, convolution: Conv2dSame):
        super().__init__()
        self.convolution = convolution
        self.register_buffer("longer", pad(convolution.weight, (1, 0, 1, 0)), persistent=False)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        of = self.convolution
        if photos.device.type != "cpu":
            return of(photos)
        border = get_same_padding(
            photos.shape[-1], of.kernel_size[-1], of.stride[-1], 1
        )  # left and right together
        kernel = self.longer if border % 2 else of.weight
        return conv2d(photos, kernel, of.bias, of.stride, (border + 1) // 2, 1, of.groups)
