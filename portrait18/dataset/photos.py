"""Decode portraits; every photo goes through `decode_photo`."""

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from PIL import ExifTags, Image

from portrait18.dataset import formats, limits, recovery
from portrait18.dataset.file_reading import file_bytes
from portrait18.dataset.formats import FORMATS
from portrait18.dataset.limits import MAX_PIXELS, PhotoError

# check.max_pixels is the limit instead; its message says what to do.
Image.MAX_IMAGE_PIXELS = None
# Pillow's warnings name no file. Whatever cannot be decoded raises PhotoError.
warnings.filterwarnings("ignore", module=r"PIL\.")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """A decoded photo.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, upright (EXIF orientation applied), 16 bits scaled to 8,
            transparency on black.
        warning: what is damaged in the file although its pixels are intact; "" if nothing is.
        size: width and height of the upright photo in the file. `pixels` of a JPEG above
            `limits.REDUCE_ABOVE` have 1/2, 1/4 or 1/8 of it.
    """

    pixels: np.ndarray
    warning: str
    size: tuple[int, int]


def decode_photo(data: bytes, max_pixels: int = MAX_PIXELS) -> DecodedPhoto:
    """Decode one photo.

    If Pillow refuses the file, the pixels are decoded from the file without its extras (EXIF,
    color profile, text) or by OpenCV, under the same limits. A photo with missing pixels is
    rejected.

    Args:
        data: content of the file, in one of `FORMATS`; of an animation, the first frame is used.
        max_pixels: larger photos are rejected by their header, before memory is allocated. What
            counts of a JPEG above `limits.REDUCE_ABOVE` is the size at which it is decoded.

    Raises:
        PhotoError: not decodable, truncated, too large, too small or too slow.
    """
    try:
        return _decode(data, max_pixels)
    except PhotoError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        reason = _reason(error)
    if hint := formats.convert_hint(data):
        raise PhotoError(f"cannot be decoded ({reason}); it is {hint}")
    photo = _recover(data, max_pixels)
    if photo is None:
        raise PhotoError(f"cannot be decoded ({reason}); replace the file")
    return replace(photo, warning=f"is damaged outside its pixels ({reason}); they are used")


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the pixels of one photo; see `decode_photo`."""
    return decode_photo(data, max_pixels).pixels


def header_pixels(data: bytes, max_pixels: int = MAX_PIXELS) -> int:
    """Return how many pixels are in memory while a photo is decoded, from its header.

    Raises:
        PhotoError: not an image, too large, too small or too slow.
    """
    for is_damaged in (False, True):
        try:
            version = recovery.versions(data, max_pixels)[0] if is_damaged else data
            with Image.open(io.BytesIO(version), formats=FORMATS) as image:
                return limits.memory_pixels(image, version, max_pixels)
        except PhotoError:
            raise
        except Exception:  # Pillow raises a dozen kinds for broken headers
            continue
    known = ", ".join(FORMATS)
    hint = formats.convert_hint(data)
    raise PhotoError(f"is {hint}" if hint else f"is not an image; send one of {known}")


def _decode(data: bytes, max_pixels: int) -> DecodedPhoto:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        size = limits.prepare(image, data, max_pixels)
        image.load()
        return _to_rgb(image, size)


def _recover(data: bytes, max_pixels: int) -> DecodedPhoto | None:
    """Return the photo in a file that Pillow refuses, or None if its pixels are not intact."""
    photo = None
    try:
        for version in recovery.versions(data, max_pixels):
            other = _decode(version, max_pixels)
            if photo is not None and not np.array_equal(photo.pixels, other.pixels):
                return None
            photo = other
    except PhotoError:
        raise
    except Exception:  # the pixels are damaged, too
        return None
    return photo or _decode_by_opencv(data, max_pixels)


def _decode_by_opencv(data: bytes, max_pixels: int) -> DecodedPhoto | None:
    """Return what OpenCV decodes if Pillow reads at least the header, else None."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            limits.check_size(*image.size, max_pixels)
            limits.prepare(image, data, max_pixels)
            orientation, _ = _orientation(image)
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except PhotoError:
        raise
    except Exception:  # the header is damaged, or OpenCV refuses the file, too
        return None
    if pixels is None:
        return None
    upright = Image.fromarray(pixels)
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    return DecodedPhoto(np.asarray(upright), "", upright.size)


def from_image(image: Image.Image, max_pixels: int = MAX_PIXELS) -> DecodedPhoto:
    """Convert a PIL image, with the checks of `decode_photo`; it is not reduced."""
    try:
        limits.check_size(*image.size, max_pixels)
        limits.check_side(*image.size)
        image.load()
        return _to_rgb(image, image.size)
    except PhotoError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        raise PhotoError(f"cannot be decoded ({_reason(error)}); replace the file") from None


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    return str(error).replace("\n", " ") or type(error).__name__


def _orientation(image: Image.Image) -> tuple[int, str]:
    """Return the EXIF orientation, and a warning if the EXIF cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1)), ""
    except Exception as error:  # Pillow raises half a dozen kinds
        return 1, f"has damaged EXIF ({_reason(error)}); it is taken as upright"


def _to_rgb(image: Image.Image, size: tuple[int, int]) -> DecodedPhoto:
    """Convert a loaded image of a size in the file; see `decode_photo`."""
    orientation, warning = _orientation(image)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
        size = size[::-1] if orientation >= 5 else size
    return DecodedPhoto(_pixels(image), warning, size)


def _pixels(image: Image.Image) -> np.ndarray:
    is_deep, too_deep = image.mode.startswith("I"), image.mode == "F"
    if is_deep:
        low, high = cast(tuple[int, int], image.getextrema())
        too_deep = not 0 <= low <= high <= 65535
    if too_deep:
        raise PhotoError("has more than 16 bits per pixel and channel; save it with 8")
    if is_deep:  # Pillow clips 16 bits to 8 instead of scaling
        gray = (np.asarray(image, np.float64) / 257).clip(0, 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, 2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_photo(path: str | Path, max_pixels: int = MAX_PIXELS) -> DecodedPhoto:
    """Read and decode one photo file; see `decode_photo`."""
    return decode_photo(file_bytes(path, max_pixels), max_pixels)


def read(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the pixels of one photo file; see `decode_photo`."""
    return read_photo(path, max_pixels).pixels
