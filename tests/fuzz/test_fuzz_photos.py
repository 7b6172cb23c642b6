"""Any bytes: `photos.decode` returns upright uint8 (H, W, 3) or gives the reason in one line."""

import io

import numpy as np
import pytest
from effort import tries
from hypothesis import assume, example, given
from hypothesis import strategies as st
from photo_files import decode, encode, noise
from PIL import Image, ImageOps

from portrait18.dataset import photos

KINDS = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "LA", "RGBA", "P", "1", "I;16"),
    "TIFF": ("RGB", "L", "LA", "RGBA", "P", "1", "I;16", "CMYK"),
    "GIF": ("L", "P"),
    "BMP": ("RGB", "L", "1"),
    "WEBP": ("RGB", "RGBA"),
}
OPTIONS = {
    "JPEG": [{}, {"progressive": True}, {"quality": 20}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}],
    "WEBP": [{"lossless": True}],
}
#: EXIF orientation -> function from the stored to the upright photo.
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[:, ::-1],
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p.swapaxes(0, 1)[::-1],
}


def expected(image: Image.Image) -> np.ndarray:
    """Decoded pixels of a lossless file, computed without Pillow's conversions."""
    pixels = np.asarray(image)
    if image.mode == "I;16":
        pixels = (pixels // 257).astype(np.uint8)
    elif image.mode == "1":
        pixels = pixels.astype(np.uint8) * 255
    elif image.mode == "P":
        return np.array(image.getpalette(), np.uint8).reshape(-1, 3)[pixels]
    if image.mode in ("LA", "RGBA"):
        share = pixels[..., -1:] / 255
        pixels = np.rint(pixels[..., :-1] * share).astype(np.uint8)
    return np.broadcast_to(pixels.reshape(*pixels.shape[:2], -1), (*pixels.shape[:2], 3))


@st.composite
def files(draw) -> tuple[bytes, str]:
    """Content and format of a valid photo."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    image = noise(
        draw(st.integers(0, 9)), draw(st.sampled_from(KINDS[kind])), draw(st.integers(20, 40)), 30
    )
    options = dict(draw(st.sampled_from(OPTIONS.get(kind, [{}]))))
    if kind in ("JPEG", "PNG", "WEBP") and draw(st.booleans()):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = (
            draw(st.integers(0, 9)),
            "x" * draw(st.sampled_from([0, 10, 60000])),
        )
        options["exif"] = exif
    return encode(image, kind, **options), kind


@tries(150)
@given(files(), st.data())
def test_a_damaged_photo_is_read_or_rejected(file, data):
    damaged = bytearray(file[0])
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1)
    ):
        damaged[place % len(damaged)] = byte
    decode(bytes(damaged))


@tries(100)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"]),
)
@example(b"<html><body>Not found</body></html>", b"")
def test_other_bytes_are_rejected(data, start):
    decode(start + data)


@tries(200)
@given(files(), st.data())
def test_a_truncated_photo_is_rejected_or_complete(file, data):
    complete = photos.decode(file[0])
    cut = decode(file[0][: data.draw(st.integers(0, len(file[0]) - 1))])
    # An orientation that is cut off is lost, the pixels are not.
    turns = UPRIGHT.values() if file[1] in ("PNG", "WEBP") else [UPRIGHT[1]]
    assert cut is None or any(np.array_equal(cut, turn(complete)) for turn in turns)


@tries(100)
@given(
    st.sampled_from(["PNG", "TIFF", "BMP", "WEBP"]),
    st.data(),
    st.integers(20, 50),
    st.integers(20, 50),
)
def test_a_lossless_photo_keeps_its_pixels(kind, data, width, height):
    image = noise(
        data.draw(st.integers(0, 9)), data.draw(st.sampled_from(KINDS[kind])), width, height
    )
    assume(image.mode != "CMYK")  # its conversion to RGB is not unique
    pixels = decode(encode(image, kind, **data.draw(st.sampled_from(OPTIONS.get(kind, [{}])))))
    assert np.abs(pixels.astype(int) - expected(image)).max() <= (1 if "A" in image.mode else 0)


@tries(60)
@given(
    st.integers(1, 8),
    st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]),
    st.sampled_from(["RGB", "L", "I;16", "P"]),
)
def test_the_exif_orientation_is_applied(orientation, kind, mode):
    assume(mode in KINDS[kind])
    image = noise(1, mode, 24, 36)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(image, kind, exif=exif)
    stored = Image.open(io.BytesIO(encode(image, kind)))
    if mode == "I;16":
        stored = Image.fromarray((np.asarray(stored) // 257).astype(np.uint8))
    pixels = decode(data)
    assert np.array_equal(pixels, UPRIGHT[orientation](np.asarray(stored.convert("RGB"))))
    if mode != "I;16":
        assert np.array_equal(
            pixels, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
        )


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_of_several_frames_is_read(kind):
    first, others = noise(0, "RGB", 32, 32), [noise(n, "RGB", 32, 32) for n in (1, 2)]
    options = {"lossless": True} if kind == "WEBP" else {}
    moving = encode(first, kind, save_all=True, append_images=others, **options)
    still = encode(first, "JPEG" if kind == "MPO" else kind, **options)
    assert len(moving) > 2 * len(still)
    assert np.array_equal(decode(moving), decode(still))
