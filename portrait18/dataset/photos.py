"""Reading portraits: one decoder for every photo."""

import io
import re
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

#: What is decoded; Pillow knows more formats, and starts other programs for some of them.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
Image.MAX_IMAGE_PIXELS = None  # check.max_pixels is the limit, and its message says what to do
warnings.filterwarnings(
    "ignore", module=r"PIL\."
)  # they name no file; what can't be decoded is an error of ours
BYTES_A_PIXEL = 8  # of a photo with 16 bits in four channels, not compressed
SMALL_FILE = 2**26  # bytes: read whatever max_pixels is
TIFF_TILE_WIDTH, TIFF_TILE_HEIGHT = 322, 323
MIN_SIDE = 20  # pixels: MTCNN fails on less
MAX_SCANS = 100  # of a JPEG, as libtiff has it: each is a pass over the whole photo, and takes 31 bytes of the file
#: Markers of a JPEG that have a length behind them, but for its begin and end.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_END, _SCAN = b"\xd9", b"\xda"


class PhotoError(ValueError):
    """A file that is no photo this project can use; the message says why and what would do."""


def decode(data: bytes, max_pixels: int = 50_000_000) -> np.ndarray:
    """Decode one photo.

    Args:
        data: the file's bytes: JPEG, PNG or whatever else Pillow reads; of an animation the first frame.
        max_pixels: refuse larger photos by their header, before any memory is taken (decompression bombs).

    Returns:
        uint8 (H, W, 3), RGB, upright (EXIF orientation applied), 16-bit scaled to 8, transparency on black.

    Raises:
        PhotoError: not decodable, truncated, too large, too small or too slow.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            for across, down in ((width, height), _tile(image)):
                if across * down > max_pixels:
                    raise PhotoError(
                        f"has {across}x{down} px, at most {max_pixels} px are allowed;"
                        " make it smaller or allow more (check.max_pixels in params.yaml, --max-pixels of a command)"
                    )
            if min(width, height) < MIN_SIDE:
                raise PhotoError(
                    f"has {width}x{height} px, each side must have at least {MIN_SIDE}; use a larger photo"
                )
            if _has_many_scans(data):
                raise PhotoError(
                    f"has more than {MAX_SCANS} scans and would decode slowly; save it anew as JPEG or PNG"
                )
            image.load()
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            upright = ImageOps.exif_transpose(image) if turned else image  # it would make a copy
            deep = upright.mode.startswith("I") and upright.getextrema()
            if upright.mode == "F" or (deep and not 0 <= deep[0] <= deep[1] <= 65535):
                raise PhotoError("has more than 16 bits a pixel and channel; save it with 8")
            if deep:  # Pillow clips 16 bits to 8 where one expects scaling
                grey = (np.asarray(upright, np.float64) / 257).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[..., None], 3, 2)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright)
            return np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB"))
    except PhotoError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        reason = str(error).replace("\n", " ")
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image"
        raise PhotoError(f"cannot be decoded ({reason}); replace the file") from None


def _has_many_scans(data: bytes) -> bool:
    """Whether a JPEG has; pictures inside its header or behind its end are not looked into."""
    at, scans = 2, 0
    while data.startswith(b"\xff\xd8") and (found := _MARKER.search(data, at)) and found[1] != _END:
        scans += found[1] == _SCAN
        if scans > MAX_SCANS:
            return True
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return False


def _tile(image: Image.Image) -> tuple[int, int]:
    """Width and height of a TIFF's tiles, which are decoded whole even where the photo is smaller; else 0."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(TIFF_TILE_WIDTH, 0)), int(tags.get(TIFF_TILE_HEIGHT, 0))


def file_bytes(path: str | Path, max_pixels: int) -> bytes:
    """The bytes of a photo's file.

    Raises:
        PhotoError: missing, not to be read, larger than `max_pixels` can be, or no file: a pipe or a device
            would be read for ever.
    """
    path = Path(path)
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise PhotoError("is no file; put a photo in its place")
        most = max(BYTES_A_PIXEL * max_pixels, SMALL_FILE)
        if about.st_size > most:
            raise PhotoError(
                f"has {about.st_size} bytes, at most {most} are read; save it as JPEG or PNG"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise PhotoError("is missing; put it there") from None
    except OSError as error:
        raise PhotoError(
            f"cannot be read ({error.strerror}); check the file and its rights"
        ) from None


def read(path: str | Path, max_pixels: int = 50_000_000) -> np.ndarray:
    """Read one photo file; see `decode`."""
    return decode(file_bytes(path, max_pixels), max_pixels)
