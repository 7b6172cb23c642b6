"""Intact pixels are read whatever is damaged around them; missing pixels are never accepted."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from portrait18.dataset import formats, photos


def noise(width: int = 48, height: int = 64) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    noise().save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int = 6) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


def chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(name + content)
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", right if checksum is None else checksum)
    )


def png_with(*extras: bytes) -> bytes:
    """A PNG with chunks after its header."""
    data = encoded()
    return data[:33] + b"".join(extras) + data[33:]


def segment(code: int, content: bytes, length: int | None = None) -> bytes:
    size = len(content) + 2 if length is None else length
    return bytes([0xFF, code]) + struct.pack(">H", size) + content


def jpeg_with(extra: bytes, **options) -> bytes:
    data = encoded("JPEG", **options)
    return data[:2] + extra + data[2:]


def webp_with(name: bytes, content: bytes, length: int | None = None) -> bytes:
    """A WebP in the extended format with a last chunk."""
    plain = encoded("WEBP", lossless=True)
    size = struct.pack("<I", 47)[:3] + struct.pack("<I", 63)[:3]
    flag = {b"EXIF": 0x08, b"ICCP": 0x20}[name]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([flag, 0, 0, 0]) + size + plain[12:]
    body += name + struct.pack("<I", len(content) if length is None else length) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


PNG, JPEG, WEBP = encoded(), encoded("JPEG"), encoded("WEBP", lossless=True)
BOMB = b"Comment\0\0" + zlib.compress(bytes(3_000_000))
DAMAGED = {
    "PNG, EXIF is no TIFF": (png_with(chunk(b"eXIf", b"\0\x08\0\x02\x01\x12" * 9)), PNG),
    "PNG, text of 3 MB": (png_with(chunk(b"zTXt", BOMB)), PNG),
    "PNG, many texts": (png_with(*[chunk(b"tEXt", b"a\0" + b"x" * 999_999)] * 3), PNG),
    "PNG, checksum of a text": (png_with(chunk(b"tEXt", b"a\0b", 7)), PNG),
    "PNG, checksum of gamma": (png_with(chunk(b"gAMA", b"\0\0\xb1\x8f", 7)), PNG),
    "PNG, short gamma": (png_with(chunk(b"gAMA", b"\0")), PNG),
    "PNG, short chromaticities": (png_with(chunk(b"cHRM", b"\0")), PNG),
    "PNG, short resolution": (png_with(chunk(b"pHYs", b"\0")), PNG),
    "PNG, color profile": (png_with(chunk(b"iCCP", b"a\0\0no zlib")), PNG),
    "PNG, empty color profile": (png_with(chunk(b"iCCP", b"")), PNG),
    "PNG, length of a text": (png_with(b"\x7f\xff\xff\xfftEXta\0b\0\0\0\0"), PNG),
    "PNG, no end chunk": (PNG[:-12], PNG),
    "PNG, no checksum of the pixels": (PNG[:-14], PNG),
    "JPEG, no end marker": (JPEG[:-2], JPEG),
    "JPEG, half an end marker": (JPEG[:-1], JPEG),
    "JPEG, zeros for the end marker": (JPEG[:-2] + bytes(4096), JPEG),
    "JPEG, EXIF is text": (jpeg_with(segment(0xE1, b"Exif\0\0nothing")), JPEG),
    "JPEG, EXIF is empty": (jpeg_with(segment(0xE1, b"Exif\0\0")), JPEG),
    "JPEG, EXIF cut": (jpeg_with(segment(0xE1, exif()[:20])), JPEG),
    "JPEG, color profile": (jpeg_with(segment(0xE2, b"ICC_PROFILE\0\1")), JPEG),
    "JPEG, several pictures": (jpeg_with(segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff")), JPEG),
    "JPEG, Photoshop": (jpeg_with(segment(0xED, b"Photoshop 3.0\08BIM\x03\xed\0\0\0\0\0")), JPEG),
    "JPEG, length of EXIF": (jpeg_with(segment(0xE1, b"Exif\0\0II*\0", 9000)), JPEG),
    "JPEG, length 0": (jpeg_with(segment(0xE1, b"Exif\0\0II*\0", 0)), JPEG),
    "progressive JPEG, no end marker": (
        encoded("JPEG", progressive=True)[:-2],
        encoded("JPEG", progressive=True),
    ),
    "WebP, EXIF": (webp_with(b"EXIF", b"nothing!"), WEBP),
    "WebP, color profile cut": (webp_with(b"ICCP", b"abcd", 4000), WEBP),
    "WebP, EXIF cut": (webp_with(b"EXIF", exif()[:16], 4000), WEBP),
}


@pytest.mark.parametrize(("data", "intact"), DAMAGED.values(), ids=DAMAGED)
def test_pixels_are_those_of_the_intact_file(data, intact):
    found = photos.decode_photo(data)
    np.testing.assert_array_equal(found.pixels, photos.decode(intact))
    assert found.warning.isprintable()


@pytest.mark.parametrize("name", ["PNG, text of 3 MB", "JPEG, no end marker", "WebP, EXIF cut"])
def test_a_damaged_file_gives_a_warning(name):
    assert "is damaged outside its pixels" in photos.decode_photo(DAMAGED[name][0]).warning


def test_intact_files_give_no_warning():
    for data in (PNG, JPEG, WEBP, encoded("TIFF"), encoded("GIF"), encoded("JPEG", exif=exif())):
        assert photos.decode_photo(data).warning == ""


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"quality": 100}], ids=str
)
def test_a_jpeg_without_its_last_pixels_is_rejected(options):
    data = encoded("JPEG", **options)
    complete = photos.decode(data)
    for length in range(len(data) - 300, len(data)):
        try:
            found = photos.decode(data[:length])
        except photos.PhotoError:
            continue
        np.testing.assert_array_equal(found, complete, err_msg=f"cut at {length}")
        assert length >= len(data) - 3


def test_pixels_with_a_wrong_checksum_are_rejected():
    damaged = bytearray(PNG)
    damaged[len(PNG) // 2] ^= 1
    with pytest.raises(photos.PhotoError, match="cannot be decoded"):
        photos.decode(bytes(damaged))


def test_readable_orientation_is_applied_although_other_extras_are_damaged():
    upright = photos.decode(encoded(exif=exif()))
    assert upright.shape == (48, 64, 3)
    data = png_with(chunk(b"zTXt", BOMB), chunk(b"eXIf", exif()[6:]))
    np.testing.assert_array_equal(photos.decode(data), upright)
    turned = encoded("JPEG", exif=exif())
    np.testing.assert_array_equal(photos.decode(turned[:-2]), photos.decode(turned))


def test_a_damaged_length_does_not_make_the_thumbnail_the_photo():
    small = io.BytesIO()
    noise(32, 24).save(small, "JPEG")
    data = jpeg_with(segment(0xE1, b"Exif\0\0" + small.getvalue(), 8))
    np.testing.assert_array_equal(photos.decode(data), photos.decode(JPEG))


@pytest.mark.parametrize("name", ["PNG, text of 3 MB", "JPEG, no end marker", "WebP, EXIF cut"])
def test_limits_hold_for_damaged_files(name):
    with pytest.raises(photos.PhotoError, match="48x64 px, at most 3071 px"):
        photos.decode(DAMAGED[name][0], max_pixels=3071)


def test_a_tiff_that_pillow_cannot_decode_is_read_by_opencv(monkeypatch):
    data = encoded("TIFF")
    expected = photos.decode(data)

    def fail(image):
        raise OSError("unknown tag")

    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", fail)
    found = photos.decode_photo(data)
    np.testing.assert_array_equal(found.pixels, expected)
    assert "unknown tag" in found.warning
    with pytest.raises(photos.PhotoError, match="unknown tag"):
        photos.decode(data[:-40])


@pytest.mark.skipif("AVIF" not in formats.FORMATS, reason="this Pillow has no AVIF")
def test_avif_is_read():
    out = io.BytesIO()
    Image.new("RGB", (48, 64), (200, 100, 50)).save(out, "AVIF")
    assert np.abs(photos.decode(out.getvalue())[5, 5].astype(int) - [200, 100, 50]).max() < 8


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEIC, "HEIC; install pi-heif"),
        (b"\xff\x0a" + bytes(300), "JPEG XL; convert it: djxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(300), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(300), "JPEG 2000; convert it"),
        (b"8BPS" + bytes(300), "Photoshop"),
    ],
)
def test_other_formats_are_named_with_the_conversion(data, words):
    with pytest.raises(photos.PhotoError, match=words):
        photos.decode(data)
    assert formats.is_picture(data[:16])


def test_a_heic_plugin_is_used_where_it_is_installed(monkeypatch):
    class Plugin:
        registered = False

        @classmethod
        def register_heif_opener(cls):
            cls.registered = True

    monkeypatch.setitem(sys.modules, "pi_heif", Plugin)
    assert "HEIF" in formats._with_plugins()
    assert Plugin.registered
