"""Photos as a caller has them, such as paths or arrays, decoded in batches."""

import os
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image

from portrait18.core.errors import printable
from portrait18.dataset import photos as photo_files
from portrait18.dataset.limits import MIN_SIDE
from portrait18.dataset.photos import DecodedPhoto, PhotoError

Photo: TypeAlias = str | os.PathLike | bytes | Image.Image | np.ndarray | DecodedPhoto

#: `predict` keeps at most this many decoded photos, or this many pixels (3 bytes each), in memory.
BATCH_PHOTOS, BATCH_PIXELS = 32, 64_000_000


def decode_batches(photos: Sequence[Photo], max_pixels: int) -> Iterator[list[DecodedPhoto]]:
    """Decode photos a batch at a time; a photo larger than `BATCH_PIXELS` is a batch of its own."""
    batch: list[DecodedPhoto] = []
    pixels = 0
    for index, photo in enumerate(photos):
        decoded = _decode(photo, index, max_pixels)
        area = decoded.pixels.shape[0] * decoded.pixels.shape[1]
        if batch and (len(batch) == BATCH_PHOTOS or pixels + area > BATCH_PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(decoded)
        pixels += area
    if batch:
        yield batch


def _decode(photo: Photo, index: int, max_pixels: int) -> DecodedPhoto:
    """Return a photo as an array uint8 (H, W, 3), RGB, with its size in the file."""
    try:
        if isinstance(photo, DecodedPhoto):
            return photo
        if isinstance(photo, np.ndarray):
            return _check_array(photo)
        if isinstance(photo, Image.Image):
            return photo_files.from_image(photo, max_pixels)
        if isinstance(photo, bytes):
            return photo_files.decode_photo(photo, max_pixels)
        if isinstance(photo, str | os.PathLike):
            return photo_files.read_photo(os.fspath(photo), max_pixels)
    except PhotoError as error:
        name = os.fspath(photo) if isinstance(photo, str | os.PathLike) else f"photo {index}"
        raise PhotoError(printable(f"{name} {error}")) from None
    raise TypeError(
        f"photo {index} is of type {type(photo).__name__}; pass a path, bytes, a PIL image"
        " or a uint8 array (H, W, 3)"
    )


def _check_array(photo: np.ndarray) -> DecodedPhoto:
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise PhotoError(f"is {photo.dtype} {photo.shape}; it must be uint8 (H, W, 3), RGB")
    if min(photo.shape[:2]) < MIN_SIDE:
        height, width = photo.shape[:2]
        raise PhotoError(f"has {width}x{height} px; each side must have at least {MIN_SIDE}")
    return DecodedPhoto(photo, "", (photo.shape[1], photo.shape[0]))
