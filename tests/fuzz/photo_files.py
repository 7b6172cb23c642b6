"""Photo files of all formats and modes, and `photos.decode` with its guarantees checked."""

import io

import numpy as np
from PIL import Image

from portrait18.dataset import photos
from portrait18.dataset.limits import MIN_SIDE


def noise(seed: int, mode: str, width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
    bands = {"RGB": 3, "L": 1, "LA": 2, "RGBA": 4, "CMYK": 4, "P": 1, "1": 1}[mode]
    pixels = rng.integers(0, 256, (height, width, bands), np.uint8)
    image = Image.fromarray(
        pixels.squeeze(2) if bands == 1 else pixels, "L" if mode in ("P", "1") else mode
    )
    if mode == "P":
        image.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
        image = Image.frombytes("P", image.size, pixels.tobytes())
        image.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
    return image.convert("1") if mode == "1" else image


def encode(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decode(data: bytes, max_pixels: int = 10**6) -> np.ndarray | None:
    """Return the photo, or None if it is rejected by a PhotoError of one line."""
    try:
        pixels = photos.decode(data, max_pixels)
    except photos.PhotoError as error:
        message = str(error)
        pixels = None
    if pixels is None:
        assert message.isprintable()
        assert len(message) < 500
        return None
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert min(pixels.shape[:2]) >= MIN_SIDE
    assert pixels.shape[0] * pixels.shape[1] <= max_pixels
    return pixels
