"""Read the tensors of an ONNX file as data, without the package onnx and without a graph.

An ONNX file is one protobuf message: `ModelProto.graph.initializer` has the tensors
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3, field numbers below).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from portrait18.core.errors import UserError

_GRAPH, _INITIALIZER = 7, 5  # of ModelProto and GraphProto
_DIMS, _DATA_TYPE, _FLOATS, _NAME, _RAW = 1, 2, 4, 8, 9  # of TensorProto
#: TensorProto.DataType -> dtype of `raw_data`.
_DTYPES = {1: "<f4", 3: "<i1", 7: "<i8"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_onnx(path: str | Path) -> dict[str, np.ndarray]:
    """Return the initializers of an ONNX file by name: float32, int8 and int64 tensors.

    Raises:
        UserError: a damaged file, or a tensor of another type.
    """
    data = memoryview(Path(path).read_bytes())
    try:
        return dict(
            _tensor(_bytes(message))
            for field, graph in _fields(data)
            if field == _GRAPH
            for number, message in _fields(_bytes(graph))
            if number == _INITIALIZER
        )
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no ONNX file that can be read ({error}); install its package again"
        ) from None


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
        if at + length > len(data):
            raise ValueError("a field is longer than the file")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a little-endian base-128 integer and the position after it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("an integer has more than 64 bits")


def _tensor(message: memoryview) -> tuple[str, np.ndarray]:
    """Return the name and the values of a TensorProto, which has them as bytes."""
    fields = dict(_fields(message))
    shape = [n for field, value in _fields(message) if field == _DIMS for n in _integers(value)]
    name, values = _bytes(fields[_NAME]), _bytes(fields.get(_RAW, fields.get(_FLOATS, 0)))
    dtype = _DTYPES[cast(int, fields[_DATA_TYPE])]
    return bytes(name).decode(), np.frombuffer(values, dtype).reshape(shape)


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where bytes must be")
    return value


def _integers(value: int | memoryview) -> list[int]:
    """Return the integers of a repeated field, packed or not."""
    if isinstance(value, int):
        return [value]
    integers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        integers.append(number)
    return integers
