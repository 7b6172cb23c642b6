"""Photos of any size, and files that claim any size in their headers."""

import struct
import zlib
from unittest import mock

import pytest
from effort import tries
from hypothesis import assume, example, given
from hypothesis import strategies as st
from photo_files import decode, encode, noise
from PIL import Image

from portrait18.dataset import photos


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small file with any size in its header."""
    data = bytearray(encode(noise(0, "RGB" if kind != "GIF" else "L", 32, 32), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def tiled_tiff(side: int, tile: tuple[int, int]) -> bytes:
    """A small TIFF cut into tiles of any size, which are decoded complete."""
    tags = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 8),
        (262, 1),
        (277, 1),
        (322, tile[0]),
        (323, tile[1]),
    ]
    tags += [(324, 8 + 2 + 12 * 10 + 4), (325, 8)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 0) + bytes(8)


SIDES = st.integers(1, 65535)


@tries(150)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF"]), SIDES, SIDES)
@example("PNG", 65535, 65535)
@example("TIFF", 60000, 60000)
def test_a_size_above_the_limit_is_rejected_by_the_header(kind, width, height):
    assume(width * height > 10**6)
    data = tiled_tiff(64, (width, height)) if kind == "TIFF" else claiming(kind, width, height)
    with (
        mock.patch.object(Image.Image, "load", side_effect=AssertionError("decoded")) as load,
        mock.patch("PIL.ImageFile.ImageFile.load", load),
        pytest.raises(photos.PhotoError, match="at most 1000000"),
    ):
        photos.decode(data, max_pixels=10**6)
    assert not load.called


@tries(60)
@given(
    st.integers(1, 60),
    st.sampled_from([1, 19, 20, 21, 3000]),
    st.booleans(),
    st.sampled_from(["PNG", "JPEG"]),
)
def test_only_sides_below_the_minimum_are_rejected(one, other, portrait, kind):
    width, height = (other, one) if portrait else (one, other)
    pixels = decode(encode(noise(0, "RGB", width, height), kind))
    assert (pixels is None) == (min(width, height) < 20)
    assert pixels is None or pixels.shape == (height, width, 3)
