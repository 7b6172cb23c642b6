"""Decode portraits; every photo goes through `decode`."""

import io
import re
import stat
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
from PIL import ExifTags, Image, ImageOps

#: Accepted formats. Pillow knows more and starts external programs for some of them.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# check.max_pixels is the limit instead; its message says what to do.
Image.MAX_IMAGE_PIXELS = None
# Pillow's warnings name no file. Whatever cannot be decoded raises PhotoError.
warnings.filterwarnings("ignore", module=r"PIL\.")
BYTES_PER_PIXEL = 8  # 16 bits in four channels, uncompressed
SMALL_FILE = 2**26  # bytes; read for any max_pixels
MIN_SIDE = 20  # pixels; MTCNN fails below
#: Scans of a JPEG, as in libtiff. Each scan is a pass over the whole photo but needs only 31 bytes.
MAX_SCANS = 100
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323
#: JPEG markers that are followed by a length.
_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"


class PhotoError(ValueError):
    """A file that is not a usable photo; the message gives the reason and the fix."""


def decode(data: bytes, max_pixels: int = 50_000_000) -> np.ndarray:
    """Decode one photo.

    Args:
        data: content of the file, in one of `FORMATS`; of an animation, the first frame is used.
        max_pixels: larger photos are rejected by their header, before memory is allocated.

    Returns:
        uint8 (H, W, 3), RGB, upright (EXIF orientation applied), 16 bits scaled to 8,
        transparency on black.

    Raises:
        PhotoError: not decodable, truncated, too large, too small or too slow.
    """
    with _photo_errors(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_header(image, max_pixels)
        if _has_many_scans(data):
            raise PhotoError(
                f"has more than {MAX_SCANS} scans and would decode slowly;"
                " save it again as JPEG or PNG"
            )
        image.load()
        return _to_rgb(image)


def from_image(image: Image.Image, max_pixels: int = 50_000_000) -> np.ndarray:
    """Convert a PIL image, with the checks and the result of `decode`."""
    with _photo_errors():
        _check_header(image, max_pixels)
        image.load()
        return _to_rgb(image)


@contextmanager
def _photo_errors() -> Iterator[None]:
    """Turn whatever Pillow raises into a PhotoError."""
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        reason = str(error).replace("\n", " ")
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image"
        raise PhotoError(f"cannot be decoded ({reason}); replace the file") from None


def _check_header(image: Image.Image, max_pixels: int) -> None:
    """Raise PhotoError if the header promises a photo that is too large or too small."""
    width, height = image.size
    for across, down in ((width, height), _tile_size(image)):
        if across * down > max_pixels:
            raise PhotoError(
                f"has {across}x{down} px, at most {max_pixels} px are allowed; make it smaller or"
                " allow more (check.max_pixels in params.yaml, --max-pixels of a command)"
            )
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"has {width}x{height} px, each side must have at least {MIN_SIDE}; use a larger photo"
        )


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Convert a loaded image; see `decode`."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # otherwise it would be copied
        image = ImageOps.exif_transpose(image)
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


def _has_many_scans(data: bytes) -> bool:
    """Return whether a JPEG has too many scans; skips thumbnails and data after its end."""
    position, scans = 2, 0
    while data.startswith(b"\xff\xd8") and (marker := _JPEG_MARKER.search(data, position)):
        if marker[1] == _END_OF_IMAGE:
            break
        scans += marker[1] == _START_OF_SCAN
        if scans > MAX_SCANS:
            return True
        length = data[marker.end() : marker.end() + 2]
        position = marker.end() + int.from_bytes(length)
    return False


def _tile_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of a TIFF's tiles, which are decoded in full, or zeros."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TIFF_TILE_WIDTH, 0)), int(tags.get(_TIFF_TILE_HEIGHT, 0))


def file_bytes(path: str | Path, max_pixels: int) -> bytes:
    """Return the content of a photo file.

    Args:
        path: the file.
        max_pixels: files that are larger than a photo of so many pixels can be are rejected.

    Raises:
        PhotoError: missing, unreadable, too large, or not a regular file (reading a pipe or a
            device may never end).
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("is not a file; replace it by a photo")
        limit = max(BYTES_PER_PIXEL * max_pixels, SMALL_FILE)
        if status.st_size > limit:
            raise PhotoError(
                f"has {status.st_size} bytes, at most {limit} are read; save it as JPEG or PNG"
            )
        return path.read_bytes()
    except FileNotFoundError:
        if other := _in_other_form(path):
            return file_bytes(other, max_pixels)
        raise PhotoError("is missing; add the file") from None
    except OSError as error:
        raise PhotoError(
            f"cannot be read ({error.strerror}); check the file and its permissions"
        ) from None


def _in_other_form(path: Path) -> Path | None:
    """Return the file whose name has the same letters in another Unicode form, as from macOS."""
    others = [path.with_name(unicodedata.normalize(f, path.name)) for f in ("NFC", "NFD")]
    return next((other for other in others if other != path and other.exists()), None)


def read(path: str | Path, max_pixels: int = 50_000_000) -> np.ndarray:
    """Read and decode one photo file; see `decode`."""
    return decode(file_bytes(path, max_pixels), max_pixels)
