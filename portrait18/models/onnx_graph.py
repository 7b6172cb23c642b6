"""Build an ONNX model from nodes and NumPy arrays, without the package onnx.

An ONNX file is one protobuf message. Field numbers and types are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

import struct
from collections.abc import Iterable

import numpy as np

OPSET, _IR_VERSION = 17, 8
#: dtype -> TensorProto.DataType.
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int64): 7}
FLOAT = _TYPES[np.dtype(np.float32)]
_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE, _INTS_ATTRIBUTE = 1, 2, 7  # AttributeProto.AttributeType


class Graph:
    """A model with one input and one output; the first dimension of both is any number.

    Methods return the name of what they add.

    Args:
        name: of the input.
        shape: of the input, without its first dimension.
        dtype: of the input.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: type):
        self.input = name
        self._input = _value(name, _TYPES[np.dtype(dtype)], ["N", *shape])
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []

    def node(
        self, kind: str, *inputs: str | np.ndarray, **attributes: float | int | Iterable[int]
    ) -> str:
        """Add an operator, and each array among its inputs as a constant."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(
            b"".join(_text(1, name) for name in names)
            + _text(2, output)
            + _text(4, kind)
            + b"".join(_bytes(5, _attribute(*item)) for item in attributes.items())
        )
        return output

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self._tensors)}"
        self._tensors.append(
            b"".join(_integer(1, side) for side in values.shape)
            + _integer(2, _TYPES[values.dtype])
            + _text(8, name)
            + _bytes(9, np.ascontiguousarray(values).tobytes())
        )
        return name

    def serialize(self, output: str, width: int) -> bytes:
        """Return the content of an ONNX file.

        Args:
            output: name of the output, float32 (N, width).
            width: its second dimension.
        """
        graph = (
            b"".join(_bytes(1, node) for node in self._nodes)
            + _text(2, "graph")
            + b"".join(_bytes(5, tensor) for tensor in self._tensors)
            + _bytes(11, self._input)
            + _bytes(12, _value(output, FLOAT, ["N", width]))
        )
        opset = _text(1, "") + _integer(2, OPSET)
        return _integer(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, opset)


def _attribute(name: str, value: float | int | Iterable[int]) -> bytes:
    """Return an AttributeProto."""
    if isinstance(value, float):
        return _text(1, name) + b"\x15" + struct.pack("<f", value) + _integer(20, _FLOAT_ATTRIBUTE)
    if isinstance(value, int):
        return _text(1, name) + _integer(3, value) + _integer(20, _INT_ATTRIBUTE)
    integers = b"".join(_integer(8, each) for each in value)
    return _text(1, name) + integers + _integer(20, _INTS_ATTRIBUTE)


def _value(name: str, kind: int, shape: list[int | str]) -> bytes:
    """Return a ValueInfoProto; a text in the shape names a dimension of any size."""
    sides = [_text(2, side) if isinstance(side, str) else _integer(1, side) for side in shape]
    dimensions = b"".join(_bytes(1, side) for side in sides)
    tensor = _integer(1, kind) + _bytes(2, dimensions)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Return a natural number in base 128, lowest digits first."""
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
