import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from synthetic import photo_bytes

from portrait18.dataset import photos


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    start = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", start)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    "data",
    [photo_bytes()[:1500], photo_bytes(kind="PNG")[:1500], b"no photo at all", b""],
    ids=["truncated JPEG", "truncated PNG", "text", "empty"],
)
def test_a_photo_that_cannot_be_decoded_is_rejected_in_one_line(data):
    with pytest.raises(
        photos.PhotoError, match=r"^cannot be decoded .*replace the file$"
    ) as caught:
        photos.decode(data)
    assert "\n" not in str(caught.value)


def test_a_photo_that_is_too_large_is_rejected_by_its_header():
    with pytest.raises(
        photos.PhotoError, match=r"9000x9000 px, at most 64000000 .*check\.max_pixels"
    ):
        photos.decode(png_header(9000, 9000))


def test_a_photo_above_pillows_limit_is_rejected_like_any_other():
    with pytest.raises(
        photos.PhotoError, match=r"30000x30000 px, at most 64000000 .*check\.max_pixels"
    ):
        photos.decode(png_header(30000, 30000))


def test_pillows_own_size_limit_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(photos.PhotoError, match="at most 64000000"):
            photos.decode(png_header(12000, 12000))


def test_max_pixels_is_the_limit():
    data = photo_bytes(width=48, height=64)
    assert photos.decode(data, max_pixels=48 * 64).shape == (64, 48, 3)
    with pytest.raises(photos.PhotoError, match="at most 3071 px"):
        photos.decode(data, max_pixels=48 * 64 - 1)


@pytest.mark.parametrize(("width", "height"), [(19, 64), (64, 19)])
def test_a_photo_that_is_too_small_is_rejected(width, height):
    with pytest.raises(
        photos.PhotoError, match=f"{width}x{height} px, each side must have at least 20"
    ):
        photos.decode(photo_bytes(width=width, height=height))


def test_the_smallest_allowed_photo_is_read():
    assert photos.decode(photo_bytes(width=20, height=20)).shape == (20, 20, 3)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8))


@pytest.mark.parametrize(
    "data",
    [
        encoded(NOISE, "JPEG"),
        encoded(NOISE.convert("CMYK"), "JPEG"),
        encoded(NOISE.convert("L"), "JPEG"),
        encoded(NOISE.convert("RGBA")),
        encoded(NOISE.convert("LA")),
        encoded(NOISE.convert("P")),
        encoded(NOISE.convert("1")),
        encoded(sixteen_bits(NOISE)),
        encoded(NOISE, "GIF", save_all=True, append_images=[NOISE.rotate(90)]),
        encoded(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(90)]),
    ],
    ids=[
        "JPEG",
        "CMYK JPEG",
        "gray JPEG",
        "RGBA",
        "LA",
        "palette",
        "1-bit",
        "16-bit",
        "animated GIF",
        "animated PNG",
    ],
)
def test_every_image_mode_becomes_uint8_rgb(data):
    pixels = photos.decode(data)
    assert pixels.shape == (64, 48, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 10


def test_channels_are_in_the_order_red_green_blue():
    assert photos.decode(encoded(Image.new("RGB", (32, 32), (200, 100, 50))))[5, 5].tolist() == [
        200,
        100,
        50,
    ]


def test_cmyk_keeps_its_colors():
    cyan = photos.decode(encoded(Image.new("CMYK", (32, 32), (255, 0, 0, 0)), "JPEG"))[5, 5].astype(
        int
    )
    assert np.abs(cyan - [0, 255, 255]).max() < 10


def test_16_bits_are_scaled_not_clipped():
    ramp = np.broadcast_to(np.linspace(0, 65535, 48).astype(np.uint16), (32, 48))
    pixels = photos.decode(encoded(Image.fromarray(ramp)))
    np.testing.assert_allclose(pixels[0, :, 0], np.linspace(0, 255, 48), atol=1)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_more_than_16_bits_are_rejected_not_clipped(kind):
    ramp = np.broadcast_to(
        np.linspace(0, 1 if kind is np.float32 else 2**31 - 1, 48).astype(kind), (32, 48)
    )
    with pytest.raises(photos.PhotoError, match="more than 16 bits"):
        photos.decode(encoded(Image.fromarray(ramp), "TIFF"))


def test_a_file_larger_than_any_allowed_photo_is_not_read(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        photos.PhotoError, match="has 1099511627776 bytes, at most 512000000 are read"
    ):
        photos.read(tmp_path / "a.jpg")


def test_a_jpeg_with_many_scans_is_rejected_before_decoding():
    jpeg = encoded(NOISE, "JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]

    def with_scans(scans: int, tail: bytes = b"", **options) -> bytes:
        photo = encoded(NOISE, "JPEG", progressive=True, **options)
        return photo[:-2] + (scans - 10) * scan + b"\xff\xd9" + tail  # Pillow writes 10

    assert photos.decode(with_scans(100)).shape == (64, 48, 3)
    with pytest.raises(
        photos.PhotoError, match="has more than 100 scans and would decode slowly; save it again"
    ):
        photos.decode(with_scans(101))
    with pytest.raises(photos.PhotoError, match="scans"):
        photos.decode(with_scans(1_000_000))
    # Bytes that look like scans in a comment, or in a video after the photo, do not count.
    assert photos.decode(with_scans(10, 200 * scan, comment=200 * b"\xff\xda")).shape == (64, 48, 3)


@pytest.mark.parametrize(
    "image",
    [Image.new("RGBA", (32, 32), (255, 0, 0, 0)), Image.new("LA", (32, 32), (200, 0))],
    ids=["RGBA", "LA"],
)
def test_transparent_parts_are_black(image):
    assert photos.decode(encoded(image)).max() == 0


LEFT_WHITE = Image.new("L", (64, 32))
LEFT_WHITE.paste(255, (0, 0, 32, 32))


@pytest.mark.parametrize(
    ("image", "kind"),
    [(LEFT_WHITE.convert("RGB"), "JPEG"), (LEFT_WHITE, "PNG"), (sixteen_bits(LEFT_WHITE), "PNG")],
    ids=["JPEG", "PNG", "16-bit PNG"],
)
def test_exif_rotation_is_applied(image, kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned clockwise by a quarter
    pixels = photos.decode(encoded(image, kind, exif=exif))
    assert pixels.shape == (64, 32, 3)
    assert pixels[10].mean() > 200 > 50 > pixels[50].mean()


def test_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (32, 32), c) for c in ((250, 0, 0), (0, 250, 0))]
    for kind in ("GIF", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert photos.decode(data)[5, 5].tolist() == [250, 0, 0]


def test_a_missing_photo_is_named(tmp_path):
    with pytest.raises(photos.PhotoError, match="is missing; add the file"):
        photos.read(tmp_path / "none.jpg")


def test_a_missing_photo_whose_other_unicode_form_is_too_long_is_named(tmp_path):
    with pytest.raises(photos.PhotoError, match="is missing; add the file"):
        photos.read(tmp_path / f"{60 * '가'}.jpg")  # 184 bytes, 364 in NFD


def test_a_pil_image_is_converted_as_its_file_is_decoded():
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
    Image.fromarray(pixels).save(out, "PNG", exif=exif)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        np.testing.assert_array_equal(
            photos.from_image(image).pixels, photos.decode(out.getvalue())
        )
    with pytest.raises(photos.PhotoError, match="at most 100 px"):
        photos.from_image(Image.new("RGB", (30, 30)), max_pixels=100)
