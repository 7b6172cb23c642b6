"""Read the bytes of photo files, whatever their names' Unicode form."""

import os
import stat
import unicodedata
from pathlib import Path

from portrait18.core.errors import too_long
from portrait18.dataset.limits import PhotoError

BYTES_PER_PIXEL = 8  # 16 bits in four channels, uncompressed

SMALL_FILE = 2**26  # bytes; read for any max_pixels


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
        reason = f"cannot be read ({error.strerror}); check the file and its permissions"
        raise PhotoError(too_long(path) or reason) from None


def _in_other_form(path: Path) -> Path | None:
    """Return the file whose name has the same letters in another Unicode form, as from macOS."""
    others = [path.with_name(unicodedata.normalize(f, path.name)) for f in ("NFC", "NFD")]
    # Not Path.exists, which raises an error for names that are too long: NFD can be thrice as long.
    return next((other for other in others if other != path and os.path.exists(other)), None)
