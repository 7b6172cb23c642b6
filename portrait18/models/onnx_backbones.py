"""Frozen face networks as ONNX models, built from the packages' weights without PyTorch.

The layers are those of `portrait18.models.sface` and `portrait18.models.dlib_resnet`. Features
differ by rounding errors, mostly less than half a unit of their float16.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from portrait18.core.feature_params import View
from portrait18.core.onnx_runtime import OnnxNetwork
from portrait18.dataset.alignment import ARCFACE, DLIB_CHIP, Square, within_crop
from portrait18.models import dlib_weights, sface_weights, views
from portrait18.models.interpolation import interpolation_matrix
from portrait18.models.onnx_graph import FLOAT, Graph

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Backbone:
    """A frozen network.

    Attributes:
        digest: SHA-256 of its tensors in PyTorch, as `extraction.tensor_digest` gives it.
        width: number of features.
        region: what it sees of a face, in pixels of the template.
        size: pixels of its input.
        mean: subtracted from the input, 0 to 255, one number for each channel or for all.
        std: divides the result.
        build: graph and name of the prepared photos -> name of the features.
    """

    digest: str
    width: int
    region: Square
    size: int
    mean: float | tuple[float, ...]
    std: float
    build: Callable[[Graph, str], str]


class OnnxExtractor:
    """A frozen backbone; it is called to compute features, as `extraction.Extractor`.

    Args:
        name: one of `BACKBONES`.
        image_size: side of its input in pixels.
        margin: `crop.margin` of the crops that it gets.

    Raises:
        UserError: the package with its weights is missing or differs.
    """

    def __init__(self, name: str, image_size: int, margin: float):
        self.image_size = image_size
        self.network = OnnxNetwork(build(name, image_size, margin), name)

    def __call__(self, crops: np.ndarray, shown: Sequence[View]) -> np.ndarray:
        """Return the features of crops, float16 (N, V, F).

        Args:
            crops: uint8 (N, S, S, 3), RGB.
            shown: views to compute.
        """
        photos = (views.apply(crops, view, self.image_size) for view in shown)
        features = [next(iter(self.network(batch).values())) for batch in photos]
        return np.stack(features, 1).astype(np.float16)


def build(name: str, image_size: int, margin: float) -> bytes:
    """Return an ONNX model from crops, uint8 (N, S, S, 3), RGB, to features, float32 (N, F).

    Args:
        name: one of `BACKBONES`.
        image_size: S.
        margin: `crop.margin`.
    """
    backbone = BACKBONES[name]
    graph = Graph("crops", (image_size, image_size, 3), np.uint8)
    photos = graph.node("Cast", graph.input, to=FLOAT)
    photos = graph.node("Transpose", photos, perm=[0, 3, 1, 2])
    region = within_crop(backbone.region, margin)
    columns, rows = (
        interpolation_matrix(start, region.side, image_size, backbone.size)
        for start in (region.x0, region.y0)
    )
    photos = graph.node("MatMul", rows, graph.node("MatMul", photos, columns.T))
    mean = np.broadcast_to(np.array(backbone.mean, np.float32), 3).reshape(3, 1, 1)
    photos = graph.node("Div", graph.node("Sub", photos, mean), np.array(backbone.std, np.float32))
    return graph.serialize(backbone.build(graph, photos), backbone.width)


def _norm(graph: Graph, inputs: str, state: State, name: str, eps: float) -> str:
    parts = ("weight", "bias", "running_mean", "running_var")
    values = (state[f"{name}.{part}"] for part in parts)
    return graph.node("BatchNormalization", inputs, *values, epsilon=eps)


def _quarters(graph: Graph, features: str, side: int, parts: int) -> str:
    """Average a map with this side over parts x parts regions, flattened."""
    kernel = [side // parts] * 2
    means = graph.node("AveragePool", features, kernel_shape=kernel, strides=kernel)
    return graph.node("Flatten", means)


def _sface_map(graph: Graph, photos: str, state: State, blocks: int) -> str:
    """Return the map after this many pairs of a depthwise and a pointwise convolution."""

    def layer(inputs: str, name: str, stride: int = 1, groups: int = 1) -> str:
        kernel = state[f"{name}.0.weight"]
        pads, strides = [kernel.shape[-1] // 2] * 4, [stride] * 2
        output = graph.node("Conv", inputs, kernel, pads=pads, strides=strides, group=groups)
        output = _norm(graph, output, state, f"{name}.1", sface_weights.EPS)
        return graph.node("PRelu", output, state[f"{name}.2.weight"][:, None, None])

    features = layer(photos, "stem")
    for index, (_, stride) in enumerate(sface_weights.LAYERS[:blocks]):
        channels = len(state[f"blocks.{index}.0.0.weight"])
        features = layer(features, f"blocks.{index}.0", stride, channels)
        features = layer(features, f"blocks.{index}.1")
    return features


def _sface(graph: Graph, photos: str) -> str:
    state = sface_weights.read_state(sface_weights.FILE.locate())
    features = _sface_map(graph, photos, state, len(sface_weights.LAYERS))
    features = _norm(graph, features, state, "norm", sface_weights.LAST_EPS)
    mean = graph.node("Flatten", graph.node("GlobalAveragePool", features))
    weight, bias = state["embedding.weight"], state["embedding.bias"]
    embedding = graph.node("Gemm", graph.node("Flatten", features), weight, bias, transB=1)
    embedding = _norm(graph, embedding, state, "embedding_norm", sface_weights.LAST_EPS)
    return graph.node("Concat", mean, embedding, axis=1)


def _sface_middle(graph: Graph, photos: str) -> str:
    state = sface_weights.read_state(sface_weights.FILE.locate())
    features = _sface_map(graph, photos, state, sface_weights.MIDDLE)
    return _quarters(graph, features, sface_weights.SIZE // 8, sface_weights.PARTS)


def _dlib_map(graph: Graph, photos: str, state: State, blocks: int) -> tuple[str, int]:
    """Return the map after this many residual blocks, and its side."""

    def convolve(inputs: str, name: str, stride: int, pad: int) -> str:
        weights = state[f"{name}.weight"], state[f"{name}.bias"]
        return graph.node("Conv", inputs, *weights, pads=[pad] * 4, strides=[stride] * 2)

    def grow(inputs: str, shape: tuple[int, int], larger: tuple[int, int]) -> str:
        """Append zeros to a map of a shape (channels, side)."""
        channels, side = np.subtract(larger, shape)
        if not (channels or side):
            return inputs
        return graph.node("Pad", inputs, np.array([0, 0, 0, 0, 0, channels, side, side]))

    features = graph.node("Relu", convolve(photos, "stem", 2, 0))
    features = graph.node("MaxPool", features, kernel_shape=[3, 3], strides=[2, 2])
    side, channels = ((dlib_weights.SIZE - 7) // 2 + 1 - 3) // 2 + 1, 32
    for index, (outputs, down) in enumerate(dlib_weights.BLOCKS[:blocks]):
        name = f"blocks.{index}"
        convolved = convolve(features, f"{name}.conv1", 2 if down else 1, 0 if down else 1)
        convolved = convolve(graph.node("Relu", convolved), f"{name}.conv2", 1, 1)
        if down:
            pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
            features = graph.node("AveragePool", features, **pool)
            own, skipped = (outputs, (side - 3) // 2 + 1), (channels, side // 2)
            larger = (max(own[0], skipped[0]), max(own[1], skipped[1]))
            convolved, features = grow(convolved, own, larger), grow(features, skipped, larger)
            channels, side = larger
        features = graph.node("Relu", graph.node("Add", convolved, features))
    return features, side


def _dlib_resnet(graph: Graph, photos: str) -> str:
    state = dlib_weights.read_state(dlib_weights.FILE.locate())
    features, _ = _dlib_map(graph, photos, state, len(dlib_weights.BLOCKS))
    mean = graph.node("Flatten", graph.node("GlobalAveragePool", features))
    return graph.node("Gemm", mean, state["embedding.weight"], transB=1)


def _dlib_resnet_middle(graph: Graph, photos: str) -> str:
    state = dlib_weights.read_state(dlib_weights.FILE.locate())
    features, side = _dlib_map(graph, photos, state, dlib_weights.MIDDLE)
    return _quarters(graph, features, side, dlib_weights.PARTS)


#: Region, size, mean and standard deviation of the inputs.
_SFACE_INPUT = ARCFACE, sface_weights.SIZE, sface_weights.MEAN, sface_weights.STD
_DLIB_INPUT = DLIB_CHIP, dlib_weights.SIZE, dlib_weights.MEAN, dlib_weights.STD
#: Name -> backbone, for `weights: bundled`.
BACKBONES = {
    "sface": _Backbone(
        "15fa8feff65b94b29813e4b8cd3d5da79eef8621c37440d4cdc33cea6926154c",
        *(1024 + sface_weights.EMBEDDING, *_SFACE_INPUT, _sface),
    ),
    "sface_middle": _Backbone(
        "9d5f52701299089ebc67c068d92ea7cc70c4bcbdef87c7114ba899ce3e54346b",
        *(512 * sface_weights.PARTS**2, *_SFACE_INPUT, _sface_middle),
    ),
    "dlib_resnet": _Backbone(
        "e11539149492d51029799ea82a559862dabe9c4220f6f12c189044f041c70ff9",
        *(dlib_weights.EMBEDDING, *_DLIB_INPUT, _dlib_resnet),
    ),
    "dlib_resnet_middle": _Backbone(
        "b30aeac8a5ff9b4dacf72c766b8b251637e61defe6d18f1483557c57342fed99",
        *(128 * dlib_weights.PARTS**2, *_DLIB_INPUT, _dlib_resnet_middle),
    ),
}
