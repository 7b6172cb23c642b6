"""Reading portraits: one decoder for every photo."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

#: What is decoded; Pillow knows more formats, and starts other programs for some of them.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
Image.MAX_IMAGE_PIXELS = None  # check.max_pixels is the limit, and its message says what to do
MIN_SIDE = 20  # pixels: MTCNN fails on less


class BadPhoto(ValueError):
    """A file that is no photo this project can use; the message says why and what would do."""


def decode(data: bytes, max_pixels: int = 50_000_000) -> np.ndarray:
    """Decode one photo.

    Args:
        data: the file's bytes: JPEG, PNG or whatever else Pillow reads; of an animation the first frame.
        max_pixels: refuse larger photos by their header, before any memory is taken (decompression bombs).

    Returns:
        uint8 (H, W, 3), RGB, upright (EXIF orientation applied), 16-bit scaled to 8, transparency on black.

    Raises:
        BadPhoto: not decodable, truncated, too large or too small.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise BadPhoto(
                    f"has {width}x{height} px, at most {max_pixels} px are allowed;"
                    " make it smaller or allow more (check.max_pixels in params.yaml, --max-pixels of a command)"
                )
            if min(width, height) < MIN_SIDE:
                raise BadPhoto(f"has {width}x{height} px, each side must have at least {MIN_SIDE}; use a larger photo")
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # Pillow clips 16 bits to 8 where one expects scaling
                grey = (np.asarray(upright, np.float64) / 257).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[..., None], 3, 2)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright)
            return np.asarray(upright.convert("RGB"))
    except BadPhoto:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        reason = str(error).replace("\n", " ")
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image"
        raise BadPhoto(f"cannot be decoded ({reason}); replace the file") from None


def read(path: str | Path, max_pixels: int = 50_000_000) -> np.ndarray:
    """Read one photo file; see `decode`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadPhoto(f"cannot be read ({error.strerror}); check the file and its rights") from None
    return decode(data, max_pixels)
