"""Limits on the photos that are decoded, and JPEGs decoded at a fraction of their size."""

from collections.abc import Iterator

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from portrait18.dataset.recovery import JPEG_MARKER

#: Default of check.max_pixels and --max-pixels: the 50 megapixels of phones, in any format.
MAX_PIXELS = 64_000_000
#: A JPEG above this is decoded at 1/2, 1/4 or 1/8 of its size, which takes less memory and time.
REDUCE_ABOVE = 25_000_000
#: Largest such JPEG: the 200 megapixels of phones.
MAX_JPEG_PIXELS = 210_000_000
MIN_SIDE = 20  # pixels; MTCNN fails below
#: Scans of a JPEG, as in libtiff. Each scan is a pass over the whole photo but needs only 31 bytes.
MAX_SCANS = 100
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"


class PhotoError(ValueError):
    """A file that is not a usable photo; the message gives the reason and the fix."""


def prepare(image: Image.Image, data: bytes, max_pixels: int) -> tuple[int, int]:
    """Check the header of an opened file, and let a large JPEG be decoded at a smaller size.

    Args:
        image: opened and not loaded yet.
        data: content of the file.
        max_pixels: see `photos.decode_photo`.

    Returns:
        Width and height in the file.

    Raises:
        PhotoError: too large, too small or too slow.
    """
    width, height = image.size
    if width * height > REDUCE_ABOVE and isinstance(image, JpegImageFile):
        if not _is_streamed(image, data) or width * height > MAX_JPEG_PIXELS:
            check_size(width, height, max_pixels)
        factor = next((f for f in (2, 4) if width * height <= f * f * REDUCE_ABOVE), 8)
        image.draft(None, (width // factor, height // factor))
        if image.width * image.height > max_pixels:
            raise _too_large(width, height, max_pixels)
    else:
        check_size(width, height, max_pixels)
    check_size(*_tile_size(image), max_pixels)
    check_side(width, height)
    if _count_scans(data) > MAX_SCANS:
        raise PhotoError(
            f"has more than {MAX_SCANS} scans and would decode slowly; save it again as JPEG or PNG"
        )
    return width, height


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise PhotoError if a photo or a tile of it is larger than `max_pixels`."""
    if width * height > max_pixels:
        raise _too_large(width, height, max_pixels)


def check_side(width: int, height: int) -> None:
    """Raise PhotoError if a photo is smaller than `MIN_SIDE`."""
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"has {width}x{height} px, each side must have at least {MIN_SIDE}; use a larger photo"
        )


def memory_pixels(image: Image.Image, data: bytes, max_pixels: int) -> int:
    """Return how many pixels are in memory while a file is decoded, after `prepare`.

    libjpeg keeps all coefficients of a progressive JPEG, which take as much as its pixels.
    """
    width, height = prepare(image, data, max_pixels)
    decoded = image.width * image.height
    keeps_all = isinstance(image, JpegImageFile) and not _is_streamed(image, data)
    return decoded + width * height if keeps_all else decoded


def _too_large(width: int, height: int, max_pixels: int) -> PhotoError:
    return PhotoError(
        f"has {width}x{height} px, at most {max_pixels} px are allowed; make it smaller or"
        " allow more (check.max_pixels in params.yaml, --max-pixels of a command)"
    )


def _is_streamed(image: JpegImageFile, data: bytes) -> bool:
    """Return whether libjpeg decodes row by row: not progressive, all colors in the first scan."""
    if "progressive" in image.info or "progression" in image.info:
        return False
    for code, start in _segments(data):
        if code == _START_OF_SCAN:
            return data[start + 2 : start + 3] == bytes([image.layers])
    return False


def _segments(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield marker and position of its length, for each segment of a JPEG up to its end."""
    position = 2
    while data.startswith(b"\xff\xd8") and (marker := JPEG_MARKER.search(data, position)):
        if marker[1] == _END_OF_IMAGE:
            return
        yield marker[1], marker.end()
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


def _count_scans(data: bytes) -> int:
    """Return the scans of a JPEG, at most `MAX_SCANS` + 1; skips thumbnails and later data."""
    scans = 0
    for code, _ in _segments(data):
        scans += code == _START_OF_SCAN
        if scans > MAX_SCANS:
            break
    return scans


def _tile_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of a TIFF's tiles, which are decoded in full, or zeros."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TIFF_TILE_WIDTH, 0)), int(tags.get(_TIFF_TILE_HEIGHT, 0))
